"""One writer at a time, decided by the storage; a chain that shows every damage; stale records are
not part of it.
"""

import json
import threading
from pathlib import Path

import pytest

from raygan.controller import history as module
from raygan.controller.history import (
    Entry,
    Head,
    History,
    committed,
    file_of,
    read_head,
    read_journal,
    undo,
)
from raygan.controller.journal import Journal
from raygan.controller.storage import LocalStorage
from raygan.errors import StaleEpochError


def test_records_are_read_in_order_over_epochs(tmp_path: Path) -> None:
    storage = LocalStorage(tmp_path)
    first = Journal.open(storage)
    first.append("swap", step=4, moves=[{"player": "pair-00", "from": "pair-01"}])
    second = first.next()
    second.append("checkpoint", step=8)
    history = read_journal(storage)
    assert [(r["epoch"], r["kind"], r["seq"]) for r in history.records] == [
        (1, "open", 0), (1, "swap", 1), (2, "open", 2), (2, "checkpoint", 3),
    ]  # fmt: skip
    assert (history.epoch, history.problems, history.cut) == (2, [], 0)


def test_of_many_that_open_at_once_each_has_its_own_epoch(tmp_path: Path) -> None:
    taken: list[int] = []
    refused = 0
    start = threading.Barrier(16)

    def enter() -> None:
        nonlocal refused
        start.wait()
        try:
            taken.append(Journal.open(LocalStorage(tmp_path)).epoch)
        except StaleEpochError:
            refused += 1

    threads = [threading.Thread(target=enter) for _ in range(16)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert len(taken) + refused == 16
    assert len(set(taken)) == len(taken), "an epoch was given twice"
    assert max(taken) == read_journal(LocalStorage(tmp_path)).epoch, "the newest one is somebody's"


def test_a_stale_writer_is_refused_and_what_slips_through_is_cut(tmp_path: Path) -> None:
    storage = LocalStorage(tmp_path)
    stale = Journal.open(storage)
    stale.append("swap", step=1)
    fresh = Journal.open(storage)
    with pytest.raises(StaleEpochError):
        stale.append("swap", step=2)
    with pytest.raises(StaleEpochError):
        stale.next()
    # between its look and its write the other one opened the run
    stale.fence = lambda: None  # type: ignore[method-assign]
    stale.append("swap", step=3)
    fresh.append("swap", step=4)
    history = read_journal(storage)
    assert [r["step"] for r in history.of("swap")] == [1, 4]
    assert history.cut == 1
    assert history.problems == []


def test_half_a_line_at_the_end_was_never_committed(tmp_path: Path) -> None:
    storage = LocalStorage(tmp_path)
    journal = Journal.open(storage)
    journal.append("swap", step=1)
    path = tmp_path / file_of(1)
    whole = path.read_bytes()
    for length in range(whole.index(b"\n") + 1, len(whole)):
        path.write_bytes(whole[:length])
        history = read_journal(storage)
        assert [r["kind"] for r in history.records] in (["open"], ["open", "swap"])
        assert history.problems == []
        assert (len(history.records) == 2) == (length == len(whole) - 1), (
            "all but the line's end is there"
        )


@pytest.mark.parametrize("damage", ["changed", "left out", "two exchanged"])
def test_a_broken_chain_is_told_and_ends_there(tmp_path: Path, damage: str) -> None:
    storage = LocalStorage(tmp_path)
    journal = Journal.open(storage)
    for step in range(1, 5):
        journal.append("swap", step=step)
    path = tmp_path / file_of(1)
    lines = path.read_bytes().splitlines(keepends=True)
    if damage == "changed":
        record = json.loads(lines[2])
        lines[2] = json.dumps({**record, "step": 99}).encode() + b"\n"
    elif damage == "left out":
        del lines[2]
    else:
        lines[2], lines[3] = lines[3], lines[2]
    path.write_bytes(b"".join(lines))
    history = read_journal(storage)
    assert [r["step"] for r in history.of("swap")] == [1]
    assert len(history.problems) == 1


def test_a_lost_epoch_is_told(tmp_path: Path) -> None:
    storage = LocalStorage(tmp_path)
    Journal.open(storage).next()
    (tmp_path / file_of(1)).unlink()
    assert "is missing" in read_journal(storage).problems[0]


def test_what_a_lost_epoch_hung_on_does_not_count(tmp_path: Path) -> None:
    """Of three epochs the middle one is gone: the first may have been undone by it."""
    storage = LocalStorage(tmp_path)
    journal = Journal.open(storage)
    journal.append("swap", step=1)
    journal = journal.next()
    journal.append("swap", step=2)
    journal.next().append("swap", step=3)
    (tmp_path / file_of(2)).unlink()
    assert [r["step"] for r in read_journal(storage).of("swap")] == [3]


def test_going_on_from_an_earlier_checkpoint_undoes_the_later_ones(tmp_path: Path) -> None:
    journal = Journal.open(LocalStorage(tmp_path))
    for step in (4, 8, 12):
        journal.append("checkpoint", step=step, steps={"pair-00": step})
    journal = journal.next()
    journal.append("resume", step=8, steps={"pair-00": 8})
    journal.append("checkpoint", step=16, steps={"pair-00": 16})
    assert [e.step for e in committed(read_journal(journal.storage).records)] == [4, 8, 16]


def test_what_was_committed_until_an_epoch_is_taken_counts(tmp_path: Path) -> None:
    """The older writer's last record, just before the newer one's file is there, is on disk: it
    belongs to the journal.
    """

    class Late(LocalStorage):
        def create(self, name: str) -> None:
            if name == file_of(2):
                older.append("swap", step=9)
            super().create(name)

    older = Journal.open(LocalStorage(tmp_path))
    Journal.open(Late(tmp_path)).append("swap", step=10)
    history = read_journal(LocalStorage(tmp_path))
    assert [r["step"] for r in history.of("swap")] == [9, 10]
    assert (history.cut, [r["seq"] for r in history.records]) == (0, [0, 1, 2, 3])


def test_of_a_journal_without_snapshots_all_counts_and_only_the_newest_is_promised(
    tmp_path: Path,
) -> None:
    """As releases wrote it that had no index: what was to be kept then nobody knows."""
    storage = LocalStorage(tmp_path)
    journal = Journal.open(storage)
    journal.snapshot = journal.append  # type: ignore[method-assign,assignment]
    (tmp_path / file_of(1)).write_text("")
    journal.head, journal.seq = "", 0
    for step in (2, 4, 6):
        journal.append("checkpoint", step=step, folder=f"{step:08d}", manifest="m")
    head = read_head(storage)
    assert [(e.step, e.promised) for e in head.index] == [(2, False), (4, False), (6, True)]
    assert (head.seq, head.epoch) == (3, 1)


def test_undoing_keeps_everything_up_to_the_checkpoint_that_is_gone_on_from() -> None:
    index = [Entry(s, f"{s:08d}", "m") for s in (2, 4, 6)]
    assert [e.step for e in undo(index, 4, "00000004")] == [2, 4]
    assert [e.step for e in undo(index, 2, "00000002")] == [2]
    assert [e.step for e in undo(index, 4, None)] == [
        2,
        4,
    ], "of a journal without names, by the step"
    assert undo(index, 0, "") == []


@pytest.mark.parametrize("between", [0, 1, 40])
def test_the_head_is_found_however_far_back_its_snapshot_lies(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, between: int
) -> None:
    """Behind a window's edge, at it, and in the first one: the same as of the whole journal."""
    monkeypatch.setattr(module, "WINDOW", 512)
    storage = LocalStorage(tmp_path)
    journal = Journal.open(storage)
    journal.totals = {"swaps": 7}
    journal.snapshot(
        "checkpoint", [Entry(4, "00000004", "m")], step=4, folder="00000004", steps={}, manifest="m"
    )
    for step in range(between):
        journal.append("swap", step=step, moves=["x" * 50])
    head = read_head(storage)
    assert [e.step for e in head.index] == [4]
    assert head.totals == {"swaps": 7}
    assert [r["step"] for r in head.since] == list(range(between))
    assert (head.sha, head.seq) == (read_journal(storage).head, 2 + between)


def test_an_epoch_that_was_taken_and_never_written_hides_nothing(tmp_path: Path) -> None:
    """Its writer was killed before its first record: what is before it is that epoch's head."""
    storage = LocalStorage(tmp_path)
    Journal.open(storage).append("swap", step=1)
    storage.create(file_of(2))
    head = read_head(storage)
    assert (head.epoch, head.seq, [r["kind"] for r in head.since]) == (2, 2, ["swap"])


def test_only_numbered_files_are_epochs(tmp_path: Path) -> None:
    storage = LocalStorage(tmp_path)
    Journal.open(storage).append("swap", step=1)
    for stray in ("notes.jsonl", "00000009.json", "00000007.jsonl.tmp", "00000009x.jsonl"):
        (tmp_path / "journal" / stray).write_text("{}")
    assert (read_head(storage).epoch, read_journal(storage).epoch) == (1, 1)


def test_where_there_is_no_journal_there_is_no_epoch(tmp_path: Path) -> None:
    assert (read_journal(LocalStorage(tmp_path)).epoch, read_head(LocalStorage(tmp_path))) == (
        0,
        Head(),
    )
    assert (History().epoch, Head().epoch, Journal.open(LocalStorage(tmp_path)).epoch) == (0, 0, 1)


def test_damage_behind_the_last_snapshot_is_told_by_the_head_too(tmp_path: Path) -> None:
    storage = LocalStorage(tmp_path)
    journal = Journal.open(storage)
    for step in (1, 2, 3):
        journal.append("swap", step=step)
    file = tmp_path / file_of(1)
    lines = file.read_bytes().splitlines(keepends=True)
    file.write_bytes(
        b"".join([*lines[:2], lines[2].replace(b'"step": 2', b'"step": 9'), *lines[3:]])
    )
    head = read_head(storage)
    assert any("line 3 is damaged" in p for p in head.problems)
    assert [r["step"] for r in head.since] == [1]


class Blind(LocalStorage):
    """Nothing of the journal can be read but its end."""

    def read(self, name: str) -> bytes:
        raise AssertionError(f"{name} was read as a whole")


@pytest.mark.parametrize("empty", [False, True])
def test_the_archive_is_not_read_for_the_head(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, empty: bool
) -> None:
    """Nor where the last epoch's writer was killed before its first record."""
    monkeypatch.setattr(module, "WINDOW", 512)
    storage = LocalStorage(tmp_path)
    journal = Journal.open(storage)
    for step in range(40):
        journal.append("swap", step=step, moves=["x" * 50])
    journal = journal.next()
    journal.append("swap", step=40)
    if empty:
        storage.create(file_of(3))
    head = read_head(Blind(tmp_path))
    assert (head.epoch, head.seq, [r["step"] for r in head.since]) == (3 if empty else 2, 43, [40])


def test_of_epochs_without_snapshots_the_head_has_what_all_of_them_say(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        Journal, "snapshot", lambda self, kind, index=None, **facts: self.append(kind, **facts)
    )
    storage = LocalStorage(tmp_path)
    journal = Journal.open(storage)
    journal.append("checkpoint", step=2, folder="00000002", manifest="m")
    journal = journal.next()
    journal.append("checkpoint", step=4, folder="00000004", manifest="m")
    assert [e.step for e in read_head(storage).index] == [2, 4]


def test_a_record_tells_its_time_to_the_millisecond(tmp_path: Path) -> None:
    journal = Journal.open(LocalStorage(tmp_path), clock=lambda: 1.23456)
    assert journal.append("swap", step=1)["time"] == 1.235
