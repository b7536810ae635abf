"""Sweeps over data that nobody has as a whole (`--data parts`): inline they are read in each
trial's process, on Ray where their pairs live, and never by the sweep.
"""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from raygan.cli import main
from raygan.errors import ConfigError, DataError
from raygan.service.runs.run import Run
from raygan.service.sweeps import checks
from raygan.service.sweeps import table as sweep_table
from raygan.service.sweeps import trial as trials
from raygan.service.sweeps import tune as sweeping
from tests.service.sweeps.test_file import SMALL
from tests.service.sweeps.test_trial import Tune, tune

__all__ = ["tune"]
COVERAGE = "global.coverage@raw"


def written(at: Path, executor: str, metric: str = COVERAGE, there: bool = True) -> Path:
    rng = np.random.default_rng(0)
    for i, name in enumerate("ab" if there else ""):
        np.save(at / f"{name}.npy", rng.normal(size=(300, 2)) + 4 * i)
    partition = {f"pair-0{i}": f"{at}/{name}.npy" for i, name in enumerate("ab")}
    settings: dict[str, Any] = {
        **SMALL, "data": {"name": "parts", "partition": partition}, "steps": 20,
        "evaluation": {"every_steps": 10, "samples": 200},
        "resources": {"spares": 0, "hub": False, "cpus_per_pair": 0.3},
    }  # fmt: skip
    values = {
        "name": "s", "preset": "ring8-federated", "settings": settings, "space": {"seed": [0, 1]},
        "metric": metric, "executor": executor,
    }  # fmt: skip
    (at / "s.yaml").write_text(yaml.safe_dump(values))
    return at / "s.yaml"


def test_trials_in_one_process_are_scored_by_part(tune: Tune, tmp_path: Path) -> None:
    spec, folder = checks.asked_for(written(tmp_path, "inline"), run_dir=tmp_path)
    for point in spec.points():
        trials.run_trial({"point": point}, spec, str(folder))
        assert 0 <= tune.lines[-1]["global.coverage_worst@raw"] <= tune.lines[-1]["metric"]
        assert tune.lines[-1]["megabytes"] > 0
    (folder / "sweep.json").write_text(spec.model_dump_json())
    assert list(sweep_table.table(folder)["status"]) == ["done", "done"]


@pytest.mark.parametrize("executor", ["inline", "ray"])
def test_a_dry_run_reads_them_where_it_is_called(
    executor: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for metric, code in ((COVERAGE, 0), ("global.modes", 2)):
        file = written(tmp_path, executor, metric)
        with pytest.raises(SystemExit, match=str(code)):
            main(["sweep", str(file), "--dry-run"])
        out, err = capsys.readouterr()
        assert ("2 runs of 20 steps" in out) == (code == 0)
        assert ("no score 'modes' is measured. Known: coverage@raw" in err) == (code == 2)


def test_what_lives_with_the_pairs_is_not_looked_for_here(tmp_path: Path) -> None:
    """Their files are on the pairs' machines."""
    checks.asked_for(written(tmp_path, "ray", there=False), run_dir=tmp_path)
    with pytest.raises(DataError, match=r"a\.npy"):
        checks.asked_for(written(tmp_path, "inline", there=False), run_dir=tmp_path)


@pytest.mark.ray
@pytest.mark.exhaustive
@pytest.mark.timeout(600)
def test_trials_on_actors_are_scored_by_part(ray_session: None, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"no score 'modes' .*Known: coverage@raw"):
        sweeping.sweep(written(tmp_path, "ray", "global.modes"), run_dir=tmp_path / "runs")
    assert not (tmp_path / "runs").exists(), "nothing half-written"
    file = written(tmp_path, "ray")
    folder = sweeping.sweep(file, run_dir=tmp_path / "runs")
    frame = sweep_table.table(folder)
    assert list(frame["status"]) == ["done", "done"]
    assert frame["metric"].between(0, 1).all()
    assert {Run.load(folder / "runs" / name).info["executor"] for name in frame["run"]} == {"ray"}
