"""Going on reads the end of a journal only, which says what the whole of it says, and costs the
same however long a run is.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from raygan.controller.checkpoint import Checkpoint, newest_valid, write_checkpoint
from raygan.controller.checkpoint_commit import best_step
from raygan.controller.checkpoint_index import list_checkpoints, retain
from raygan.controller.history import Entry, committed, read_head, read_journal
from raygan.controller.journal import Journal
from raygan.controller.storage import LocalStorage

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
    moves = [
        {"player": f"pair-{i:02d}", "from": "pair-00", "fingerprint": "0" * 32} for i in range(5)
    ]
    for step in range(swaps):
        journal.append("swap", step=step, moves=moves)
    write_checkpoint(journal, Checkpoint(swaps, PARTS, dict.fromkeys(PARTS, swaps)), 2)
    return journal


@pytest.mark.parametrize("swaps", [10, 4000])
def test_a_checkpoint_reads_no_more_of_a_long_journal_than_of_a_short_one(
    tmp_path: Path, swaps: int
) -> None:
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


def test_of_equal_scores_the_later_step_is_the_best() -> None:
    assert best_step([4, 8, 12], {4: ("high_quality", 0.9), 8: ("high_quality", 0.9)}) == 8
    assert best_step([4, 8], {}) is None
