"""A sweep that is gone on with: what its runs know of their data is not asked again, and holds for
all of its trials.
"""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from raygan.data.questions import Doubt
from raygan.errors import ConfigError, DataError
from raygan.service.resuming import resume_run
from raygan.service.runs.run import Run
from raygan.service.runs.warm_start import fork
from raygan.service.sweeps import checks, estimate
from raygan.service.sweeps import table as sweep_table
from raygan.service.sweeps import trial as trials
from raygan.service.sweeps.file import Sweep, write_point
from raygan.service.training import train
from tests.service.sweeps.test_file import SMALL
from tests.service.sweeps.test_trial import Tune, tune

__all__ = ["tune"]
POINTS = np.c_[np.random.default_rng(0).normal(size=(400, 2)), np.arange(400) % 5.0]
"""Whose last column may be classes: a reader asks."""


def began(at: Path, space: dict[str, Any] | None = None) -> tuple[Path, Sweep]:
    """(file, sweep) of one whose first run is there, from before its data were asked about."""
    np.save(at / "lab.npy", POINTS)
    data = {"name": "npz", "path": str(at / "lab.npy")}
    settings = {**SMALL, "strategy": "gap", "data": data, "steps": 20}
    values = {
        "name": "s", "preset": "ring8-gap", "settings": settings,
        "space": space or {"seed": [0, 1]}, "metric": "mixture.log_likelihood",
    }  # fmt: skip
    (at / "s.yaml").write_text(yaml.safe_dump(values))
    spec, folder = Sweep(**values), at / "runs/s"
    (folder / "runs").mkdir(parents=True)
    (folder / "sweep.json").write_text(spec.model_dump_json())
    point = spec.points()[0]
    answers = {**settings, "data": {**data, "layout": "points"}}
    answered = spec.model_copy(update={"settings": answers}).resolved(point)
    name = trials.trial_name(point)
    path = train(answered, run_dir=folder / "runs", name=name, inline=True).path
    write_point(path, point)
    config = json.loads((path / "config.json").read_text())
    del config["data"]["layout"]
    (path / "config.json").write_text(json.dumps(config))
    return at / "s.yaml", spec


@pytest.mark.parametrize("space", [None, {"num_pairs": [2, 3]}])
def test_a_sweep_from_before_a_question_goes_on(
    space: dict[str, Any] | None, tune: Tune, tmp_path: Path
) -> None:
    file, spec = began(tmp_path, space)
    runs = tmp_path / "runs"
    with pytest.raises(Doubt, match="its last column"):
        checks.asked_for(file, run_dir=tmp_path / "elsewhere")
    _, folder = checks.asked_for(file, run_dir=runs, resume=True)
    assert estimate.text(spec, folder).startswith("seed-0" if space is None else "num_pairs-2")
    for point in spec.points():
        trials.run_trial({"point": point}, spec, str(folder))
        assert tune.lines[-1]["step"] == 20
        assert tune.lines[-1]["metric"] > -1e30
    found = [Run.load(p.parent).info["data"]["sha256"] for p in folder.glob("runs/*-*/run.json")]
    assert len(found) == 2
    assert len(set(found)) == 1
    assert list(sweep_table.table(folder)["status"]) == ["done", "done"]


def test_a_fork_of_such_a_run_goes_on(tmp_path: Path) -> None:
    _, spec = began(tmp_path)
    source = tmp_path / "runs/s/runs/seed-0"
    more = spec.model_copy(update={"settings": {**spec.settings, "steps": 30}})
    fork(source, tmp_path / "fork", more.resolved({"seed": 1}))
    assert set(resume_run(tmp_path / "fork", inline=True).info["steps"].values()) == {30}
    other = {**spec.settings, "data": {**spec.settings["data"], "limit": 100}}
    elsewhere = spec.model_copy(update={"settings": other}).resolved({"seed": 1})
    fork(source, tmp_path / "other", elsewhere)
    assert "data" not in Run.load(tmp_path / "other").info, "of these it knows nothing"


def test_no_trial_of_a_sweep_is_on_other_data_than_the_others(tune: Tune, tmp_path: Path) -> None:
    file, spec = began(tmp_path)
    np.save(tmp_path / "lab.npy", POINTS[::-1] + np.array([1, 0, 0]))
    with pytest.raises(ConfigError, match=r"runs/s': .* has sha256 .* give the sweep another name"):
        checks.asked_for(file, run_dir=tmp_path / "runs", resume=True)
    with pytest.raises(DataError, match="Put those data back"):
        trials.run_trial({"point": {"seed": 1}}, spec, str(tmp_path / "runs/s"))
    assert not (tmp_path / "runs/s/runs/seed-1").exists()


def test_runs_are_counted_without_their_data(tmp_path: Path) -> None:
    began(tmp_path)
    before = sweep_table.table(tmp_path / "runs/s").iloc[0]
    (tmp_path / "lab.npy").unlink()
    after = sweep_table.table(tmp_path / "runs/s").iloc[0]
    assert after["megabytes"] == before["megabytes"] > 0
    assert after["status"] == "done"


def test_a_run_that_is_damaged_knows_nothing(tune: Tune, tmp_path: Path) -> None:
    file, _ = began(tmp_path)
    runs = tmp_path / "runs/s/runs"
    shutil.copytree(runs / "seed-0", runs / "another")
    (runs / "another/run.json").write_text("{")
    (runs / "a-file").write_text("")
    checks.asked_for(file, run_dir=tmp_path / "runs", resume=True)
    for path in runs.glob("*/run.json"):
        path.write_text("{")
    with pytest.raises(Doubt, match="its last column"):
        checks.asked_for(file, run_dir=tmp_path / "runs", resume=True)
