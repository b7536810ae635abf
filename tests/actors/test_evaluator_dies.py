"""An evaluator that dies of its scores costs nothing but scores."""

import os
import signal
from pathlib import Path
from typing import Any

import pytest

from raygan.actors.evaluator import EvaluatorActor
from raygan.actors.executor import RayExecutor
from raygan.controller.checkpoint import newest_valid
from raygan.controller.controller import Controller
from raygan.controller.inline import InlineExecutor
from raygan.controller.run_folder import RunFolder, read_jsonl
from raygan.service.verify import compare, final_states
from raygan.strategies.roles import GLOBAL
from tests.conftest import setup_of, tiny_config

pytestmark = [pytest.mark.ray, pytest.mark.exhaustive, pytest.mark.usefixtures("ray_session")]


class Deadly(EvaluatorActor):
    """The kernel takes it away whenever one of these is to be scored."""

    of: tuple[str, ...] = ("pair-01",)

    def evaluate(self, player: str, *args: Any) -> Any:
        if player in self.of:
            os.kill(os.getpid(), signal.SIGKILL)
        return super().evaluate(player, *args)


class AllDeadly(Deadly):
    of = ("pair-00", "pair-01", GLOBAL)


@pytest.mark.parametrize(
    ("evaluator", "budget", "scored"), [(Deadly, 3, {"pair-00", GLOBAL}), (AllDeadly, 1, set())]
)
def test_an_evaluator_that_dies_costs_only_its_scores(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, evaluator: type, budget: int, scored: set[str]
) -> None:
    monkeypatch.setattr("raygan.actors.worker_group.EvaluatorActor", evaluator)
    config = tiny_config(steps=12, evaluation={"every_steps": 12}, failures={"evaluator": budget})
    setup = setup_of(config)
    controller = Controller(
        config, RunFolder.create(tmp_path, "run"), lambda: RayExecutor("deadly", setup), [], 400
    )
    controller.run()
    rows = [r for r in read_jsonl(tmp_path / "run/metrics.jsonl") if r["kind"] == "score"]
    assert {r["player"] for r in rows} == scored
    events = read_jsonl(tmp_path / "run/events.jsonl")
    assert {e["player"] for e in events if e["kind"] == "unscored"} == set(AllDeadly.of) - scored
    deaths = [(e["player"], e["action"]) for e in events if e["kind"] == "death"]
    assert deaths == [("evaluator", "replace")] * 2, "two tries of one score"
    assert "scores" in controller.state.failures.degraded
    assert controller.log.journal.epoch == 1, "nobody went back"
    final, problems = newest_valid(tmp_path / "run")
    assert final is not None
    assert problems == []
    assert compare(
        "undisturbed", final_states(config, lambda: InlineExecutor(setup)), final.parts
    ).ok
