"""A generator comes out of a run, an export or the Hub by one call, without Ray."""

import subprocess
import sys
import types
from pathlib import Path

import pytest

import raygan
from raygan.controller import bucket_copies, run_folder
from raygan.errors import CheckpointError, ConfigError
from raygan.service.runs.run import Run
from raygan.service.scores.export import export
from raygan.service.scores.loading import place_of
from tests.conftest import TINY


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return raygan.train(
        None, run_dir=tmp_path_factory.mktemp("runs"), name="r", inline=True, **TINY
    )


@pytest.fixture(scope="module")
def exported(run: Run, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return export(run, "mixture", tmp_path_factory.mktemp("models") / "m")


def test_a_run_and_its_export_give_the_same_samples(run: Run, exported: Path) -> None:
    wanted = run.generator("mixture").sample(20, seed=1)
    assert (raygan.load(run.path, "mixture").sample(20, seed=1) == wanted).all()
    assert (raygan.load(str(exported)).sample(20, seed=1) == wanted).all()
    main = raygan.load(run.path).sample(20, seed=1)
    assert (main == run.generator("global").sample(20, seed=1)).all()


def test_neither_needs_ray(run: Run, exported: Path) -> None:
    told = "import sys, raygan; raygan.load(sys.argv[1]).sample(3); sys.exit('ray' in sys.modules)"
    for path in (run.path, exported):
        assert subprocess.run([sys.executable, "-c", told, str(path)], check=False).returncode == 0


def test_from_the_hub_through_its_client(
    run: Run, exported: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub = types.ModuleType("huggingface_hub")
    hub.snapshot_download = {"me/ring": str(exported)}.__getitem__  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "huggingface_hub", hub)
    wanted = run.generator("mixture").sample(5, seed=0)
    assert (raygan.load("hf://me/ring").sample(5, seed=0) == wanted).all()
    with pytest.raises(CheckpointError, match="hf://me/other cannot be fetched"):
        raygan.load("hf://me/other")


def test_what_a_verb_can_name_can_be_loaded(
    run: Run, exported: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A home, `file://`, and a run's name alone."""
    wanted = run.generator("mixture").sample(5, seed=0)
    monkeypatch.setenv("HOME", str(exported.parent))
    assert (raygan.load("~/m").sample(5, seed=0) == wanted).all()
    assert (raygan.load(f"file://{exported}").sample(5, seed=0) == wanted).all()
    assert place_of("~/m") == str(exported)
    monkeypatch.chdir(run.path.parent.parent)
    monkeypatch.setattr(run_folder, "RUNS", run.path.parent.name)
    assert (raygan.load("r", "mixture").sample(5, seed=0) == wanted).all()
    assert place_of("r") == str(run.path)


def test_a_run_in_a_bucket_is_loaded_by_its_address(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    monkeypatch.setattr(bucket_copies, "view", lambda at: asked.append(at) or run.path)
    wanted = run.generator("mixture").sample(5, seed=0)
    # a Path has lost the second slash
    for source in ("s3://mine/runs/r/", Path("s3://mine/runs/r")):
        assert (raygan.load(source, "mixture").sample(5, seed=0) == wanted).all()
    assert asked == ["s3://mine/runs/r"] * 2


def test_what_cannot_be_loaded_is_one_line(
    exported: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(ConfigError, match="holds one generator"):
        raygan.load(exported, "best")
    for wrong in ("hf://ring", "hf://a/b/c", "hf://../x/y"):
        with pytest.raises(ConfigError, match="hf://ORGANISATION/NAME"):
            raygan.load(wrong)
    with pytest.raises(ConfigError):
        raygan.load(tmp_path / "none")
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(ConfigError, match=r"pip install 'raygan\[hub\]'"):
        raygan.load("hf://me/ring")
