"""What a trial costs, and what it is measured by."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import torch

from raygan.config import Config
from raygan.data.base import Samples
from raygan.data.stored import Samplings
from raygan.service.runs.identity import parts_told
from raygan.service.runs.warm_start import seconds_of
from raygan.service.sweeps.file import Sweep
from raygan.strategies.base import Setup, strategy_of


def megabytes(config: Config, data: Samples) -> float:
    """Megabytes that players send each other, for one step of everybody."""
    setup = Setup(config, data, torch.device("cpu"))
    return strategy_of(config).bytes_a_step(setup) / 1e6


def costs(config: Config, steps: int, seconds: float, data: Samples) -> dict[str, float]:
    """The three axes of a trial that is `steps` far; its data may be `light`."""
    # Updates of D, since they compare strategies: SGAN's global pair makes N of them a step.
    updates = strategy_of(config).d_updates(config) * steps
    sent = megabytes(config, data) * steps
    return {"d_updates": updates, "player_seconds": seconds, "megabytes": sent}


def spent(config: Config, info: Mapping[str, Any]) -> tuple[int, dict[str, float]]:
    """(The step of a run's furthest player, what it has cost by now), with what was spent before it
    was forked; by its run.json.
    """
    step = max((info.get("steps") or {"": 0}).values())
    return step, costs(config, step, seconds_of(info), sketched(info))


def light(data: Samples) -> Samples:
    """The same number of samples of the same form, all zero: enough to count by."""
    return replace(data.outline, train=zero(data.train.shape))


def zero(form: tuple[int, ...]) -> Samplings:
    """As many zeros, in the memory of one."""
    return np.broadcast_to(np.float32(0), form)


def sketched(info: Mapping[str, Any]) -> Samples:
    """The same by what run.json tells of them: a run that is there is
    counted without its data, which may be gone by now.
    """
    alphabet, shape = info.get("alphabet") or "", tuple(info["shape"])
    known = info.get("data") or {}
    # of text a sample is a number a character, not one for each letter
    form = (known.get("train") or 0, *(shape[1:] if alphabet else shape))
    zeros = zero(form)
    return Samples(known.get("name", ""), zeros, zeros[:0], text=alphabet, parts=parts_told(info))


def metric_of(sweep: Sweep, scores: Mapping[str, Mapping[str, Any]], pairs: list[str]) -> float:
    """The sweep's metric from the last scores of everybody; NaN where it is not there (yet)."""
    player, _, score = sweep.metric.partition(".")
    if player == "single":
        found = [float(scores[p][score]) for p in pairs if score in scores.get(p, {})]
        return sum(found) / len(found) if found else math.nan
    return float(scores.get(player, {}).get(score, math.nan))
