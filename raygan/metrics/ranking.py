"""Which score ranks generators, and which way; imported where torch is not."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Meaning:
    """What a score says, which way is better, and in which groups of scores it comes."""

    text: str
    groups: tuple[str, ...]
    lower: bool = False


METRICS = {
    "modes": Meaning("modes that at least one sample is at", ("modes", "stacked")),
    "modes@10%": Meaning("modes that get a tenth of their fair share or more", ("modes",)),
    "high_quality": Meaning("share of samples within 3 std of a mode", ("modes",)),
    "reverse_kl": Meaning(
        "KL of the samples' shares of the modes to equal shares", ("modes", "stacked"), lower=True
    ),
    "coverage_c": Meaning("share of real points where the samples have density", ("density",)),
    "log_likelihood": Meaning("of real points under a kernel density of the samples", ("density",)),
    "score": Meaning("inception score by the data set's own classifier", ("classes",)),
    "score_uniform": Meaning("the same against equal shares of the classes", ("classes",)),
    "entropy": Meaning("of the shares of the classes", ("classes",)),
    "tv": Meaning(
        "total variation between the shares of the classes and equal ones", ("classes",), lower=True
    ),
    "confidence": Meaning("mean probability of the likeliest class", ("classes", "stacked")),
    "classes_covered": Meaning("classes that get a tenth of their share or more", ("labels",)),
    "class_tv": Meaning(
        "total variation to the held-out shares of the classes", ("labels",), lower=True
    ),
    "fid": Meaning("Frechet distance of features", ("fid",), lower=True),
    "kid": Meaning("kernel distance of features", ("kid",), lower=True),
    "precision": Meaning("share of samples near real ones", ("prdc",)),
    "recall": Meaning("share of real samples near generated ones", ("prdc",)),
    "density": Meaning("real neighbourhoods that a sample lies in, over k", ("prdc",)),
    "coverage": Meaning("share of real samples whose neighbourhood has a sample", ("prdc",)),
    **{
        f"js{n}": Meaning(f"Jensen-Shannon divergence of {n}-grams", ("ngrams",), lower=True)
        for n in range(1, 5)
    },
}
"""Every score that raygan gives: its direction stands here and nowhere else. Over features a name
has the extractor behind it (fid@pixels).
"""
HEADLINES = ("high_quality", "score", "modes", "js4", "log_likelihood", "kid", "fid")


def lower_is_better(metric: str) -> bool:
    """
    >>> lower_is_better("fid@cnn:mnist"), lower_is_better("modes")
    (True, False)
    """
    known = METRICS.get(metric.partition("@")[0])
    return known is not None and known.lower


def better(metric: str, a: float, b: float) -> bool:
    """Is `a` the better value?"""
    if not math.isfinite(b):
        return math.isfinite(a)
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


def headline(row: Mapping[str, Any]) -> str | None:
    """The one score that ranks generators."""
    for wanted in HEADLINES:
        for key in row:
            if key.partition("@")[0] == wanted:
                return key
    return None
