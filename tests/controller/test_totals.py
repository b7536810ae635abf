"""What a run has spent outlives its lives, also one that was cut short; and going on costs the same however long a run is."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from raygan.controller.checkpoint import Checkpoint, list_checkpoints, newest_valid, retain, write_checkpoint
from raygan.controller.journal import Entry, Journal, committed, read_head, read_journal
from raygan.controller.saving import best_step
from raygan.controller.storage import LocalStorage
from raygan.controller.totals import BLOCK, Totals, absorb, newest_first

PARTS = {"pair-00": b"a" * 50, "pair-01": b"b" * 60}


class Counting(LocalStorage):
    """Counts the bytes that are read of the journal; does not wait for the disk."""

    read_bytes = 0

    def read(self, name: str) -> bytes:
        return self._counted(name, super().read(name))

    def tail(self, name: str, size: int) -> bytes:
        return self._counted(name, super().tail(name, size))

    def _counted(self, name: str, raw: bytes) -> bytes:
        self.read_bytes += len(raw) * name.startswith("journal/")
        return raw

    def append(self, name: str, raw: bytes) -> None:
        with (self.root / name).open("ab") as file:
            file.write(raw)


def saved(storage: LocalStorage, swaps: int) -> Journal:
    """A run with so many swaps of five pairs and a checkpoint."""
    journal = Journal.open(storage)
    moves = [{"player": f"pair-{i:02d}", "from": "pair-00", "fingerprint": "0" * 32} for i in range(5)]
    for step in range(swaps):
        journal.append("swap", step=step, moves=moves)
    write_checkpoint(journal, Checkpoint(swaps, PARTS, dict.fromkeys(PARTS, swaps)), 2)
    return journal


@pytest.mark.parametrize("swaps", [10, 4000])
def test_a_checkpoint_reads_no_more_of_a_long_journal_than_of_a_short_one(tmp_path: Path, swaps: int) -> None:
    storage = Counting(tmp_path)
    journal = saved(storage, swaps)
    storage.read_bytes = 0
    write_checkpoint(journal, Checkpoint(swaps + 1, PARTS, dict.fromkeys(PARTS, swaps)), 2)
    assert storage.read_bytes == 0, "the writer knows its index"
    retain(storage, 2)
    assert list(list_checkpoints(storage)) == [swaps, swaps + 1]
    assert newest_valid(storage)[0] is not None
    assert storage.read_bytes <= 3 << 16


def test_the_head_says_what_the_whole_journal_says(tmp_path: Path) -> None:
    storage = Counting(tmp_path)
    journal = saved(storage, 600)
    journal = journal.next()
    for step in (700, 800):
        write_checkpoint(journal, Checkpoint(step, PARTS, dict.fromkeys(PARTS, step)), 9)
    for step in range(1000):  # the last snapshot is far behind the end
        journal.append("swap", step=step, moves=[])
    head, whole = read_head(storage), read_journal(storage)
    assert (head.epoch, head.sha, head.seq) == (whole.epoch, whole.head, len(whole.records))
    assert head.index == committed(whole.records)
    assert len(head.since) == 1000


def test_numbers_of_a_journal_go_on_over_epochs_and_snapshots_carry_them(tmp_path: Path) -> None:
    first = Journal.open(LocalStorage(tmp_path))
    first.totals = {"swaps": 3, "seen": [0, 1]}
    first.snapshot("checkpoint", [Entry(4, "00000004", "x")], step=4, steps={})
    first.append("swap", step=5, moves=[])
    first.append("join", step=5, members=[0, 1, 7])
    second = first.next()
    assert [r["seq"] for r in read_journal(first.storage).records] == [0, 1, 2, 3, 4]
    assert (second.totals["swaps"], second.totals["seen"]) == (4, [0, 1, 7])
    assert second.index == [Entry(4, "00000004", "x")]


def test_totals_come_back_as_they_were() -> None:
    totals = Totals(2.5, {"a": 1.5}, 4, 1, {"W201": 2}, {"death": 1}, {"b": "NaN"}, {500: ("fid", 3.0)}, {0, 7})
    again: dict[str, Any] = json.loads(json.dumps(totals.dump(9.0)))
    assert Totals.read(again) == Totals(9.0, *list(vars(totals).values())[1:])
    assert Totals.read(absorb({}, [])) == Totals(), "of a run that is older than these"


def test_a_member_that_was_retired_after_the_last_snapshot_is_not_forgotten() -> None:
    record = {"kind": "retire", "player": "pair-02", "why": "NaN", "members": [0, 1]}
    assert absorb({"degraded": {"pair-01": "NaN"}}, [record])["degraded"] == {"pair-01": "NaN", "pair-02": "NaN"}


def test_rows_after_the_snapshot_are_counted_in_and_no_older_ones() -> None:
    totals = Totals(elapsed=5.0, busy={"a": 1.0})
    rows = [
        {"kind": "score", "player": "a", "step": 9, "elapsed": 8.0},
        {"kind": "train", "player": "a", "seconds": 2.0, "elapsed": 7.0},
        {"kind": "train", "player": "a", "seconds": 64.0, "elapsed": 5.0},
    ]
    assert totals.catch_up(rows) == rows[:1]
    assert (totals.elapsed, totals.busy) == (8.0, {"a": 3.0})


def test_lines_are_read_from_the_end_however_they_lie_in_blocks(tmp_path: Path) -> None:
    file = tmp_path / "metrics.jsonl"
    rows = [{"i": i, "text": "x" * (i * 977 % 5000)} for i in range(60)]
    lines = [json.dumps(row).encode() for row in rows]
    file.write_bytes(b"\n".join([*lines[:30], b'{"damaged', *lines[30:]]) + b'\n{"half a li')
    assert file.stat().st_size > 2 * BLOCK
    assert list(newest_first(file)) == rows[::-1]
    assert list(newest_first(tmp_path / "none")) == []


def test_scores_of_checkpoints_that_are_gone_are_forgotten() -> None:
    totals = Totals(best={4: ("fid", 1.0), 8: ("fid", 2.0), 12: ("fid", 3.0), 16: ("fid", 4.0)})
    totals.prune({4, 12}, 12)
    assert set(totals.best) == {4, 12, 16}, "16 was scored, and is still to be saved"


def test_of_equal_scores_the_later_step_is_the_best() -> None:
    assert best_step([4, 8, 12], {4: ("high_quality", 0.9), 8: ("high_quality", 0.9)}) == 8
    assert best_step([4, 8], {}) is None
