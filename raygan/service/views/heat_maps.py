"""Many pairs in one picture: a heat map pair x step, as large for 128 pairs as for eight."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from raygan.metrics.ranking import lower_is_better
from raygan.service.views.chart import Rows
from raygan.service.views.paper import STYLE, plt, png

LANES = 24
"""Names beside a picture, at most."""
TALLEST = 4.5
"""Inches."""


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
