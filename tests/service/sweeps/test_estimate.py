"""What a sweep would take is told before it begins; Tune's searches and schedulers go by name."""

from pathlib import Path
from typing import Any, get_args

import pytest
import yaml

from raygan.cli import main
from raygan.service.sweeps import estimate
from raygan.service.sweeps.file import Search, Sweep
from raygan.service.sweeps.search import NEEDS, SEEDS

FILE = """
name: tiny
about: A test.
preset: ring8-sgan
space: {num_pairs: [2, 3], seed: [0, 1]}
metric: mixture.high_quality
"""


def told(file: Path, *flags: str, capsys: pytest.CaptureFixture[str]) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as end:
        main(["sweep", str(file), *flags])
    out = capsys.readouterr()
    return int(str(end.value.code)), out.out, out.err


def test_a_dry_run_tells_trials_time_and_cost_and_starts_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "tiny.yaml").write_text(FILE)
    code, out, err = told(Path("tiny.yaml"), "--dry-run", "--max-concurrent", "2", capsys=capsys)
    assert code == 0, err
    assert out.startswith("num_pairs-2_seed-0\n")
    assert "4 runs of 2,000 steps" in out
    assert "2 at once: about" in out
    assert "updates of D a run" in out
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize(
    ("scheduler", "stops"), [("none", ""), ("asha", ", less what asha stops early"), ("pbt", "")]
)
def test_only_a_schedule_that_stops_trials_is_said_to(
    scheduler: Any, stops: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(estimate, "per_step", lambda *_: 1.0)
    values = {**yaml.safe_load(FILE), "scheduler": scheduler, "perturb": ("seed",)}
    assert f"4 runs of 2,000 steps{stops}\n" in estimate.text(Sweep(**values))


@pytest.mark.parametrize("search", [s for s in get_args(Search) if s not in ("grid", "optuna")])
def test_a_package_that_is_missing_is_one_line(
    search: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("raygan.service.sweeps.checks.installed", lambda module: False)
    (tmp_path / "tiny.yaml").write_text(f"{FILE}search: {search}\n")
    code, _, err = told(Path("tiny.yaml"), capsys=capsys)
    assert code == 2
    assert f"`pip install {NEEDS[search]}`" in err
    assert err.count("\n") == 1
    assert not (tmp_path / "runs").exists()


def test_names_are_tunes_own() -> None:
    from ray.tune.search import SEARCH_ALG_IMPORT

    assert set(get_args(Search)) - {"grid"} <= set(SEARCH_ALG_IMPORT)
    assert set(SEEDS) <= set(get_args(Search))


def test_a_search_that_nobody_has_is_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "tiny.yaml").write_text(f"{FILE}search: hyperot\n")
    code, _, err = told(tmp_path / "tiny.yaml", "--dry-run", capsys=capsys)
    assert code == 2
    assert err.count("\n") == 1


HEARS = """
from pathlib import Path

class Hears:
    def _note(self, *facts):
        Path({path!r}).write_text("told")

    begin = scalars = __call__ = _note
"""


@pytest.mark.parametrize("who", ["track", "listeners"])
def test_a_dry_run_is_told_to_nobody(
    who: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A tracker would have a run of 20 steps among the real ones."""
    told_to = tmp_path / "told"
    (tmp_path / "hears.py").write_text(HEARS.format(path=str(told_to)))
    settings = yaml.safe_dump({"settings": {who: ["./hears.py"]}})
    (tmp_path / "tiny.yaml").write_text(FILE + settings)
    code, _, err = told(tmp_path / "tiny.yaml", "--dry-run", capsys=capsys)
    assert code == 0, err
    assert not told_to.exists()
