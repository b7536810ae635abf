"""Records that events.jsonl lacks come to stand where the journal has them."""

from typing import Any

import pytest

from raygan.service.runs.event_order import woven

KINDS = ("swap", "leave")


def swap(step: int, time: float) -> dict[str, Any]:
    moves = [{"player": "pair-00", "from": "pair-01", "identity": "pair-01", "at": step}]
    return {"kind": "swap", "step": step, "time": time, "moves": moves}


def back(kind: str, step: int, time: float) -> dict[str, Any]:
    return {"kind": kind, "step": step, "time": time, "swapped": {}}


@pytest.mark.parametrize("clock", [1.0, -1.0, 0.0])
@pytest.mark.parametrize("lost", range(5))
def test_a_swap_is_put_back_whatever_the_clock_says(lost: int, clock: float) -> None:
    whole = [swap(4 * i, 100 + clock * i) for i in range(5)]
    there = [*whole[:lost], *whole[lost + 1 :]]
    assert woven(there, whole, KINDS) == whole


@pytest.mark.parametrize("lost", ["first", "second", "both"])
@pytest.mark.parametrize("kind", ["restart", "resume"])
def test_of_two_alike_the_one_that_is_lost_is_put_back(kind: str, lost: str) -> None:
    """Before a return to a checkpoint, and done again after it."""
    first, again = swap(4, 10.0), swap(4, 20.0)
    events = [first, back(kind, 0, 14.0), again]
    records = [back("resume", 0, 1.0), first, back("resume", 0, 15.0), again]
    gone = {"first": [first], "second": [again], "both": [first, again]}[lost]
    there = [e for e in events if e not in gone]
    assert woven(there, records, KINDS) == events


def test_between_two_records_it_is_by_time_and_other_lines_stay() -> None:
    other = [{"kind": "warning", "step": 0, "time": t, "name": "W101"} for t in (2.0, 4.0, 3.0)]
    leave = {"kind": "leave", "step": 6, "time": 3.5, "player": "pair-01"}
    records = [swap(4, 1.0), leave, swap(8, 9.0)]
    told = [records[0], *other, records[2]]
    assert woven(told, records, KINDS) == [records[0], other[0], leave, *other[1:], records[2]]


def test_records_of_other_kinds_and_unknown_lines_are_left() -> None:
    odd = {"kind": "checkpoint", "step": 4, "time": 2.0, "bytes": 1}
    records = [{"kind": "checkpoint", "step": 8, "time": 1.0, "folder": "00000008"}]
    assert woven([odd], records, KINDS) == [odd]
