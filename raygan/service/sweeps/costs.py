"""What a trial costs, and what it is measured by."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch

from raygan.config import Config
from raygan.service.runs.warm_start import seconds_of
from raygan.service.sweeps.file import Sweep
from raygan.strategies.base import Setup, load_data, strategy_of


def megabytes(config: Config) -> float:
    """Megabytes that players send each other, for one step of everybody."""
    return (
        strategy_of(config).bytes_a_step(Setup(config, load_data(config), torch.device("cpu")))
        / 1e6
    )


def costs(config: Config, steps: int, seconds: float) -> dict[str, float]:
    """The three axes of a trial that is `steps` far."""
    # Updates of D, since they compare strategies: SGAN's global pair makes N of them a step.
    updates = strategy_of(config).d_updates(config) * steps
    return {"d_updates": updates, "player_seconds": seconds, "megabytes": megabytes(config) * steps}


def spent(config: Config, info: Mapping[str, Any]) -> tuple[int, dict[str, float]]:
    """(The step of a run's furthest player, what it has cost by now), with what was spent before it
    was forked; by its run.json.
    """
    step = max((info.get("steps") or {"": 0}).values())
    return step, costs(config, step, seconds_of(info))


def metric_of(sweep: Sweep, scores: Mapping[str, Mapping[str, Any]], pairs: list[str]) -> float:
    """The sweep's metric from the last scores of everybody; NaN where it is not there (yet)."""
    player, _, score = sweep.metric.partition(".")
    if player == "single":
        found = [float(scores[p][score]) for p in pairs if score in scores.get(p, {})]
        return sum(found) / len(found) if found else math.nan
    return float(scores.get(player, {}).get(score, math.nan))
