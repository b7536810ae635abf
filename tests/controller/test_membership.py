"""Generators join and leave while the others go on; numbers are stable; what is asked wrongly is
refused.
"""

import contextlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from raygan.config import full_dump
from raygan.controller.checkpoint import newest_valid
from raygan.controller.controller import Controller
from raygan.controller.inline import InlineExecutor
from raygan.controller.listener import as_listener
from raygan.controller.orders import Adopt, Done, Join
from raygan.controller.requests import BEFORE, Requests, file_of
from raygan.controller.run_folder import RunFolder, read_jsonl
from raygan.errors import Interrupted, PlayerDied
from raygan.gan.bundle import unpack
from raygan.gan.weights import digest
from raygan.service.resuming import resume_run
from raygan.service.runs.code import load_config
from raygan.service.runs.lineage import lineage
from raygan.service.runs.run import Run
from raygan.strategies.base import Setup
from raygan.strategies.orders import Swap, Train
from raygan.strategies.roles import JUDGE
from tests.conftest import setup_of, tiny_config


def run(
    tmp_path: Path,
    requests: dict[int, Any],
    monkeypatch: pytest.MonkeyPatch,
    executor: Callable[[Setup], InlineExecutor] = InlineExecutor,
    known: list[Controller] | None = None,
    **changes: Any,
) -> Controller:
    """A run that gets `requests[step]` (pairs) when the judge has reached that step."""
    monkeypatch.setattr("raygan.controller.membership.EVERY_S", 0.0)
    base: dict[str, Any] = {
        "strategy": {"name": "pmgan", "classes": 5},
        "loss": "reverse_kl",
        "num_pairs": 3,
        "steps": 24,
    }
    config = tiny_config(**{**base, "round_steps": 2, **changes})
    setup = setup_of(config)
    folder = RunFolder.create(tmp_path, "run")
    folder.write("config.json", json.dumps(full_dump(config)))
    folder.status(executor="inline", shape=(2,), status="running")

    def ask(c: Controller, done: Done) -> None:
        for step in [
            s
            for s in requests
            if min(c.state.done[p] for p in c.state.strategy.locals(c.state.config)) >= s
        ]:
            asked = requests.pop(step)
            for number, pairs in enumerate(asked if isinstance(asked, list) else [asked]):
                request = {"verb": "scale", "id": f"r{step}" + "bcd"[:number], "pairs": pairs}
                (folder.path / file_of(request)).write_text(json.dumps(request))

    controller = Controller(config, folder, lambda: executor(setup), [ask], 400)
    if known is not None:
        known.append(controller)
    controller.run()
    return controller


def waiting(path: Path) -> list[str]:
    return Requests(path).waiting()


def events(controller: Controller, *kinds: str) -> list[dict[str, Any]]:
    return [
        e for e in read_jsonl(controller.log.folder.path / "events.jsonl") if e["kind"] in kinds
    ]


@pytest.mark.parametrize("tempo", ["lockstep", "async"])
def test_generators_join_and_leave_while_the_others_go_on(
    tmp_path: Path, tempo: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("raygan.strategies.pmgan.judge.PATIENCE_S", 0.02)
    controller = run(tmp_path, {4: 5, 12: 2}, monkeypatch, tempo=tempo)
    found = events(controller, "join", "leave", "scale")
    assert [(e["kind"], e.get("player")) for e in found[:3]] == [
        ("join", "gen-03"),
        ("join", "gen-04"),
        ("scale", None),
    ]
    assert {e["player"] for e in found if e["kind"] == "leave"} == {"gen-02", "gen-03", "gen-04"}
    assert controller.state.players == ["gen-00", "gen-01", JUDGE]
    assert {controller.state.done[p] for p in controller.state.players} == {24}
    rows = read_jsonl(controller.log.folder.path / "metrics.jsonl")
    for player in ("gen-00", "gen-01"):
        assert (
            sum(r["steps"] for r in rows if r["kind"] == "train" and r["player"] == player) == 24
        ), "they never stopped"
    newcomer = [r for r in rows if r["kind"] == "train" and r["player"] == "gen-04"]
    assert 0 < sum(r["steps"] for r in newcomer) < 24
    final, _ = newest_valid(controller.log.folder.path)
    assert final is not None
    assert sorted(final.parts) == ["gen-00", "gen-01", JUDGE]
    assert final.extra["members"] == [0, 1]


def test_a_number_is_never_given_twice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    controller = run(tmp_path, {2: 2, 8: 3}, monkeypatch)
    assert [e["player"] for e in events(controller, "join", "leave")] == ["gen-02", "gen-03"]
    assert controller.state.config.ids == (0, 1, 3)
    assert load_config(controller.log.folder.path).ids == (0, 1, 3)


def test_a_scaled_run_resumes_with_its_members_bit_for_bit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    controller = run(tmp_path, {4: 4}, monkeypatch)
    folder = controller.log.folder.path
    final, _ = newest_valid(folder)
    assert final is not None
    resumed = resume_run(folder, extra_steps=4, inline=True)
    assert resumed.pairs == ["gen-00", "gen-01", "gen-02", "gen-03"]
    after, _ = newest_valid(folder)
    assert after is not None
    assert after.step == 28
    assert digest(unpack(after.parts["gen-03"])) != digest(unpack(final.parts["gen-03"]))


@pytest.mark.parametrize(
    ("pairs", "why"),
    [
        (
            6,
            (
                "num_pairs = 6: the classifier has 5 classes, one for each generator that ever"
                " takes part"
            ),
        ),
        (0, "--pairs 0: at least 1 must stay"),
        ("many", "invalid literal"),
    ],
)
def test_what_cannot_be_is_refused_and_the_run_goes_on(
    tmp_path: Path, pairs: Any, why: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    controller = run(tmp_path, {4: pairs}, monkeypatch)
    (refused,) = events(controller, "refused")
    assert why in refused["why"]
    assert refused["request"] == "r4" or pairs == "many"
    assert set(controller.state.done.values()) == {24}
    assert not waiting(controller.log.folder.path)


def test_who_would_wait_for_ever_for_a_gpu_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Full(InlineExecutor):
        def no_room(self, players: int) -> str | None:
            return f"{players} more players need 1 GPUs each" if players > 1 else None

    monkeypatch.setattr("raygan.controller.membership.ROOM_S", 0.0)
    controller = run(tmp_path, {4: 5, 8: 4, 12: 2}, monkeypatch, Full)
    (refused,) = events(controller, "refused")
    assert refused["why"] == "--pairs 5: 2 more players need 1 GPUs each"
    assert [e["pairs"] for e in events(controller, "scale")] == [4, 2]
    assert set(controller.state.done.values()) == {24}


def test_room_that_comes_a_moment_later_is_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int] = []

    class Late(InlineExecutor):
        def no_room(self, players: int) -> str | None:
            asked.append(players)
            return "room for 0 of 1 newcomers" if len(asked) < 3 else None

    controller = run(tmp_path, {4: 4}, monkeypatch, Late)
    assert asked == [1, 1, 1]
    assert [e["pairs"] for e in events(controller, "scale")] == [4]
    assert not events(controller, "refused")


def test_pairs_that_share_weights_cannot_be_scaled(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shared = {"name": "independent", "share_weights": True}
    controller = run(
        tmp_path, {2: 4}, monkeypatch, strategy=shared, num_pairs=2, loss="non_saturating"
    )
    assert "with shared weights: its members are fixed" in events(controller, "refused")[0]["why"]


ELASTIC: dict[str, Any] = {
    "independent": {"name": "independent"},
    "gap": {"name": "gap", "swap_every": 3},
    "sgan": {"name": "sgan"},
    "sgan over gap": {"name": "sgan", "over": {"name": "gap", "swap_every": 3}},
    "sgan over pmgan": {"name": "sgan", "over": {"name": "pmgan", "classes": 6}},
}


@pytest.mark.parametrize("tempo", ["lockstep", "async"])
@pytest.mark.parametrize("kind", ELASTIC)
def test_every_strategy_takes_joiners_and_lets_members_go(
    tmp_path: Path, kind: str, tempo: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("raygan.strategies.pmgan.judge.PATIENCE_S", 0.02)
    controller = run(
        tmp_path,
        {4: 5, 8: 2},
        monkeypatch,
        strategy=ELASTIC[kind],
        tempo=tempo,
        num_pairs=3,
        loss="non_saturating",
    )
    locals_ = controller.state.strategy.locals(controller.state.config)
    assert [p[-2:] for p in locals_] == ["00", "01"]
    assert [e["player"][-2:] for e in events(controller, "join")] == ["03", "04"]
    assert sorted(e["player"][-2:] for e in events(controller, "leave")) == ["02", "03", "04"]
    assert {controller.state.done[p] for p in controller.state.players} == {24}
    final, problems = newest_valid(controller.log.folder.path)
    assert final is not None
    assert problems == []
    assert sorted(final.parts) == sorted(controller.state.players)
    run_ = Run.load(controller.log.folder.path)
    assert set(lineage(run_).generators) >= set(locals_)
    if kind == "sgan":
        copies = [k.split(".")[1] for k in unpack(final.parts["global"]) if k.endswith(".version")]
        assert sorted(copies) == locals_


def test_a_run_whose_members_changed_resumes_bit_for_bit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SGAN over GAP in lockstep, with a joiner and a leaver at the same steps: stopped in the
    middle, or not.
    """
    changes: dict[str, Any] = {
        "strategy": ELASTIC["sgan over gap"],
        "loss": "non_saturating",
        "num_pairs": 3,
    }
    whole = run(tmp_path / "whole", {4: 4, 12: 3}, monkeypatch, **changes)
    half = run(tmp_path / "half", {4: 4, 12: 3}, monkeypatch, **changes, steps=16)
    assert [(e["kind"], e["player"], e["step"]) for e in events(whole, "join", "leave")] == [
        (e["kind"], e["player"], e["step"]) for e in events(half, "join", "leave")
    ]
    resume_run(half.log.folder.path, extra_steps=8, inline=True)
    digests = []
    for controller in (whole, half):
        final, _ = newest_valid(controller.log.folder.path)
        assert final is not None
        assert final.step == 24
        digests.append({p: digest(unpack(raw)) for p, raw in final.parts.items()})
    assert digests[0] == digests[1]


class Broken(InlineExecutor):
    """Somebody on whom all lean dies once, right after the members have changed; or the driver."""

    def __init__(self, setup: Any, struck: list[str], controller: list[Controller], how: str):
        super().__init__(setup)
        self.struck, self.controller, self.how = struck, controller, how

    def wait(self, timeout_s: float) -> list[Done]:
        state = self.controller[0].state
        if not self.struck and state.config.ids != (0, 1, 2) and min(state.done.values()) >= 8:
            self.struck.append("judge")
            if self.how == "driver":
                raise KeyboardInterrupt
            raise PlayerDied(state.players[-1], "killed")
        return super().wait(timeout_s)


@pytest.mark.parametrize("how", ["player", "driver"])
@pytest.mark.parametrize("pairs", [5, pytest.param(2, marks=pytest.mark.exhaustive)])
@pytest.mark.parametrize("tempo", ["lockstep", "async"])
@pytest.mark.parametrize(
    "kind", ["pmgan", "gap", pytest.param("sgan over gap", marks=pytest.mark.exhaustive)]
)
def test_what_was_answered_is_not_undone_by_a_death_before_the_next_checkpoint(
    tmp_path: Path, kind: str, tempo: str, pairs: int, how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All go back to a checkpoint with the members of before: they change again, at the same step,
    into the same ones.
    """
    for part in ("judge", "answers"):
        monkeypatch.setattr(f"raygan.strategies.pmgan.{part}.PATIENCE_S", 0.01)
    strategy = ELASTIC.get(kind, {"name": "pmgan", "classes": 5})
    changes: dict[str, Any] = {
        "strategy": strategy,
        "tempo": tempo,
        "checkpoint": {"every_steps": 5},
        "loss": "non_saturating",
    }
    struck, known = list[str](), list[Controller]()
    with pytest.raises(KeyboardInterrupt) if how == "driver" else contextlib.nullcontext():
        run(
            tmp_path / "struck", {5: pairs}, monkeypatch, **changes,
            executor=lambda setup: Broken(setup, struck, known, how), known=known,
        )  # fmt: skip
    assert struck
    if how == "driver":
        before, _ = newest_valid(known[0].log.folder.path)
        assert before is not None
        missing = before.extra["members"] != list(known[0].state.config.ids)
        assert waiting(known[0].log.folder.path) or not missing
        resume_run(known[0].log.folder.path, inline=True)
    whole = run(tmp_path / "whole", {5: pairs}, monkeypatch, **changes)
    finals = [newest_valid(c.log.folder.path)[0] for c in (known[0], whole)]
    assert finals[0] is not None
    assert finals[1] is not None
    assert finals[0].extra["members"] == finals[1].extra["members"] == list(whole.state.config.ids)
    assert set(finals[0].steps.values()) == {24}
    assert not waiting(known[0].log.folder.path)
    if tempo == "lockstep":
        bits = [{p: digest(unpack(raw)) for p, raw in f.parts.items()} for f in finals if f]
        assert bits[0] == bits[1]


def taken_up(tmp_path: Path, strategy: Any = "independent", **request: Any) -> Controller:
    """A run in lockstep that has gone back to before a request that it had taken up."""
    config = tiny_config(num_pairs=3, steps=24, round_steps=2, strategy=strategy)
    folder = RunFolder.create(tmp_path, "run")
    folder.write("config.json", json.dumps(full_dump(config)))
    folder.status(executor="inline", shape=(2,), status="running")
    folder.write(BEFORE, json.dumps({"id": "r", "verb": "scale", **request}))
    setup = setup_of(config)
    return Controller(config, folder, lambda: InlineExecutor(setup), [], 400)


@pytest.mark.parametrize("members", [[0, 1, 2], None])
def test_a_request_with_nothing_left_to_do_stays_until_a_checkpoint_has_its_members(
    tmp_path: Path, members: list[int] | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its members are the run's, whose driver may go down before that is committed."""
    monkeypatch.setattr("raygan.controller.membership.EVERY_S", 0.0)
    controller = taken_up(tmp_path, pairs=3, **({"members": members} if members else {}))
    path, there = controller.log.folder.path, list[tuple[bool, bool]]()

    def look(c: Controller, done: Done) -> None:
        there.append((newest_valid(path)[0] is not None, bool(waiting(path))))

    controller.listeners = [as_listener(look)]
    controller.run()
    assert {waits for committed, waits in there if not committed} == {True}
    assert any(committed for committed, _ in there)
    assert not waiting(path)
    assert [(e["pairs"], e["why"]) for e in events(controller, "scale")] == [(3, "nothing to do")]


def test_members_change_again_at_the_step_of_the_first_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("raygan.controller.membership.EVERY_S", 0.0)
    controller = taken_up(tmp_path, pairs=5, members=[0, 1, 2, 6, 7], at=9)
    controller.run()
    assert [(e["player"], e["step"]) for e in events(controller, "join")] == [
        ("pair-06", 9), ("pair-07", 9),
    ]  # fmt: skip


def test_a_run_that_is_stopped_before_that_step_ends_and_the_request_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("raygan.controller.membership.EVERY_S", 0.0)
    controller = taken_up(tmp_path, pairs=5, members=[0, 1, 2, 3, 4], at=9)

    def stop(c: Controller, done: Done) -> None:
        if min(c.state.done.values()) == 6:
            c.stop(15)

    controller.listeners.append(as_listener(stop))
    with pytest.raises(Interrupted):
        controller.run()
    assert controller.state.config.ids == (0, 1, 2)
    resume_run(controller.log.folder.path, inline=True)
    assert load_config(controller.log.folder.path).ids == (0, 1, 2, 3, 4)
    assert {e["step"] for e in events(controller, "join")} == {9}


@pytest.mark.parametrize(
    ("degraded", "request_", "members"),
    [
        (
            {"scores": "its evaluator died"},
            {"pairs": 5, "members": [0, 1, 2, 3, 4]},
            (0, 1, 2, 3, 4),
        ),
        ({"pair-00": "NaN"}, {"pairs": 1, "members": [0]}, (1,)),
        ({"pair-00": "NaN"}, {"pairs": 2, "members": [0, 3]}, (1, 2)),
        ({}, {"pairs": 5, "members": [0, 1, 2, 3, 4], "tries": 3}, (0, 1, 2)),
    ],
)
def test_what_happened_since_is_heeded_and_nobody_tries_for_ever(
    tmp_path: Path, degraded: dict[str, str], request_: dict[str, Any], members: tuple[int, ...],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setattr("raygan.controller.membership.EVERY_S", 0.0)
    controller = taken_up(tmp_path, **request_, at=4)
    controller.state.failures.degraded |= degraded
    if "pair-00" in degraded:
        controller.log.set_members([1, 2])
    controller.run()
    assert controller.state.config.ids == members
    refused = events(controller, "refused")
    assert [e["why"][:30] for e in refused] == (
        ["--pairs 5: carried out 3 times"] if "tries" in request_ else []
    )
    assert not waiting(controller.log.folder.path)


@pytest.mark.parametrize(("asked_after", "step"), [(Train, 6), (Swap, 7), (Adopt, 7)])
def test_members_never_change_at_a_step_whose_swaps_had_those_of_before(
    tmp_path: Path, asked_after: type, step: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else a run that went back would swap among others at that step. Asked before the swaps of a
    step, members change before them.
    """
    monkeypatch.setattr("raygan.controller.membership.EVERY_S", 0.0)
    controller = taken_up(tmp_path, strategy={"name": "gap", "swap_every": 3})
    (controller.log.folder.path / BEFORE).unlink()
    asked: list[int] = []

    def ask(c: Controller, done: Done) -> None:
        at = done.order.swap.step if isinstance(done.order, Adopt) else c.state.furthest
        if isinstance(done.order, asked_after) and at == 6 and not asked:
            asked.append(at)
            c.asked({"verb": "scale", "id": "r", "pairs": 4})

    controller.listeners.append(as_listener(ask))
    controller.run()
    (join,) = events(controller, "join")
    assert join["step"] == step
    members = {e["step"]: len(e["players"]) for e in events(controller, "swap")}
    assert members[6] == (4 if step == 6 else 3)


def test_a_request_that_is_refused_leaves_the_one_before_it_in_force(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    controller = run(tmp_path, {4: 4, 6: 99}, monkeypatch, checkpoint={"every_steps": 12})
    assert [e["kind"] for e in events(controller, "scale", "refused")] == ["scale", "refused"]
    assert controller.state.config.ids == (0, 1, 2, 3)
    assert not waiting(controller.log.folder.path)


@pytest.mark.parametrize("tempo", ["lockstep", "async"])
def test_of_two_requests_at_once_neither_is_lost(
    tmp_path: Path, tempo: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("raygan.strategies.pmgan.judge.PATIENCE_S", 0.02)
    controller = run(tmp_path, {4: [5, 2]}, monkeypatch, tempo=tempo)
    answers = [(e["request"], e["pairs"]) for e in events(controller, "scale")]
    assert answers == [("r4", 5), ("r4b", 2)], "in the order in which they were asked"
    assert controller.state.config.ids == (0, 1)
    assert not waiting(controller.log.folder.path)


def test_a_joiner_that_is_up_too_late_is_sent_away(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its actor takes so long that the run is over: nobody would answer it."""
    original = InlineExecutor.submit

    def slow(self: InlineExecutor, order: Any) -> None:
        original(self, order)
        joins = [o for o in self.queue if isinstance(o, Join)]
        for join in joins:  # always last
            self.queue.remove(join)
            self.queue.append(join)

    monkeypatch.setattr(InlineExecutor, "submit", slow)
    monkeypatch.setattr("raygan.strategies.pmgan.judge.PATIENCE_S", 0.02)
    controller = run(tmp_path, {4: 4}, monkeypatch, tempo="async")
    (refused,) = events(controller, "refused")
    assert "gen-03 was up after the run's last step" in refused["why"]
    assert controller.state.players == ["gen-00", "gen-01", "gen-02", JUDGE]
    final, _ = newest_valid(controller.log.folder.path)
    assert final is not None
    assert sorted(final.parts) == controller.state.players
