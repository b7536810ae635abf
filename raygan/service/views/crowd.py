"""Many pairs in one picture: bands of quantiles behind a few lines, and a heat map pair x step; as
large for 128 pairs as for eight.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from raygan.metrics.ranking import lower_is_better
from raygan.service.views.paper import STYLE, plt, png

Rows = Iterable[Mapping[str, Any]]
BINS = 60
LANES = 24
"""Names beside a picture, at most."""
TALLEST = 4.5
"""Inches."""


def band(axis: Any, curves: Mapping[str, Rows], x: str, y: str) -> None:
    """All of them (light) and their middle half (darker), with the median as a line."""
    at: dict[float, list[float]] = {}
    for rows in curves.values():
        for row in rows:
            if isinstance(row.get(y), int | float) and math.isfinite(row[y]):
                at.setdefault(float(row[x]), []).append(float(row[y]))
    if not at:
        return
    # Quantiles over the pairs at one place; in async no two of them report at the same step.
    where, parts = binned(at)
    low, first, middle, third, high = np.array(
        [np.quantile(p, (0, 0.25, 0.5, 0.75, 1)) for p in parts]
    ).T
    count = len(curves)
    axis.fill_between(
        where, low, high, color="#8da0b6", alpha=0.3, linewidth=0, label=f"all {count} pairs"
    )
    axis.fill_between(
        where, first, third, color="#5f7a99", alpha=0.45, linewidth=0, label="middle half"
    )
    axis.plot(
        where, middle, color="#2f4b6b", linewidth=1.4, linestyle="-.", label="median of pairs"
    )


def binned(at: Mapping[float, Sequence[float]]) -> tuple[list[float], list[list[float]]]:
    """Places and their values, at most BINS of them: players pass other steps in async."""
    places = sorted(at)
    if len(places) <= BINS:
        return places, [list(at[p]) for p in places]
    edges = np.linspace(places[0], places[-1], BINS + 1)
    groups: dict[int, list[float]] = {}
    for place in places:
        number = min(int(np.searchsorted(edges, place, "right")) - 1, BINS - 1)
        groups.setdefault(number, []).extend(at[place])
    middles = (edges[:-1] + edges[1:]) / 2
    return [float(middles[i]) for i in groups], list(groups.values())


def heat(curves: Mapping[str, Rows], metric: str, order: Sequence[str]) -> bytes | None:
    """A lane a pair, the best first, a column a step; brighter is better."""
    cells = {
        (p, r["step"]): float(r[metric]) for p in order for r in curves.get(p, ()) if metric in r
    }
    steps = sorted({step for _, step in cells})
    if not steps:
        return None
    values = np.array([[cells.get((p, s), np.nan) for s in steps] for p in order])
    lower = lower_is_better(metric)
    with plt.rc_context({**STYLE, "axes.grid": False}):
        figure, axis = plt.subplots(figsize=(9.6, height(len(order))), layout="constrained")
        edges = [steps[0] - (steps[1] - steps[0] if len(steps) > 1 else 1), *steps]
        image = axis.pcolormesh(
            edges, np.arange(len(order) + 1) - 0.5, np.ma.masked_invalid(values),
            cmap="cividis_r" if lower else "cividis",
        )  # fmt: skip
        # Grey: no value there, which must not look like a bad one.
        axis.set_facecolor("#dddddd")
        lanes(axis, order)
        axis.set_xlabel("step")
        figure.colorbar(image, ax=axis, label=f"{metric} ({'less' if lower else 'more'} is better)")
    return png(figure)


def height(count: int, each: float = 0.3) -> float:
    """Of a picture with so many lanes, in inches.

    >>> height(4), height(128)
    (1.9, 4.5)
    """
    return min(round(0.7 + each * count, 2), TALLEST)


def lanes(axis: Any, names: Sequence[str]) -> None:
    """The lanes' names, from above; of many one in so many, the first and the last among them."""
    every = -(-len(names) // LANES)
    shown = sorted({*range(0, len(names), every), len(names) - 1})
    if len(shown) > 1 and shown[-1] - shown[-2] < every:
        del shown[-2]
    axis.set_yticks(shown, [names[i] for i in shown], fontsize=8)
    axis.set_ylim(len(names) - 0.5, -0.5)
