"""`--data parts`: who joins brings a SOURCE of its own, who leaves takes its own along."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import raygan
from raygan.controller.controller import Controller
from raygan.controller.evaluator import Evaluator
from raygan.controller.members import target
from raygan.controller.orders import Done
from raygan.controller.requests import file_of
from raygan.controller.state import RunState
from raygan.controller.totals import Totals
from raygan.errors import ConfigError, DataError
from raygan.service.places import parted
from raygan.service.resuming import resume_run
from raygan.service.runs.run import Run
from raygan.service.scores.evaluate import evaluate_runs
from raygan.strategies.base import Setup, load_data, strategy_of
from raygan.strategies.partition import own_parts, to_come
from tests.conftest import tiny_config
from tests.data.test_told_of_parts import HERE

SIZES = (120, 80, 60)
PAIRS = ("pair-00", "pair-01", "pair-02")


def three(root: Path) -> dict[str, Any]:
    """What data parts are of three sources, for a run that begins with two pairs."""
    for i, size in enumerate(SIZES):
        np.savez(root / f"{i}.npz", x=np.random.default_rng(i).normal(3 * i, 1, (size, 2)))
    partition = {f"pair-{i:02d}": f"npz:{root}/{i}.npz" for i in range(3)}
    return {"name": "parts", "partition": partition, "partition_parts": 3}


def asked(requests: dict[int, int]) -> Any:
    """A listener that asks for so many members at a step."""

    def ask(run: Controller, done: Done) -> None:
        at = min(run.state.done[p] for p in run.state.strategy.locals(run.state.config))
        for step in [s for s in requests if at >= s]:
            request = {"verb": "scale", "id": f"r{step}", "pairs": requests.pop(step)}
            (run.log.folder.path / file_of(request)).write_text(json.dumps(request))

    return ask


def trained(root: Path, requests: dict[int, int], strategy: str = "gap") -> Run:
    seldom = {"every_steps": 4, "samples": 64}
    values = {
        **HERE, "data": three(root), "steps": 32, "round_steps": 2, "evaluation": seldom
    }  # fmt: skip
    return raygan.train(
        None, run_dir=root, name="run", inline=True, strategy=strategy, num_pairs=2,
        listeners=[asked(requests)], **values,
    )  # fmt: skip


@pytest.mark.parametrize("strategy", ["gap", "federated"])
def test_a_joiner_brings_its_own_source(
    strategy: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("raygan.controller.membership.EVERY_S", 0.0)
    run = trained(tmp_path, {8: 3}, strategy)
    assert run.pairs == [*PAIRS]
    told = {e["player"]: e["coverage"] for e in run.events if e["kind"] == "by_part"}
    assert all(set(parts) == set(PAIRS) for parts in told.values())
    protocols = {row["protocol"] for row in run.rows if row["kind"] == "score"}
    assert len(protocols) >= 2, "scores with its part are of another protocol"
    (entry,) = evaluate_runs([str(run.path)], None, 64, None, 0)
    assert set(next(iter(entry["by_part"].values()))) == set(PAIRS)
    done = resume_run(run.path, extra_steps=4, inline=True)
    assert done.info["status"] == "done"
    assert done.pairs == [*PAIRS]


def test_scores_begin_with_who_is_there_and_take_in_who_joins(tmp_path: Path) -> None:
    config = tiny_config(data=three(tmp_path), strategy={"name": "gap"}, num_pairs=2)
    data = parted(config, load_data(config), inline=True, more=to_come(config))
    setup = Setup(config, data, torch.device("cpu"))
    assert {p: part.train for p, part in setup.data.parts.items()} == {
        "pair-00": 108, "pair-01": 72, "pair-02": 54
    }  # fmt: skip
    evaluator = Evaluator(setup)
    assert evaluator.quick.held_out.keys() == {"pair-00", "pair-01"}
    evaluator.attend(PAIRS)
    assert evaluator.quick.held_out.keys() == set(PAIRS)
    evaluator.attend(["pair-00"])
    assert evaluator.quick.held_out.keys() == {"pair-00"}
    evaluator.attend(PAIRS)
    assert evaluator.quick.held_out.keys() == set(PAIRS), "and once more"


def test_who_has_left_is_not_asked_by_evaluate_or_a_resume(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its source may be gone with it."""
    monkeypatch.setattr("raygan.controller.membership.EVERY_S", 0.0)
    run = trained(tmp_path, {8: 3, 16: 2})
    assert run.pairs == ["pair-00", "pair-01"]
    (tmp_path / "2.npz").unlink()
    (entry,) = evaluate_runs([str(run.path)], None, 64, None, 0)
    assert set(next(iter(entry["by_part"].values()))) == {"pair-00", "pair-01"}
    assert resume_run(run.path, extra_steps=4, inline=True).info["status"] == "done"


def test_a_joiner_s_source_that_has_changed_is_refused(tmp_path: Path) -> None:
    config = tiny_config(data=three(tmp_path), strategy={"name": "gap"}, num_pairs=2)
    data = parted(config, load_data(config), inline=True, more=to_come(config))
    np.savez(tmp_path / "2.npz", x=np.random.default_rng(9).normal(6, 1, (60, 2)))
    joined = config.model_copy(update={"num_pairs": 3, "members": (0, 1, 2)})
    with pytest.raises(DataError, match=r"pair-02 reads npz:.* with sha256"):
        own_parts(joined, ["pair-02"], data.outline)


def test_a_source_for_nobody_is_one_line_that_tells_how_to_join(tmp_path: Path) -> None:
    data = three(tmp_path)
    del data["partition_parts"]
    with pytest.raises(ConfigError, match=r"no pair named .pair-02.*set data\.partition_parts"):
        strategy_of(tiny_config(data=data, strategy={"name": "gap"}, num_pairs=2))


def test_who_would_join_without_a_source_is_told(tmp_path: Path) -> None:
    config = tiny_config(data=three(tmp_path), strategy={"name": "gap"}, num_pairs=2)
    assert target(RunState(config, Totals()), 3, 0, None).joining == ["pair-02"]
    with pytest.raises(ConfigError, match=r"no SOURCE for pair-03\. Start a new run"):
        target(RunState(config, Totals()), 4, 0, None)
