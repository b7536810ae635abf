"""Watching never stops training; a machine that gives notice costs nobody a step."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from raygan.config import full_dump
from raygan.controller.checkpoint import newest_valid
from raygan.controller.controller import Controller
from raygan.controller.hang_stacks import last_frames
from raygan.controller.inline import InlineExecutor
from raygan.controller.run_folder import RunFolder, read_jsonl
from raygan.errors import Interrupted, Leaving, PlayerDied
from raygan.gan.bundle import unpack
from raygan.gan.weights import digest
from raygan.service.verify import final_states
from raygan.strategies.base import Setup
from raygan.strategies.roles import JUDGE
from tests.conftest import setup_of, tiny_config

STEPS = 24


class Leaver(InlineExecutor):
    """`notices`: (player, step, why): from that step on its machine has given notice, until it was
    made anew.
    """

    def __init__(self, setup: Setup, notices: list[tuple[str, int, str]]) -> None:
        super().__init__(setup)
        self.notices = notices
        self.told: list[PlayerDied] = []

    def leaving(self) -> dict[str, str]:
        out = dict[str, str]()
        for player, step, why in self.notices:
            at = (
                self.players[player].step
                if player in self.players
                else max(p.step for p in self.players.values())
            )
            if at >= step:
                out.setdefault(player, why)
        return out

    def start(self, *args: Any, **kwargs: Any) -> None:
        self.notices = (
            [n for n in self.notices if n[2] not in set(self.leaving().values())]
            if self.players
            else self.notices
        )
        super().start(*args, **kwargs)

    def remove(self, player: str) -> None:
        self.notices = [n for n in self.notices if n[0] != player]
        super().remove(player)

    def mishaps(self) -> list[PlayerDied]:
        told, self.told = self.told, []
        return told


def run(tmp_path: Path, executor: Callable[[Setup], InlineExecutor], **changes: Any) -> Controller:
    config = tiny_config(**{"steps": STEPS, "num_pairs": 3, **changes})
    setup = setup_of(config)
    folder = RunFolder.create(tmp_path, "run")
    folder.write("config.json", json.dumps(full_dump(config)))
    controller = Controller(config, folder, lambda: executor(setup), [], 400)
    controller.run()
    return controller


def told(controller: Controller, *kinds: str) -> list[dict[str, Any]]:
    return [
        e for e in read_jsonl(controller.log.folder.path / "events.jsonl") if e["kind"] in kinds
    ]


def trained(controller: Controller) -> dict[str, int]:
    """Steps that each player has done, those that were done twice counted twice."""
    rows = [
        r for r in read_jsonl(controller.log.folder.path / "metrics.jsonl") if r["kind"] == "train"
    ]
    return {p: sum(r["steps"] for r in rows if r["player"] == p) for p in controller.state.players}


def bits(parts: Mapping[str, bytes]) -> dict[str, str]:
    return {p: digest(unpack(raw)) for p, raw in parts.items()}


def final(controller: Controller) -> dict[str, str]:
    checkpoint, problems = newest_valid(controller.log.folder.path)
    assert checkpoint is not None
    assert problems == []
    return bits(checkpoint.parts)


# --------------------------------------------------------------------------------------------------
# notice


@pytest.mark.parametrize(
    "strategy",
    ["independent", "sgan", {"name": "gap", "swap_every": 3}, {"name": "pmgan", "classes": 3},
     {"name": "sgan", "over": {"name": "gap", "swap_every": 4}}],
)  # fmt: skip
def test_in_lockstep_notices_cost_no_step_and_leave_no_trace(tmp_path: Path, strategy: Any) -> None:
    """Five of them, of a run with a budget of three for other failures."""
    member = "gen-01" if "pmgan" in str(strategy) else "pair-01"
    notices = [(member, step, f"node {step}") for step in (3, 7, 8, 13, 22)]
    controller = run(
        tmp_path, lambda setup: Leaver(setup, notices), strategy=strategy, round_steps=3
    )
    setup = setup_of(controller.state.config)
    assert final(controller) == bits(
        final_states(controller.state.config, lambda: InlineExecutor(setup))
    )
    assert trained(controller) == dict.fromkeys(controller.state.players, STEPS)
    restarts = told(controller, "notice", "restart")
    assert [e["kind"] for e in restarts] == ["notice", "restart"] * 5
    assert all(restarts[i]["step"] <= restarts[i + 1]["step"] for i in range(0, 10, 2)), (
        "never before the notice"
    )
    assert controller.state.failures.degraded == {}
    assert controller.state.totals.warnings["W208 moved"] == 5
    assert "W201 player-died" not in controller.state.totals.warnings


@pytest.mark.parametrize("strategy", ["independent", "sgan", {"name": "pmgan", "classes": 3}])
def test_in_async_a_player_moves_alone_with_all_that_it_has_done(
    tmp_path: Path, strategy: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("raygan.strategies.pmgan.judge.PATIENCE_S", 0.02)
    member = "gen-01" if "pmgan" in str(strategy) else "pair-01"
    controller = run(
        tmp_path, lambda setup: Leaver(setup, [(member, 10, "node a")]), strategy=strategy,
        tempo="async", round_steps=3, loss="non_saturating",
    )  # fmt: skip
    assert trained(controller) == dict.fromkeys(controller.state.players, STEPS), (
        "no step was done twice"
    )
    (notice,) = told(controller, "notice")
    (back,) = told(controller, "revive")
    assert back["step"] >= notice["step"] >= 10
    assert not told(controller, "restart", "death")
    assert set(final(controller)) == set(controller.state.players)
    rows = [
        r["step"]
        for r in read_jsonl(controller.log.folder.path / "metrics.jsonl")
        if r.get("player") == member
    ]
    assert STEPS in rows
    assert controller.state.totals.warnings["W208 moved"] == 1


@pytest.mark.parametrize(
    ("strategy", "player"), [({"name": "gap", "swap_every": 3}, "pair-01"), ("pmgan", JUDGE)]
)
def test_in_async_all_halt_for_one_that_cannot_move_alone(
    tmp_path: Path, strategy: Any, player: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("raygan.strategies.pmgan.judge.PATIENCE_S", 0.02)
    controller = run(
        tmp_path, lambda setup: Leaver(setup, [(player, 10, "node a")]), strategy=strategy,
        tempo="async", round_steps=3, loss="non_saturating",
    )  # fmt: skip
    assert len(told(controller, "restart")) == 1
    steps = trained(controller)
    assert {p: s for p, s in steps.items() if p != JUDGE} == {p: STEPS for p in steps if p != JUDGE}
    assert set(controller.state.done.values()) == {STEPS}


def test_notices_have_a_budget_of_their_own(tmp_path: Path) -> None:
    notices = [("pair-01", step, f"node {step}") for step in (3, 7, 13)]
    with pytest.raises(
        Leaving,
        match=(
            r"leaves its machine .* number 3 of its kind, failures.preemptions is 2. Next: raygan"
        ),
    ):
        run(
            tmp_path, lambda setup: Leaver(setup, notices), failures={"preemptions": 2, "budget": 0}
        )


def test_notice_of_the_runs_own_machine_saves_and_stops(tmp_path: Path) -> None:
    with pytest.raises(Interrupted, match="raygan resume"):
        run(tmp_path, lambda setup: Leaver(setup, [("", 10, "node a")]))
    checkpoint, _ = newest_valid(tmp_path / "run")
    assert checkpoint is not None
    assert 10 <= min(checkpoint.steps.values()) < STEPS


def test_a_player_that_has_no_other_place_is_moved_once(tmp_path: Path) -> None:
    class Stuck(Leaver):
        def start(self, *args: Any, **kwargs: Any) -> None:
            InlineExecutor.start(self, *args, **kwargs)

    controller = run(tmp_path, lambda setup: Stuck(setup, [("pair-01", 10, "node a")]))
    assert len(told(controller, "restart")) == 1
    assert set(controller.state.done.values()) == {STEPS}


# -------------------------------------------------------------------------------------------------
# scores, stacks


class Failing(Leaver):
    """Its metrics raise an error at these calls, counted from 1."""

    def __init__(self, setup: Setup, at: range) -> None:
        super().__init__(setup, [])
        self.calls, scores = 0, self.evaluator.evaluate

        def evaluate(*args: Any) -> Any:
            self.calls += 1
            if self.calls in at:
                raise MemoryError("no room for\nthe samples")
            return scores(*args)

        self.evaluator.evaluate = evaluate  # type: ignore[method-assign]


def test_a_metric_that_always_fails_costs_its_scores_and_nothing_else(tmp_path: Path) -> None:
    controller = run(tmp_path, lambda setup: Failing(setup, range(1, 1000)))
    setup = setup_of(controller.state.config)
    assert final(controller) == bits(
        final_states(controller.state.config, lambda: InlineExecutor(setup))
    )
    assert trained(controller) == dict.fromkeys(controller.state.players, STEPS)
    missing = told(controller, "unscored")
    assert len(missing) == 4 * len(controller.state.players), "each at every evaluation"
    assert {e["why"] for e in missing} == {"MemoryError: no room for the samples"}
    assert controller.state.failures.degraded["scores"].startswith("16 missing; the last: ")
    assert controller.state.totals.warnings["W207 scores-missing"] == 16
    assert not told(controller, "death", "restart")


def test_a_score_that_fails_once_is_tried_once_more(tmp_path: Path) -> None:
    controller = run(tmp_path, lambda setup: Failing(setup, range(1, 2)))
    assert not told(controller, "unscored")
    assert controller.state.failures.degraded == {}
    scores = [
        r for r in read_jsonl(controller.log.folder.path / "metrics.jsonl") if r["kind"] == "score"
    ]
    assert len(scores) == 4 * (len(controller.state.players) + 1), "each, and the mixture"


def test_a_mishap_that_is_mended_is_told_with_its_stack_and_stops_nobody(tmp_path: Path) -> None:
    stack = (
        "process 7, state S (sleeping)\nThread 0x1 (most recent call first):\n  File"
        ' "/x/raygan/a.py", line 3 in step\n'
    )
    executors: list[Leaver] = []

    def make(setup: Setup) -> Leaver:
        executors.append(Leaver(setup, []))
        mishap = PlayerDied("evaluator", "no answer", "hang")
        mishap.stack = stack
        executors[0].told.append(mishap)
        return executors[0]

    controller = run(tmp_path, make)
    (death,) = told(controller, "death")
    assert (death["player"], death["why"], death["action"]) == ("evaluator", "hang", "replace")
    assert death["stack"] == ["a.py:3 in step"]
    assert stack in (controller.log.folder.path / death["stack_file"]).read_text()
    assert not told(controller, "restart")
    assert controller.log.journal.epoch == 1


def test_the_frames_that_are_shown_are_those_of_the_thread_that_works() -> None:
    text = """Thread 0x1 (most recent call first):
  File "/lib/threading.py", line 5 in wait
  File "/x/raygan/actors/process.py", line 70 in attend
Current thread 0x2 (most recent call first):
  File "/lib/threading.py", line 9 in acquire
  File "/x/raygan/gan/pair.py", line 4 in train
"""
    assert last_frames(text) == ["threading.py:9 in acquire", "pair.py:4 in train"]
    assert last_frames("no stack: process 7 is gone\n") == ["no stack: process 7 is gone"]
