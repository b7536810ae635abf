"""What a run has done and spent goes on over its lives; nothing is counted twice, nothing begins at
nought.
"""

import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from raygan.controller import totals as module
from raygan.controller.ledger import Ledger, steps_done
from raygan.controller.orders import Adopt, Done
from raygan.controller.recorder import PendingRow
from raygan.controller.totals import ANYBODY, Totals, absorb, newest_first
from raygan.strategies.orders import Swap, Train

SPENT = Totals(
    30.0,
    {"pair-00": 4.0},
    5,
    1,
    {"W101": 2},
    {"died": 1},
    {"pair-03": "NaN"},
    {8: {ANYBODY: ("fid", 3.0)}},
    {0, 1, 4},
)


def test_what_is_dumped_is_read_again_through_json() -> None:
    dumped = json.loads(json.dumps(SPENT.dump(42.5)))
    assert Totals.read(dumped) == replace(SPENT, elapsed=42.5)
    assert dumped["seen"] == [0, 1, 4]
    assert Totals.read({}) == Totals(), "a run of before there were totals"


def test_scores_are_kept_of_checkpoints_that_are_there_and_of_steps_to_come() -> None:
    totals = Totals(headlines={s: {"pair-00": ("fid", float(s))} for s in (4, 8, 12, 16)})
    totals.prune({4}, 12)
    assert sorted(totals.best) == [4, 16]


def test_rows_after_the_snapshot_are_counted_once() -> None:
    totals = Totals(elapsed=10.0, busy={"pair-00": 1.0})
    score: dict[str, Any] = {"kind": "score", "elapsed": 13.0}
    rows = [
        {"kind": "train", "player": "pair-01", "seconds": 2.0, "elapsed": 14.0},
        score,
        {"kind": "train", "player": "pair-01", "elapsed": 12.5},
        {"kind": "train", "player": "pair-00", "seconds": 3.0, "elapsed": 12.0},
        {"kind": "train", "player": "pair-00", "seconds": 99.0, "elapsed": 10.0},
        {"kind": "train", "player": "pair-00", "seconds": 99.0, "elapsed": 11.0},
    ]
    assert totals.catch_up(rows) == [score]
    assert totals.elapsed == 14.0
    assert totals.busy == {"pair-00": 4.0, "pair-01": 2.0}
    assert totals.catch_up([{"kind": "train", "player": "pair-00", "seconds": 1.0}]) == []
    assert totals.busy["pair-00"] == 4.0, "a row that tells no time is of before"


def test_records_after_the_snapshot_are_added_to_it() -> None:
    since: list[dict[str, Any]] = [
        {"kind": "swap"},
        {"kind": "join", "members": [3, 0]},
        {"kind": "swap"},
        {"kind": "retire", "player": "pair-01", "why": "NaN"},
        {"kind": "checkpoint", "members": [9], "player": "x", "why": ""},
    ]
    before = {"swaps": 5, "seen": [1, 0], "degraded": {"pair-02": "died"}}
    assert absorb(before, since) == {
        "swaps": 7, "seen": [0, 1, 3], "degraded": {"pair-02": "died", "pair-01": "NaN"},
    }  # fmt: skip
    assert before["swaps"] == 5
    assert absorb({}, []) == {"swaps": 0, "seen": [], "degraded": {}}


@pytest.mark.parametrize("block", [1, 2, 7, 1 << 16])
def test_lines_come_from_the_end_whatever_the_size_of_a_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, block: int
) -> None:
    monkeypatch.setattr(module, "BLOCK", block)
    path = tmp_path / "metrics.jsonl"
    assert list(newest_first(path)) == []
    path.write_text('{"a": 0}\n{"a": 1}\n[]\n{"a": 2}\nhalf {"a":\n{"a": 3}\n{"a": 4')
    assert [row["a"] for row in newest_first(path)] == [3, 2, 1, 0]
    path.write_text("")
    assert list(newest_first(path)) == []


def test_a_ledger_goes_on_from_what_a_checkpoint_keeps_of_it() -> None:
    before = Ledger({"a": 4, "b": 6}, {"a": 2}, {"a": 0.5, "b": 0.25})
    after = Ledger.begin(["a", "b", "c"], before.done, before.extra())
    assert (after.done, after.swapped, after.losses) == (
        {"a": 4, "b": 6, "c": 0},
        {"a": 2},
        {"a": 0.5, "b": 0.25},
    )
    assert after.ready(["a", "b", "c"]) == ["a", "b", "c"]
    after.in_flight["b"] = 3
    after.left("b")
    assert after.extra() == {"swapped": {"a": 2}, "losses": {"a": 0.5}}
    assert (after.ready(["a", "b", "c"]), after.done, after.in_flight) == (
        ["a", "c"],
        {"a": 4, "c": 0},
        {},
    )
    assert Ledger.begin(["a"], {}, {}).extra() == {"swapped": {}, "losses": {}}


@pytest.mark.parametrize("cut", [[12], [5, 7], [1, 4, 1, 6]])
@pytest.mark.parametrize("saved", [False, True])
def test_a_loss_is_the_mean_since_the_last_meeting_however_rounds_were_cut(
    cut: list[int], saved: bool
) -> None:
    ledger, by_step = Ledger({"a": 0, "b": 0, "c": 0}), [float(i * i) for i in range(24)]
    for begin in (0, 12):
        at = begin
        for steps in cut:
            if saved:
                ledger = Ledger.begin(["a", "b", "c"], ledger.done, ledger.extra())
            mean = sum(by_step[at : at + steps]) / steps
            for player in "abc":
                ledger.carried_out(Done(Train(player, steps), {"loss_d": mean}, 0.0))
            at += steps
        for player in "abc":  # c has nobody to swap with
            expected = sum(by_step[begin : begin + 12]) / 12
            assert ledger.losses[player] == pytest.approx(expected)
        swap = Swap(begin + 12, (("a", "b"), ("b", "a")), "D", "all")
        ledger.carried_out(Done(Adopt(swap), None, 0.0))


def test_what_players_said_of_themselves_goes_along() -> None:
    ledger = Ledger({"a": 4}, own={"a": {"distance": 0.5}})
    assert Ledger.begin(["a"], {"a": 4}, ledger.extra()).own == {"a": {"distance": 0.5}}


def test_a_ledger_keeps_what_joiners_were_behind_and_forgets_it_with_them() -> None:
    ledger = Ledger({"a": 40, "b": 50})
    ledger.joined("c", 15)
    assert ledger.extra()["credit"] == {"c": 25}
    again = Ledger.begin(["a", "b", "c"], ledger.done, ledger.extra())
    assert again.progress.credit == {"c": 25}
    again.holds(["c"])
    again.held_s["c"] = 1.0
    again.left("c")
    assert (again.credit, again.held, again.held_s) == ({}, {}, {})
    assert "credit" not in again.extra()


def test_waiting_after_the_snapshot_is_counted_by_player() -> None:
    totals = Totals(elapsed=10.0, waited={"a": 1.0})
    row = {"kind": "train", "player": "a", "seconds": 2.0, "elapsed": 11.0}
    totals.catch_up(
        [{**row, "wait_s": 0.5, "held_s": 0.25}, {**row, "player": "b", "wait_s": 2.0}, row]
    )
    assert totals.waited == {"a": 1.75, "b": 2.0}


def test_a_row_tells_the_steps_that_were_done_and_their_means() -> None:
    """async: a round may end early; it counts as long as it was."""
    short, whole = (
        {"steps_done": 3.0, "loss_g": 10.0, "seconds": 1.0},
        {"loss_g": 1.0, "seconds": 2.0},
    )
    row = PendingRow(0)
    for report in (short, whole):
        row.add(steps_done(27, report), report)
    assert (row.begin, row.steps) == (0, 30)
    assert row.report() == {"loss_g": pytest.approx((3 * 10 + 27 * 1) / 30), "seconds": 3.0}
    nothing = PendingRow(5)
    nothing.add(0, {"steps_done": 0.0, "wait_s": 2.0, "updates": 7.0, "lag": 3.0})
    assert nothing.report() == {"wait_s": 2.0, "updates": 7.0}


def test_scores_of_steps_that_were_undone_go_and_those_of_others_stay() -> None:
    totals = Totals.read({"best": {"8": ["fid", 1.0], "16": ["fid", 0.5]}})
    for player, step, value in (
        ("a", 8, 4.0),
        ("a", 16, 2.0),
        ("b", 16, 3.0),
        ("mixture", 16, 1.0),
    ):
        totals.scored(player, step, ("fid", value))
    assert totals.best == {8: ("fid", 1.0), 16: ("fid", 0.5)}, "the lowest"
    totals.undo({"a": 8, "mixture": 8}, otherwise=math.inf)
    assert totals.headlines[16] == {ANYBODY: ("fid", 0.5), "b": ("fid", 3.0)}
    totals.undo({"b": 16, ANYBODY: 12}, otherwise=0)
    assert totals.headlines == {8: {ANYBODY: ("fid", 1.0)}, 16: {"b": ("fid", 3.0)}}
    totals.scored("b", 16, ("fid", 9.0))
    assert totals.best[16] == ("fid", 9.0), "scored again, it has its last score"
    totals.only(16, ["a"])
    assert sorted(totals.best) == [8], "who scored that is not in the checkpoint"
