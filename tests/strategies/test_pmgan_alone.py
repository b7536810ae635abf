"""PMGAN with one generator (K = 1 of the paper's Table 2): a plain pair beside a classifier that
has nothing to tell.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest

from raygan.config import resolve
from raygan.service.training import train


@pytest.mark.parametrize(
    "flags",
    [{}, {"tempo": "async"}, {"strategy.feedback": "gradients"}, {"strategy.joint": True}],
    ids=str,
)
def test_one_generator_trains(flags: dict[str, Any], tmp_path: Path) -> None:
    small = {
        "num_pairs": 1,
        "steps": 3,
        "network.hidden": 8,
        "evaluation.samples": 1500,
        "evaluation.every_steps": 3,
    }
    run = train(
        resolve("ring8-pmgan", flags={**small, **flags}), run_dir=tmp_path, name="r", inline=True
    )
    rows = [r for r in run.rows if r["kind"] == "train" and r["player"] == "gen-00"]
    assert rows
    assert all(math.isfinite(r["loss_g"]) for r in rows)
