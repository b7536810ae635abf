"""One writer at a time, decided by the storage; a chain that shows every damage; stale records are not part of it."""

import json
import threading
from pathlib import Path

import pytest

from raygan.controller.journal import Journal, committed, file_of, read_journal
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
    stale.fence = lambda: None  # type: ignore[method-assign]  # between its look and its write the other one opened the run
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
        assert (len(history.records) == 2) == (length == len(whole) - 1), "all but the line's end is there"


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


def test_going_on_from_an_earlier_checkpoint_undoes_the_later_ones(tmp_path: Path) -> None:
    journal = Journal.open(LocalStorage(tmp_path))
    for step in (4, 8, 12):
        journal.append("checkpoint", step=step, steps={"pair-00": step})
    journal = journal.next()
    journal.append("resume", step=8, steps={"pair-00": 8})
    journal.append("checkpoint", step=16, steps={"pair-00": 16})
    assert [e.step for e in committed(read_journal(journal.storage).records)] == [4, 8, 16]


def test_what_was_committed_until_an_epoch_is_taken_counts(tmp_path: Path) -> None:
    """The older writer's last record, just before the newer one's file is there, is on disk: it belongs to the journal."""

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
