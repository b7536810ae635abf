"""`raygan.sweep`: the keys of a sweep file from Python, and what a sweep found as an object."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
import yaml

import raygan
from raygan.errors import ConfigError
from raygan.losses.base import LossComponent
from raygan.service.runs.run import Run
from raygan.service.sweeps import result as sweep_result
from raygan.service.sweeps import tune as sweeping
from raygan.service.sweeps.file import read_sweep, write_point
from raygan.service.sweeps.folder import begin
from raygan.service.sweeps.naming import trial_name
from raygan.service.sweeps.source import Values, how_to_go_on
from raygan.service.training import train
from tests.own.conftest import as_elsewhere

SMALL: dict[str, Any] = {
    "steps": 4, "batch_size": 8, "network": {"name": "mlp", "hidden": 8, "z_dim": 2},
    "data": {"name": "ring", "modes": 8, "train": 400, "held_out": 1600}, "num_pairs": 2,
    "evaluation": {"every_steps": 4, "samples": 1600}, "checkpoint": {"every_steps": 4},
    "resources": {"spares": 0, "hub": False},
}  # fmt: skip
KEYS: dict[str, Any] = {
    "name": "s", "preset": "ring8-gap", "settings": SMALL, "metric": "mixture.high_quality",
    "space": {"strategy.swap_every": [1, 2], "seed": [0, 1]},
}  # fmt: skip


@pytest.fixture(autouse=True)
def _fresh() -> Iterator[None]:
    """Own parts of this file are nobody's in other tests: what fails beside them is not theirs."""
    as_elsewhere()
    yield
    as_elsewhere()


class Half(LossComponent):
    """Least squares towards a middle."""

    target: float = 0.5

    def d_loss(self, real: torch.Tensor, fake: torch.Tensor) -> torch.Tensor:
        return ((real - self.target) ** 2).mean() + (fake**2).mean()

    def g_loss(self, fake: torch.Tensor) -> torch.Tensor:
        return ((fake - self.target) ** 2).mean()


def in_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """Trials one after the other in this process, without Tune or Ray."""

    def fit(spec: Any, folder: Path, file: Any) -> list[Exception]:
        for point in spec.points():
            path = folder / "runs" / trial_name(point)
            if not path.exists():
                train(spec.resolved(point), run_dir=path.parent, name=path.name, inline=True)
                write_point(path, point)
        return []

    monkeypatch.setattr(sweeping, "_fit", fit)
    monkeypatch.setattr("raygan.actors.cluster.cluster", lambda *_: nullcontext())


def test_keys_mean_what_they_mean_in_a_file(tmp_path: Path) -> None:
    file = tmp_path / "s.yaml"
    file.write_text(yaml.safe_dump(KEYS, sort_keys=False))
    assert read_sweep(Values(KEYS)) == read_sweep(file)
    assert read_sweep(Values({**KEYS, "space": {"seed": {"randint": [0, 999]}}}), 3).samples == 3


def test_a_sweep_from_python_is_the_one_of_a_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    in_process(monkeypatch)
    file = tmp_path / "s.yaml"
    file.write_text(yaml.safe_dump(KEYS, sort_keys=False))
    by_file = raygan.sweep(file, run_dir=tmp_path / "a")
    found = raygan.sweep(KEYS, run_dir=tmp_path / "b")
    costs = ["player_seconds"]
    pd.testing.assert_frame_equal(
        found.table.drop(columns=costs), by_file.table.drop(columns=costs)
    )
    assert len(found.table) == 4
    assert len(found.means) == 2
    assert found.best["strategy.swap_every"] in (1, 2)
    assert {*found.runs} == {*found.table["run"]}
    run = found.runs[found.table["run"][0]]
    assert isinstance(run, Run)
    assert run.scores()["mixture"]["high_quality"] == found.table["metric"][0]
    assert (found.path / "report/index.html").exists()
    assert (found.path / "table.parquet").exists()
    assert "swap_every" in found._repr_html_()
    assert "runs: 4 done" in str(found)
    with pytest.raises(ConfigError, match=r"exists already.*resume=True"):
        raygan.sweep(KEYS, run_dir=tmp_path / "b")
    again = raygan.sweep(KEYS, run_dir=str(tmp_path / "b"), resume=True)
    assert again.table["player_seconds"].tolist() == found.table["player_seconds"].tolist()
    assert raygan.SweepResult.load(tmp_path / "b/s").table.equals(again.table)


def test_own_parts_as_objects_are_swept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    in_process(monkeypatch)
    space = {"loss": ["hinge", Half, Half(target=1.0)], "seed": [0]}
    found = raygan.sweep({**KEYS, "space": space}, run_dir=tmp_path)
    assert found.table["status"].tolist() == ["done"] * 3
    losses = [run.config.loss for run in found.runs.values()]
    assert losses[0]["name"] == "hinge"
    assert [loss.get("target") for loss in losses[1:]] == [0.5, 1.0]


def test_where_trials_fail_the_report_is_there_and_the_error_says_how_to_go_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    in_process(monkeypatch)
    monkeypatch.setattr(sweeping, "_fit", lambda *_: [RuntimeError("no machine")])
    with pytest.raises(
        sweeping.TrialsFailed, match=r"the same raygan.sweep\(...\) with resume=True"
    ):
        raygan.sweep(KEYS, run_dir=tmp_path)
    assert (tmp_path / "s/report/index.html").exists()
    assert raygan.SweepResult.load(tmp_path / "s").table["status"].tolist() == ["missing"] * 4
    assert raygan.SweepResult.load(tmp_path / "s").best == {}


@pytest.mark.parametrize(
    ("values", "line"),
    [
        ({"space": {}}, "sweep s: .*space is empty"),
        ({"space": {"strategy.swap_evry": [1]}}, "Did you mean 'swap_every'"),
        ({"nmae": "s"}, "sweep s: .*nmae"),
        ({"settings": {**SMALL, "data": np.zeros((9, 2))}}, "npz:PATH"),
        ({"space": {"data": [np.zeros((9, 2)), "ring"]}}, "npz:PATH"),
        ({"metric": "mixture.high_qality"}, "Did you mean 'high_quality'"),
    ],
)
def test_mistakes_are_a_line_before_anything_starts(
    values: dict[str, Any], line: str, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match=line) as error:
        raygan.sweep({**KEYS, **values}, run_dir=tmp_path)
    assert "\n" not in str(error.value)
    assert not list(tmp_path.iterdir())


def test_a_file_that_is_not_there_and_a_folder_of_nothing(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="sweep file"):
        raygan.sweep(tmp_path / "no.yaml", run_dir=tmp_path)
    with pytest.raises(ConfigError):
        raygan.SweepResult.load(tmp_path)
    assert how_to_go_on(Path("a b.yaml")) == "raygan sweep 'a b.yaml' --resume"
    begin(tmp_path / "s", read_sweep(Values(KEYS)), resume=False)
    found = sweep_result.SweepResult.load(tmp_path / "s")
    assert found.runs == {}
    assert repr(found).endswith("4 trials>")


SCRIPT = """
import torch, raygan
from raygan.losses.base import LossComponent

class Mine(LossComponent):
    slope: float = 1.0
    def d_loss(self, real, fake):
        return ((real - self.slope) ** 2).mean() + (fake ** 2).mean()
    def g_loss(self, fake):
        return ((fake - self.slope) ** 2).mean()

if __name__ == "__main__":
    keys = {keys!r}
    keys["space"] = {{"loss": [Mine, Mine(slope=2.0)], "seed": [0]}}
    found = raygan.sweep(keys, run_dir={folder!r}, address="local", max_concurrent=1)
    print(found.table["status"].tolist(), found.best["loss"])
"""


@pytest.mark.ray
@pytest.mark.exhaustive
@pytest.mark.timeout(240)
def test_a_script_s_own_loss_in_trials_of_real_tune(tmp_path: Path) -> None:
    script = tmp_path / "mine.py"
    script.write_text(SCRIPT.format(keys=KEYS, folder=str(tmp_path / "runs")))
    done = subprocess.run(
        [sys.executable, str(script)], capture_output=True, text=True, timeout=230, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert "['done', 'done']" in done.stdout
    runs = raygan.SweepResult.load(tmp_path / "runs/s").runs.values()
    assert [run.config.loss["slope"] for run in runs] == [1.0, 2.0]
