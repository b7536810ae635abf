"""`raygan.start`: a run that goes on meanwhile, beside others, and obeys."""

import asyncio
import time
from pathlib import Path
from typing import Any

import pytest

import raygan
from raygan.errors import ConfigError, RayganError

TINY: dict[str, Any] = {
    "steps": 20, "num_pairs": 2, "network": {"name": "mlp", "hidden": 8, "z_dim": 2},
    "evaluation": {"samples": 1500, "every_steps": 20}, "round_steps": 5, "inline": True,
}  # fmt: skip


def test_two_runs_of_one_process_end_and_are_what_they_were_alone(tmp_path: Path) -> None:
    runs = [raygan.start(None, run_dir=tmp_path, name=f"r{i}", seed=i, **TINY) for i in (0, 1)]
    assert all(run.running for run in runs)
    done = [run.wait(120) for run in runs]
    assert [run.info["status"] for run in done] == ["done", "done"]
    alone = raygan.train(None, run_dir=tmp_path, name="alone", seed=1, **TINY)
    columns = ["player", "step", "loss_d", "loss_g"]
    assert done[1].training[columns].equals(alone.training[columns])


def test_training_and_scores_are_apart(tmp_path: Path) -> None:
    run = raygan.start(None, run_dir=tmp_path, name="r", **TINY).wait(120)
    assert "high_quality" in run.scored.columns
    assert "high_quality" not in run.training.columns
    assert not run.training["loss_d"].isna().any()
    assert len(run.training) + len(run.scored) == len(run.metrics)
    shown = run._repr_html_()
    assert "<th>global</th>" in shown
    assert "floor (noise)" in shown


def test_events_come_while_it_runs_and_stop_ends_it_with_a_checkpoint(tmp_path: Path) -> None:
    began = time.monotonic()
    run = raygan.start(None, run_dir=tmp_path, name="long", **{**TINY, "steps": 1_000_000})
    assert time.monotonic() - began < 20, "it returns at once"
    seen = next(row for row in run if row["kind"] == "train")
    assert seen["player"]
    assert len(run.metrics) >= 1
    assert run.stop().wait(120).info["status"] == "stopped"
    assert list((tmp_path / "long/checkpoints").iterdir())
    assert not run.running


def test_async_iteration_ends_with_the_run(tmp_path: Path) -> None:
    run = raygan.start(None, run_dir=tmp_path, name="r", **TINY)

    async def kinds() -> set[str]:
        return {row["kind"] async for row in run}

    assert {"train", "score", "checkpoint"} <= asyncio.run(kinds())


def test_mistakes_are_told_to_whoever_made_them(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no setting 'stepz'"):
        raygan.start(None, stepz=3)
    (tmp_path / "taken").mkdir()
    run = raygan.start(None, run_dir=tmp_path, name="taken", **TINY)
    with pytest.raises(RayganError, match="exists already"):
        run.wait(60)
    with pytest.raises(RayganError, match="exists already"):
        _ = run.path
    with pytest.raises(ConfigError, match="has ended"):
        run.scale(3)
    with pytest.raises(ConfigError, match="whole number"):
        run.scale(0)


@pytest.mark.ray
@pytest.mark.exhaustive
def test_two_runs_share_one_ray_and_the_last_one_ends_it(tmp_path: Path) -> None:
    import ray

    up = ray.is_initialized()
    settings = {**TINY, "inline": False, "address": "local"}
    runs = [raygan.start(None, run_dir=tmp_path, name=f"r{i}", seed=i, **settings) for i in (0, 1)]
    assert [run.wait(280).info["status"] for run in runs] == ["done", "done"]
    assert ray.is_initialized() == up


def test_several_without_a_name_are_numbered(tmp_path: Path) -> None:
    """Of runs that are made at the same moment each has a name of its own."""
    runs = [raygan.start(None, run_dir=tmp_path, **TINY) for _ in range(4)]
    done = [run.wait(240) for run in runs]
    assert sorted(run.name[-3:] for run in done) == ["001", "002", "003", "004"]
    assert not list(tmp_path.glob(".*.making")), "nothing half-made is left"


def test_of_two_with_one_name_one_is_told(tmp_path: Path) -> None:
    runs = [raygan.start(None, run_dir=tmp_path, name="mine", **TINY) for _ in range(2)]
    ends: list[str] = []
    for run in runs:
        try:
            ends.append(run.wait(240).name)
        except ConfigError as error:
            ends.append(str(error))
    told = next(end for end in ends if end != "mine")
    assert "/mine' exists already" in told
    assert ".making" not in told, "a name that nobody gave"
    assert "mine" in ends
