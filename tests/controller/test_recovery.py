"""What each failure leads to: (state, failure) -> decision, as a table; nothing is carried out
here.
"""

from collections.abc import Sequence
from typing import Any

import pytest

from raygan.controller.checkpoint import Checkpoint
from raygan.controller.recovery import Restart, Retire, Revive, Stop, together, underway
from raygan.controller.state import RunState
from raygan.controller.totals import Totals
from raygan.errors import NonFiniteError, PlayerDied
from tests.conftest import tiny_config

PAIRS = ["pair-00", "pair-01", "pair-02"]
HAVE = Checkpoint(
    8,
    {p: p.encode() for p in [*PAIRS, "global"]},
    dict.fromkeys([*PAIRS, "global"], 8),
    {"members": [0, 1, 2]},
)
WHOLE, NONE, DAMAGED = (HAVE, []), (None, []), (None, ["00000008 is damaged."])


def state(**changes: Any) -> RunState:
    base: dict[str, Any] = {"strategy": {"name": "sgan"}, "num_pairs": 3, "tempo": "async"}
    return RunState(tiny_config(**{**base, **changes}), Totals())


def died(player: str = "pair-01", kind: Any = "death", along: Sequence[str] = ()) -> PlayerDied:
    return PlayerDied(player, "worker killed", kind, along)


def test_in_async_one_comes_back_alone_from_its_part() -> None:
    assert underway(state(), died(), lambda: WHOLE) == [Revive("pair-01", 8, b"pair-01", 8)]


def test_in_async_all_of_a_process_come_back_and_nobody_else() -> None:
    death = died("pair-01", along=["pair-02"])
    assert underway(state(), death, lambda: WHOLE) == [
        Revive("pair-01", 8, b"pair-01", 8), Revive("pair-02", 8, b"pair-02", 8),
    ]  # fmt: skip


def test_of_a_process_only_those_without_a_part_begin_anew() -> None:
    parts = {p: raw for p, raw in HAVE.parts.items() if p != "pair-02"}
    have = Checkpoint(8, parts, HAVE.steps, HAVE.extra)
    found = underway(state(), died("pair-01", along=["pair-02"]), lambda: (have, []))
    assert [(back.player, back.step, back.saved) for back in found] == [
        ("pair-01", 8, 8), ("pair-02", 0, None),
    ]  # fmt: skip


def test_a_process_that_dies_again_on_the_way_back_comes_back_again() -> None:
    s = state()
    s.set_members([0])
    s.away |= {"pair-01", "pair-02"}
    death = died("pair-01", along=["pair-02"])
    assert [back.player for back in underway(s, death, lambda: WHOLE)] == ["pair-01", "pair-02"]
    assert s.belonging == [0, 1, 2]


def test_before_the_first_checkpoint_it_begins_anew() -> None:
    assert underway(state(), died(), lambda: NONE) == [Revive("pair-01", 0, None, None)]


def test_what_was_passed_over_is_named() -> None:
    found = underway(state(), died(), lambda: (HAVE, ["00000012 is damaged."]))
    assert [back.problems for back in found] == [("00000012 is damaged.",)]


def stopping(s: RunState) -> None:
    s.stop_signal = 15


def leaving(s: RunState) -> None:
    s.leaving["pair-00"] = "drained"


def alone(s: RunState) -> None:
    s.set_members([0])
    s.away |= {"pair-01", "pair-02"}


def spent(s: RunState) -> None:
    s.failures.counts["death"] = 3


ALONE: dict[str, tuple[dict[str, Any], Any, PlayerDied, Any]] = {
    "lockstep": ({"tempo": "lockstep"}, None, died(), WHOLE),
    "somebody that the others need": ({}, None, died("global"), WHOLE),
    "the last of all": ({"num_pairs": 1}, None, died("pair-00"), WHOLE),
    "all of them in one process": ({}, None, died("pair-00", along=PAIRS[1:]), WHOLE),
    "somebody that the others need beside it": ({}, None, died(along=["global"]), WHOLE),
    "the last process, while the others are away": ({}, alone, died("pair-00"), WHOLE),
    "a newcomer that is no member yet": ({}, None, died("pair-03"), WHOLE),
    "the run stops": ({}, stopping, died(), WHOLE),
    "all halt for a notice": ({}, leaving, died(), WHOLE),
    "the budget is spent": ({}, spent, died(), WHOLE),
    "another action is configured": ({"failures": {"death": "without"}}, None, died(), WHOLE),
    "nothing whole is left": ({}, None, died(), DAMAGED),
}


@pytest.mark.parametrize("case", ALONE)
def test_nobody_comes_back_alone_where_that_cannot_be(case: str) -> None:
    changes, prepare, death, found = ALONE[case]
    s = state(**changes)
    if prepare:
        prepare(s)
    assert underway(s, death, lambda: found) == []


TOGETHER: dict[str, tuple[str, Any, type]] = {
    "from the newest": ("restart", WHOLE, Restart),
    "from the beginning": ("restart", NONE, Restart),
    "without it": ("without", WHOLE, Retire),
    "without it, before the first checkpoint": ("without", NONE, Retire),
    "the end": ("stop", WHOLE, Stop),
    "nothing whole is left": ("restart", DAMAGED, Stop),
    "nothing whole is left of the others": ("without", DAMAGED, Stop),
}


@pytest.mark.parametrize("case", TOGETHER)
@pytest.mark.parametrize(
    "failure", [died(), NonFiniteError("pair-01", "loss_d is NaN")], ids=["death", "NaN"]
)
def test_everybody_goes_back_or_the_run_ends(case: str, failure: Any) -> None:
    action, found, kind = TOGETHER[case]
    decision = together(state(), failure, action, lambda: found)
    assert type(decision) is kind
    assert list(decision.problems) == ([] if action == "stop" else found[1])
    if isinstance(decision, Restart):
        assert decision.checkpoint is found[0]


def test_whoever_is_retired_leaves_its_part_and_its_number_behind() -> None:
    decision = together(state(), died(), "without", lambda: WHOLE)
    assert isinstance(decision, Retire)
    assert decision.checkpoint is not None
    assert set(decision.checkpoint.parts) == {"pair-00", "pair-02", "global"}
    assert decision.checkpoint.extra["members"] == [0, 2]
    assert set(HAVE.parts) == {*PAIRS, "global"}, "the one on disk is as it was"


def test_a_stop_reads_no_checkpoint() -> None:
    assert together(state(), died(), "stop", lambda: pytest.fail("it is read")) == Stop()
