"""Runs beside each other: none is lost for want of a name of its own."""

import json
from pathlib import Path

import pytest

from raygan.config import full_dump
from raygan.errors import ConfigError
from raygan.service.runs.run import Run
from raygan.service.scores.compare import alike
from raygan.service.scores.gam2 import gam2
from tests.conftest import tiny_config


def bare(path: Path, steps: int) -> Run:
    """As much of a run as tells who it is."""
    path.mkdir(parents=True)
    (path / "config.json").write_text(json.dumps(full_dump(tiny_config(steps=steps))))
    (path / "run.json").write_text(json.dumps({"status": "done"}))
    return Run.load(path)


def test_runs_of_one_name_in_two_folders_stay_two(tmp_path: Path) -> None:
    runs = [bare(tmp_path / folder / "mine", steps) for folder, steps in (("a", 4), ("b", 8))]
    groups = alike(runs)
    assert list(groups) == [str(tmp_path / "a/mine"), str(tmp_path / "b/mine")]
    assert list(groups.values()) == [[run] for run in runs]
    assert list(alike([runs[0]])) == ["mine"]
    with pytest.raises(ConfigError, match="two runs are named mine"):
        gam2([str(run.path) for run in runs], samples=16, seed=0)
