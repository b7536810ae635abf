"""A sweep's table: settings of any kind as cells, which is best, a report that is written."""

import json
import math
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from raygan.config import resolve
from raygan.service.sweeps import report as sweep_report
from raygan.service.sweeps import table as sweep_table
from raygan.service.sweeps.file import Sweep

NAN = math.nan


def frame_of(spec: Sweep, metrics: list[float], status: dict[int, str] | None = None) -> Any:
    """A run a point, in their order."""
    return pd.DataFrame([
        {"run": str(i), **sweep_table.shown(point), "metric": metrics[i], "step": 10,
         **dict.fromkeys(sweep_table.COSTS, 1.0), "status": (status or {}).get(i, "done")}
        for i, point in enumerate(spec.points())
    ])  # fmt: skip


SCHEDULES: list[Any] = [[[0.1, 10]], [[0.03, 30]]]


@pytest.mark.parametrize("best", [0, 1, -1])
@pytest.mark.parametrize(
    ("space", "drawn"),
    [
        ({"own.rates": SCHEDULES}, False),
        ({"own.rates": [0.1, *SCHEDULES], "num_pairs": [2, 3]}, False),
        ({"pair.clip_grad_d": [None, 1, 7]}, False),
        ({"pair.clip_grad_d": [None, 0.5], "num_pairs": [2, 3]}, False),
        ({"pair.clip_grad_d": [None], "num_pairs": [2, 3]}, False),
        ({"strategy": ["independent", {"name": "gap", "swap_every": 3}]}, False),
        ({"pair.clip_grad_d": {"choice": [None, 1]}, "num_pairs": {"randint": [2, 9]}}, True),
    ],
)
def test_the_best_has_the_files_own_values_whatever_these_are(
    space: dict[str, Any], drawn: bool, best: int, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    samples = 2 if drawn else 1
    spec = Sweep(name="s", preset="ring8-gap", space={**space, "seed": [0, 1]}, samples=samples)
    points = spec.points()
    wanted = {k: v for k, v in points[best].items() if k != "seed"}
    frame = frame_of(spec, [0.5 + 0.1 * all(p[k] == wanted[k] for k in wanted) for p in points])
    means = sweep_table.over_seeds(spec, frame)
    found = sweep_table.best_points(spec, means)
    assert json.dumps(found) == json.dumps([wanted]), "of the same types, too"
    (tmp_path / "report").mkdir()
    folder = tmp_path
    (folder / "sweep.json").write_text(spec.model_dump_json())
    monkeypatch.setattr(sweep_report, "table", lambda _: frame)
    if "own.rates" in space:  # there is no such setting
        monkeypatch.setattr(sweep_report, "preset_of", lambda *_: "")
    sweep_report.write(folder)
    if "own.rates" not in space:
        config = resolve(None, [folder / "best.yaml"]).config
        assert config.num_pairs == wanted.get("num_pairs", config.num_pairs)
        assert config.pair.clip_grad_d == wanted.get("pair.clip_grad_d")
    read = pd.read_parquet(folder / "table.parquet")
    assert len(read) == len(frame)
    assert "best by" in sweep_report.text(folder)


def test_a_null_among_numbers_is_a_null_in_the_file() -> None:
    spec = Sweep(name="s", preset="ring8-gap", space={"pair.clip_grad_d": [None, 1, 7]})
    frame = frame_of(spec, [0.1, 0.2, 0.3])
    assert list(frame["pair.clip_grad_d"]) == ["None", 1, 7]
    column = sweep_table.stored(spec, frame)["pair.clip_grad_d"]
    assert column.isna().tolist() == [True, False, False]
    assert column.dtype == float


@pytest.mark.parametrize("lower", [True, False])
@pytest.mark.parametrize(
    ("metrics", "status", "best"),
    [
        ([NAN, NAN, 0.5, 0.4, 0.4, 0.4], {}, 1),
        ([NAN, 0.5, 0.5, NAN, NAN, 0.6], {}, 0),
        ([0.5, 0.5, 0.5, 0.4, 0.4, 0.4], {0: "failed"}, 1),
        ([NAN, NAN, NAN, NAN, NAN, 0.4], {}, 1),
        ([0.5, 0.5, 0.5, 0.4, 0.4, 0.4], {}, 0),
        ([0.5, 0.5, 0.5, 0.4, 0.4, 0.4], {0: "missing"}, 0),
    ],
)
def test_a_setting_that_fails_with_some_seeds_ranks_behind(
    metrics: list[float], status: dict[int, str], best: int, lower: bool
) -> None:
    metric = "mixture.reverse_kl" if lower else "mixture.high_quality"
    spec = Sweep(
        name="s", preset="ring8-gap", space={"num_pairs": [2, 3], "seed": [0, 1, 2]}, metric=metric
    )
    frame = frame_of(spec, [1 - m if lower else m for m in metrics], status)
    means = sweep_table.over_seeds(spec, frame)
    assert sweep_table.best_points(spec, means)[0] == {"num_pairs": [2, 3][best]}
    lacking = [
        sum(math.isnan(metrics[i]) or status.get(i) == "failed" for i in range(k, k + 3))
        for k in (0, 3)
    ]
    assert list(means["no_number"]) == lacking


def test_nothing_with_a_number_has_no_best() -> None:
    spec = Sweep(name="s", preset="ring8-gap", space={"num_pairs": [2, 3]})
    means = sweep_table.over_seeds(spec, frame_of(spec, [NAN, NAN]))
    assert sweep_table.best_points(spec, means) == []


def reported(
    spec: Sweep, frame: Any, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> tuple[str, str, str]:
    """(what is said, best.yaml, the page)."""
    (folder / "sweep.json").write_text(spec.model_dump_json())
    monkeypatch.setattr(sweep_report, "table", lambda _: frame)
    page = sweep_report.write(folder).read_text()
    return sweep_report.text(folder), (folder / "best.yaml").read_text(), page


@pytest.mark.parametrize(
    ("metrics", "number"),
    [([0.1, 0.3, 0.2], "0.2, mean of 3"), ([0, 0, 0], "0, mean of 3"), ([NAN, 0.3, 0.1], "0.2, ")],
)
def test_a_sweep_over_seeds_alone_has_its_config_as_a_preset(
    metrics: list[float], number: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    spec = Sweep(name="s", preset="ring8-gap", space={"seed": [0, 1, 2]})
    said, preset, page = reported(spec, frame_of(spec, metrics), tmp_path, monkeypatch)
    assert f"only seeds are swept: mixture.high_quality {number}" in said
    assert "best by" not in said
    assert preset.startswith("# best of the sweep s")
    assert "<h2>Best, as a preset</h2>" in page


@pytest.mark.parametrize(
    ("metrics", "said_as", "header"),
    [
        ([0, 0, 0, 0, 0, 0], "level {}: {}2; {}3; {}4; {}5; and 2 more", "the first of 6 that are"),
        ([0.1, 0.9, 0.9, 0.2, 0, 0], "level {}: {}3; {}4", "the first of 2 that are level"),
        ([0.1, 0.9, 0.8, 0.2, 0, 0], "best {}: {}3", "best"),
    ],
)
def test_settings_that_are_level_are_said_to_be(
    metrics: list[float], said_as: str, header: str, monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:  # fmt: skip
    """As `raygan train` says it of generators: nothing has found the first to be the best."""
    spec = Sweep(name="s", preset="ring8-gap", space={"num_pairs": [2, 3, 4, 5, 6, 7]})
    said, preset, page = reported(spec, frame_of(spec, metrics), tmp_path, monkeypatch)
    by = "by mixture.high_quality (mean over seeds)"
    wanted = said_as.replace("{}", by, 1).replace("{}", "num_pairs = ")
    assert wanted in said.splitlines()
    assert ("best.yaml (of the first)" in said) == ("level" in said_as)
    assert preset.startswith(f"# {header}")
    assert f"# {header}" in page


def test_a_run_that_is_done_and_has_no_number_is_said_to(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    spec = Sweep(name="s", preset="ring8-gap", space={"num_pairs": [2, 3, 4, 5]})
    frame = frame_of(spec, [0.1, NAN, 0.2, NAN], {3: "failed"})
    said, _, _ = reported(spec, frame, tmp_path, monkeypatch)
    assert "runs: 2 done, 1 done without a number, 1 failed" in said
