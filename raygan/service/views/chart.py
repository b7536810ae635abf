"""A picture of curves before it is drawn: panels, lines, bands, levels.

curves, slots, diagnostics --Chart--> `chart_png.drawn`: the PNG of print, live page and reports
without JavaScript --Chart--> `chart_data.told`: the same lines as JSON, for the page's own script

Both draw what is here, so no rule of what a curve is stands twice.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from raygan.service.runs.downsampling import Curve

BINS = 60
"""Places of a band, at most."""
Rows = Iterable[Mapping[str, Any]]


@dataclass(frozen=True)
class Line:
    """A curve; `at` has its places on every axis of its panel."""

    label: str
    colour: str
    at: Mapping[str, Sequence[float]]
    values: Sequence[float]
    """NaN where there is none: a gap."""
    player: str = ""
    """Whose it is; "" where it is nobody's."""
    named: bool = True
    """Is it shown from the start? Of many pairs only the chosen ones are."""
    width: float = 1.0
    dashes: str = "-"
    marked: bool = False
    """A dot at every point?"""
    front: bool = False


@dataclass(frozen=True)
class Level:
    """A value that a whole panel is measured by."""

    label: str
    value: float
    colour: str = "#222222"
    dashes: str = "--"


@dataclass(frozen=True)
class Band:
    """Quantiles over many curves at each place: 0, 1/4, 1/2, 3/4, 1."""

    count: int
    at: Sequence[float]
    quantiles: Sequence[Sequence[float]]


@dataclass(frozen=True)
class Panel:
    """One frame of a chart."""

    name: str
    axes: Mapping[str, str]
    """Field of a row -> how that axis is called; of two the panel is drawn against both."""
    lines: Sequence[Line]
    levels: Sequence[Level] = ()
    bands: Mapping[str, Band] = field(default_factory=dict)
    """By axis."""
    log: bool = False
    from_zero: bool = False


@dataclass(frozen=True)
class Chart:
    """What is drawn as one picture."""

    panels: Sequence[Panel]
    """One at least: where there is none there is no chart."""
    high: float
    """Of a row of panels in print, inches."""
    across: int = 2
    """Panels in a row of them."""


def line_of(rows: Rows, axes: Iterable[str], value: str, **look: Any) -> Line:
    """The curve of one field; of a step that was repeated the last row, and none that lacks it."""
    axes = [*axes]
    # By step: after a return to a checkpoint a log tells some steps twice.
    last = {r[axes[0]]: r for r in rows if value in r and all(_is_place(r.get(x)) for x in axes)}
    kept = [last[step] for step in sorted(last)]
    return Line(
        at={x: [r[x] for r in kept] for x in axes},
        values=[number(r[value]) for r in kept],
        **look,
    )


def _is_place(value: object) -> bool:
    return isinstance(value, int | float) and math.isfinite(value)


def number(value: object) -> float:
    """A value of a log; NaN for what is no finite number.

    >>> number(2), number("high"), number(float("inf"))
    (2.0, nan, nan)
    """
    return float(value) if isinstance(value, int | float) and _is_place(value) else math.nan


def band(curves: Mapping[str, Rows], x: str, y: str) -> Band | None:
    """All of them, their middle half and the median; None where nobody has a value."""
    at: dict[float, list[float]] = {}
    for place, value in (point for rows in curves.values() for point in _points(rows, x, y)):
        at.setdefault(place, []).append(value)
    if not at:
        return None
    # Quantiles over the pairs at one place; in async no two of them report at the same step.
    where, parts = binned(at)
    found = np.array([np.quantile(p, (0, 0.25, 0.5, 0.75, 1)) for p in parts]).T
    # Peaks widen what all of them cover; counted among the others they would move the quartiles.
    for rows in curves.values():
        for place, value in _points(rows.peaks(), x, y) if isinstance(rows, Curve) else ():
            near = int(np.abs(np.subtract(where, place)).argmin())
            found[0, near] = min(found[0, near], value)
            found[4, near] = max(found[4, near], value)
    return Band(len(curves), where, found.tolist())


def _points(rows: Rows, x: str, y: str) -> Iterator[tuple[float, float]]:
    for row in rows:
        if _is_place(row.get(x)) and not math.isnan(value := number(row.get(y))):
            yield float(row[x]), value


def bands(curves: Mapping[str, Rows], axes: Iterable[str], value: str) -> dict[str, Band]:
    """Axis -> the band against it."""
    found = {x: band(curves, x, value) for x in axes}
    return {x: some for x, some in found.items() if some}


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
