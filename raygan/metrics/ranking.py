"""Which score ranks generators, and which way; imported where torch is not."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

LOWER_IS_BETTER = ("reverse_kl", "tv", "class_tv", "fid", "kid", "js1", "js2", "js3", "js4")
BEST_AT = {"width": 1.0}
"""Scores that are best at a value, too little as bad as too much."""
HEADLINES = ("high_quality", "score", "modes", "js4", "log_likelihood", "kid", "fid")


def lower_is_better(metric: str) -> bool:
    """
    >>> lower_is_better("fid@cnn:mnist"), lower_is_better("modes")
    (True, False)
    """
    return metric.partition("@")[0] in LOWER_IS_BETTER


def better(metric: str, a: float, b: float) -> bool:
    """Is `a` the better value?

    >>> better("modes", 8, 7), better("width", 0.9, 1.5)
    (True, True)
    """
    if not math.isfinite(b):
        return math.isfinite(a)
    if (best := BEST_AT.get(metric.partition("@")[0])) is not None:
        return abs(a - best) < abs(b - best)
    return a < b if lower_is_better(metric) else a > b


MARK = "?"
"""Behind a metric's name where it cannot tell real data from noise."""


def cannot_tell(floor: Mapping[str, Any], ceiling: Mapping[str, Any]) -> list[str]:
    """The metrics by which noise is as good as real data, or one of them has no value: they say
    nothing about a generator.

    >>> cannot_tell({"kid@raw": 0.1, "modes": 8.0}, {"kid@raw": 0.001, "modes": 8.0})
    ['modes']
    """
    return [m for m in ceiling if m in floor and not _apart(m, floor[m], ceiling[m])]


def _apart(metric: str, noise: Any, real: Any) -> bool:
    numbers = isinstance(noise, int | float) and isinstance(real, int | float)
    return (
        numbers
        and math.isfinite(noise)
        and math.isfinite(real)
        and better(metric, float(real), float(noise))
    )


def marked(
    metrics: Sequence[str], floor: Mapping[str, Any], ceiling: Mapping[str, Any]
) -> list[str]:
    """The metrics' names for the head of a table.

    >>> marked(["modes", "js4"], {"modes": 8.0, "js4": 0.6}, {"modes": 8.0, "js4": 0.1})
    ['modes?', 'js4']
    """
    blind = cannot_tell(floor, ceiling)
    return [m + MARK if m in blind else m for m in metrics]


def mark_line(metrics: Sequence[str], floor: Mapping[str, Any], ceiling: Mapping[str, Any]) -> str:
    """What the marks mean; "" where there are none."""
    blind = [m for m in cannot_tell(floor, ceiling) if m in metrics]
    return (
        f"{MARK} cannot tell: noise is as good as real data by {', '.join(blind)}" if blind else ""
    )


NARROW = 0.5
"""Width below which modes are told to be too narrow."""


def narrow_line(scores: Mapping[str, Mapping[str, Any]]) -> str:
    """Whose modes are much narrower than the data's, by `width`; "" where nobody's are.

    high_quality rewards them: a point a mode has all of it.

    >>> narrow_line({"pair-00": {"width": 0.21}, "pair-01": {"width": 0.9}, "global": {}})
    "narrow: modes keep .21 of the data's spread in pair-00; high_quality does not see that"
    """
    found = {
        p: float(row["width"]) for p, row in scores.items() if row.get("width", NARROW) < NARROW
    }
    told = ", ".join(f"{w:.2f} of the data's spread in {p}".lstrip("0") for p, w in found.items())
    return f"narrow: modes keep {told}; high_quality does not see that" if found else ""


def headline(row: Mapping[str, Any]) -> str | None:
    """The one score that ranks generators."""
    for wanted in HEADLINES:
        for key in row:
            if key.partition("@")[0] == wanted:
                return key
    return None
