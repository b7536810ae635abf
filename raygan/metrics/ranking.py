"""Which score ranks generators, and which way; imported where torch is not."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

LOWER_IS_BETTER = ("reverse_kl", "tv", "fid", "kid", "js1", "js2", "js3", "js4")
HEADLINES = ("high_quality", "score", "modes", "js4", "log_likelihood", "kid", "fid")


def lower_is_better(metric: str) -> bool:
    """
    >>> lower_is_better("fid@cnn:mnist"), lower_is_better("modes")
    (True, False)
    """
    return metric.partition("@")[0] in LOWER_IS_BETTER


def better(metric: str, a: float, b: float) -> bool:
    """Is `a` the better value?"""
    if not math.isfinite(b):
        return math.isfinite(a)
    return a < b if lower_is_better(metric) else a > b


def headline(row: Mapping[str, Any]) -> str | None:
    """The one score that ranks generators."""
    for wanted in HEADLINES:
        for key in row:
            if key.partition("@")[0] == wanted:
                return key
    return None
