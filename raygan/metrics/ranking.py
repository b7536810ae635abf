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
    best: float | None = None
    """A value at which it is best, too little as bad as too much."""


METRICS = {
    "modes": Meaning("modes that at least one sample is at", ("modes", "stacked")),
    "modes@10%": Meaning("modes that get a tenth of their fair share or more", ("modes",)),
    "high_quality": Meaning("share of samples within 3 std of a mode", ("modes",)),
    "reverse_kl": Meaning(
        "KL of the samples' shares of the modes to equal shares", ("modes", "stacked"), lower=True
    ),
    "width": Meaning(
        "spread of the good samples within their mode, over the data's", ("modes",), best=1.0
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
    "density": Meaning(
        "real neighbourhoods that a sample lies in, over k; of a continuum: 0 where rows repeat",
        ("prdc",),
    ),
    "coverage": Meaning(
        "share of real samples whose neighbourhood has a sample; of a continuum as well",
        ("prdc",),
    ),
    "coverage_worst": Meaning("coverage of the part that is covered least", ("by_part",)),
    "coverage_worst_class": Meaning(
        "coverage of the class of a part that is covered least", ("by_part",)
    ),
    **{
        f"js{n}": Meaning(f"Jensen-Shannon divergence of {n}-grams", ("ngrams",), lower=True)
        for n in range(1, 5)
    },
}
"""Every score that raygan gives: its direction stands here and nowhere else. Over features a name
has the extractor behind it (fid@pixels).
"""
HEADLINES = ("high_quality", "score", "modes", "js4", "log_likelihood", "kid", "fid", "coverage")


def lower_is_better(metric: str) -> bool:
    """
    >>> lower_is_better("fid@cnn:mnist"), lower_is_better("modes")
    (True, False)
    """
    known = METRICS.get(metric.partition("@")[0])
    return known is not None and known.lower


def best_at(metric: str) -> float | None:
    """The value at which a score is best; None where more, or less, is always better."""
    known = METRICS.get(metric.partition("@")[0])
    return known.best if known else None


def better(metric: str, a: float, b: float) -> bool:
    """Is `a` the better value?

    >>> better("modes", 8, 7), better("width", 0.9, 1.5)
    (True, True)
    """
    # anything is better than no number
    if not math.isfinite(b):
        return math.isfinite(a)
    if (best := best_at(metric)) is not None:
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
    """The metrics' names for the head of a table, with the way to better; users' own have none.

    >>> marked(["modes", "js4", "mine"], {"modes": 8.0, "js4": 0.6}, {"modes": 8.0, "js4": 0.1})
    ['modes↑?', 'js4↓', 'mine']
    """
    blind = cannot_tell(floor, ceiling)
    return [m + arrow(m) + (MARK if m in blind else "") for m in metrics]


ARROWS = "↑ more is better, ↓ less is better, = real data's value is best"


def arrow(metric: str) -> str:
    """Which way is better; "" where nobody has said so."""
    known = METRICS.get(metric.partition("@")[0])
    if known is None:
        return ""
    return "=" if known.best is not None else "↓" if known.lower else "↑"


def way(metric: str, value: object, floor: Mapping[str, Any], ceiling: Mapping[str, Any]) -> float:
    """How much of the way from noise (0) to real data (1) a score has gone; NaN where it cannot
    tell these two, or is no number.

    >>> way("js4", 0.25, {"js4": 0.75}, {"js4": 0.0})
    0.6666666666666666
    """
    if metric not in floor or not isinstance(value, int | float):
        return math.nan
    if not _apart(metric, floor[metric], ceiling.get(metric)):
        return math.nan
    low, high = float(floor[metric]), float(ceiling[metric])
    if best_at(metric) is not None:  # beyond real data is as far from it as before it
        return 1 - abs(value - high) / abs(low - high)
    return (value - low) / (high - low)


MISSING = "missing"
"""In a row of several seeds: metric -> (how many have no number, of how many)."""


def lacking(row: Mapping[str, Any], metric: str) -> int:
    """How many of a row's seeds have no number: one that fails with two of three is not good
    because of the third.
    """
    return int(row.get(MISSING, {}).get(metric, (0, 0))[0])


LEVEL = 4
"""Generators that are level and named, at most."""


def deciding(
    metrics: Sequence[str], floor: Mapping[str, Any], ceiling: Mapping[str, Any]
) -> str | None:
    """The score that ranks generators in a table: the first headline that can tell real data from
    noise, else any that can.
    """
    blind = cannot_tell(floor, ceiling)
    clear = [m for m in metrics if m in floor and m in ceiling and m not in blind]
    return headline(dict.fromkeys(clear)) or next(iter(clear), None)


def verdict(
    scores: Mapping[str, Mapping[str, Any]], floor: Mapping[str, Any], ceiling: Mapping[str, Any]
) -> str:
    """Who is best, by which score, and how far it has come; "" where nothing can be said.

    >>> verdict({"a": {"kid": 0.1}, "b": {"kid": 0.2}}, {"kid": 0.5}, {"kid": 0.0})
    'best: a, 80 % of the way from noise to real data by kid (next: b, 60 %)'
    >>> verdict({"b": {"kid": 0.2}, "a": {"kid": 0.2}}, {"kid": 0.5}, {"kid": 0.0})
    'level: a, b; 60 % of the way from noise to real data by kid'

    Over seeds, of those where the fewest have no number.
    """
    metric = deciding(list(ceiling), floor, ceiling)
    if metric is None:
        return ""
    gone = {who: way(metric, row.get(metric), floor, ceiling) for who, row in scores.items()}
    none = {who: lacking(row, metric) for who, row in scores.items()}
    finite = (w for w in gone if math.isfinite(gone[w]))
    order = sorted(finite, key=lambda w: (none[w], -gone[w]))
    if not order:
        return ""
    # a score beyond the ceiling is not a better generator
    beyond = "; past real data, so perhaps less varied than they are" if gone[order[0]] > 1 else ""
    how_far = f"{100 * gone[order[0]]:.0f} % of the way from noise to real data by {metric}{beyond}"
    # by name: whoever asks in another order is told the same
    level = sorted(w for w in order if (none[w], gone[w]) == (none[order[0]], gone[order[0]]))
    if len(level) > 1:
        more = f" and {len(level) - LEVEL} more" if len(level) > LEVEL else ""
        return f"level: {', '.join(level[:LEVEL])}{more}; {how_far}"
    after = f" (next: {order[1]}, {gone[order[1]]:.0%})".replace("%", " %") if order[1:] else ""
    return f"best: {order[0]}, {how_far}{after}"


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
    # in this order: what a data set knows for certain comes before what features say
    for wanted in HEADLINES:
        for key in row:
            if key.partition("@")[0] == wanted:
                return key
    return None
