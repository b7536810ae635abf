"""One generator out of many: what it learns from, what it is measured by, what is refused."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from raygan.config import Resolved
from raygan.errors import ConfigError, DataError
from raygan.service.distil import Lesson, lesson
from raygan.service.resuming import resume_run
from raygan.service.runs.run import Run
from raygan.service.training import train
from tests.conftest import tiny_config

SHORT = {"steps": 6, "evaluation.every_steps": 6, "evaluation.samples": 1500}


@pytest.fixture(scope="module")
def sites(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Two pairs, each with half of the classes."""
    config = tiny_config(
        strategy={"name": "independent"},
        data={"name": "ring", "modes": 8, "train": 2000, "held_out": 1600, "partition": "by_class"},
        evaluation={"every_steps": 12, "samples": 1500},
    )
    resolved = Resolved(config=config, origins={})
    return train(resolved, run_dir=tmp_path_factory.mktemp("sites"), name="sites", inline=True)


def learned(sites: Run, folder: Path, **more: Any) -> Lesson:
    settings = {**SHORT, **more.pop("settings", {})}
    return lesson(sites, run_dir=folder, name="one", count=500, settings=settings, **more)


def test_one_pair_learns_what_the_mixture_makes(sites: Run, tmp_path: Path) -> None:
    found = learned(sites, tmp_path)
    config = found.resolved.config
    assert (config.num_pairs, config.strategy["name"]) == (1, "independent")
    assert config.network == sites.config.network
    assert config.pair == sites.config.pair
    with np.load(found.samples) as archive:
        assert np.array_equal(archive["x"], sites.generator("mixture").sample(500, 0))
    run = train(found.resolved, run_dir=tmp_path, name=found.name, inline=True)
    assert set(run.info["protocols"]) == set(sites.info["protocols"]), "scores are comparable"
    assert resume_run(run.path, extra_steps=2, inline=True).info["status"] == "done"


@pytest.mark.parametrize("named", [{}, {"pair.schedule.steps": 3}])
def test_the_student_s_schedule_takes_its_own_steps(named: dict[str, Any], tmp_path: Path) -> None:
    """A run that was made longer has the length that its schedule was begun with in its config."""
    config = tiny_config(strategy={"name": "independent"}, pair={"lr_decay": "linear"})
    resolved = Resolved(config=config, origins={})
    run = train(resolved, run_dir=tmp_path / "runs", name="long", inline=True)
    longer = resume_run(run.path, extra_steps=2, inline=True)
    assert longer.config.pair.schedule.steps == config.steps
    student = learned(longer, tmp_path, settings=named).resolved.config
    assert student.pair.lr_decay == "linear"
    assert student.pair.schedule.steps == named.get("pair.schedule.steps")


def test_what_it_learned_from_has_to_stay(sites: Run, tmp_path: Path) -> None:
    found = learned(sites, tmp_path)
    run = train(found.resolved, run_dir=tmp_path, name=found.name, inline=True)
    np.savez(found.samples, x=np.zeros((500, 2), np.float32))
    with pytest.raises(DataError, match="Put the file back"):
        resume_run(run.path, extra_steps=2, inline=True)


def test_whose_samples_and_how_they_are_kept(sites: Run, tmp_path: Path) -> None:
    found = learned(sites, tmp_path, which="pair:1", reject=False, seed=3)
    with np.load(found.samples) as archive:
        assert np.array_equal(archive["x"], sites.generator("pair:1").sample(500, 3))
    assert found.kept == 1.0


@pytest.mark.parametrize(
    "setting", ["data", "data.modes", "strategy", "strategy.swap_every", "num_pairs"]
)
def test_what_is_settled_already(sites: Run, tmp_path: Path, setting: str) -> None:
    with pytest.raises(ConfigError, match=f"--{setting.replace('_', '-')} is settled"):
        learned(sites, tmp_path, settings={setting: 1})
    assert list(tmp_path.iterdir()) == []


def test_nothing_is_overwritten_and_nothing_half_written(sites: Run, tmp_path: Path) -> None:
    (tmp_path / "one-samples.npz").write_bytes(b"mine")
    with pytest.raises(ConfigError, match="exists already"):
        learned(sites, tmp_path)
    assert (tmp_path / "one-samples.npz").read_bytes() == b"mine"
    (tmp_path / "one-samples.npz").unlink()
    for wrong in ({"which": "pair:9"}, {"settings": {"steps": 0}}, {"preset": "none"}):
        with pytest.raises(ConfigError):
            learned(sites, tmp_path, **wrong)
        assert list(tmp_path.iterdir()) == []
