"""Runs beside each other: none is lost for want of a name of its own."""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from raygan.config import full_dump
from raygan.errors import ConfigError
from raygan.service.runs.run import Run
from raygan.service.scores.compare import alike, best_first, over_seeds
from raygan.service.scores.gam2 import gam2
from raygan.service.scores.score_table import score_table
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


NAN = float("nan")


def scored(*kids: float | None, **more: float) -> dict[str, Any]:
    """The row of a group, a run each with such a kid@raw, None for one without; the last has
    `more`.
    """
    rows = [{} if kid is None else {"kid@raw": kid} for kid in kids]
    rows[-1] |= more
    runs: Any = [SimpleNamespace(scores=lambda row=row: {"global": row}) for row in rows]
    ((player, found),) = over_seeds(runs)
    assert player == "global"
    return dict(found)


def test_seeds_without_a_number_are_told_and_rank_behind() -> None:
    rows = {
        "lucky": scored(0.05, NAN, NAN), "gone": scored(NAN, NAN, NAN), "left": scored(None, 0.2),
        "whole": scored(0.3, 0.3), "better": scored(0.2, 0.2, modes=8.0),
    }  # fmt: skip
    entry = {"floor": {"kid@raw": 1.0}, "ceiling": {"kid@raw": 0.0}}
    assert list(best_first(rows, entry)) == ["better", "whole", "left", "lucky", "gone"]
    text = score_table(best_first(rows, entry), entry["floor"], entry["ceiling"])
    lines = {line.split("  ")[0]: line for line in text.splitlines()}
    assert "0.05 (2 of 3 have none)" in lines["lucky"]
    assert "0.2 (1 of 2 has none)" in lines["left"]
    assert "(3 of 3 have none)" in lines["gone"]
    assert "none" not in lines["whole"]
    assert "best: better, 80 %" in text
    assert rows["better"]["modes"] == 8, "what only some of the seeds are scored by"
