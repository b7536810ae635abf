"""Charts as JSON for the report's own script (`templates/charts.js`), small at any number of pairs.

Nothing is left out unsaid: `ChartData.notes` are the sentences that stand beside a chart.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from raygan.service.views.chart import Band, Chart, Line, Panel
from raygan.service.views.chart_png import ALL, HALF, MEDIAN

NUMBERS = 70_000
"""In one chart. With what stands around them they are 0.7 MB of the page at 128 pairs, so that a
page with three such charts stays below 3 MB; 1.1 MB at most, at 1,000 pairs in async.
"""
FINE = 400
"""Points of a named curve where others need room too: about as many as a chart is wide."""
LEAST = 16
"""Points of a curve; where not even these fit for all pairs, some pairs are left out."""


Rooms = tuple[int, int]
"""Points of a curve that is not named, and of one that is."""


@dataclass
class ChartData:
    """What a page's script is told."""

    players: dict[str, dict[str, Any]] = field(default_factory=dict)
    """Whose curves there are -> how they look; one control shows and hides them in all charts."""
    charts: list[list[dict[str, Any]]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    """Of each chart."""

    def add(self, chart: Chart, order: Sequence[str]) -> int:
        """A chart more; order: pairs, those first that stay where there is no room for all. Returns
        its number.
        """
        kept = fitting(chart, order)
        most = rooms(chart, kept)
        self.charts.append([self._panel(panel, kept, most) for panel in chart.panels])
        self.notes.append(note(chart, kept, most))
        return len(self.charts) - 1

    def dump(self) -> dict[str, Any]:
        """As JSON; players that are shown from the start come first, others by their names."""
        looks = [{"name": name, **look} for name, look in self.players.items()]
        looks.sort(key=lambda look: (not look["named"], len(look["name"]), look["name"]))
        return {"players": looks, "charts": self.charts}

    def _panel(self, panel: Panel, kept: set[str], most: Rooms) -> dict[str, Any]:
        places = list[list[float]]()
        numbers = dict[tuple[float, ...], int]()

        def place(values: Sequence[float]) -> int:
            # In lockstep all players report at the same steps: told once.
            key = tuple(_places(values))
            if key not in numbers:
                numbers[key] = len(places)
                places.append(list(key))
            return numbers[key]

        lines = [self._line(line, most[line.named], place) for line in _of(panel, kept)]
        return {
            "name": panel.name, "axes": [{"key": k, "name": v} for k, v in panel.axes.items()],
            "log": panel.log, "zero": panel.from_zero, "places": places, "lines": lines,
            "levels": [vars(some) for some in panel.levels if math.isfinite(some.value)],
            "bands": {x: _band(some) for x, some in panel.bands.items()},
        }  # fmt: skip

    def _line(self, line: Line, most: int, place: Any) -> dict[str, Any]:
        at = thinned(line.values, most)
        look = {"colour": line.colour, "dashes": line.dashes}
        if line.player:
            mine = self.players.setdefault(
                line.player, {**look, "label": line.label, "named": False}
            )
            mine["named"] |= line.named
        return {
            "player": line.player, "label": line.label, **look, "width": line.width,
            "at": {x: place([v[i] for i in at]) for x, v in line.at.items()},
            "values": [_value(line.values[i]) for i in at],
        }  # fmt: skip


def fitting(chart: Chart, order: Sequence[str]) -> set[str]:
    """Players whose curves are in the chart: all; where there is no room, those that are named and
    the first ones of `order`.
    """
    costs = dict[str, int]()
    named = set[str]()
    for line in (line for panel in chart.panels for line in panel.lines):
        costs[line.player] = costs.get(line.player, 0) + LEAST * (len(line.at) + 1)
        named |= {line.player} if line.named else set()
    kept, room = {*named}, NUMBERS - sum(costs[p] for p in named)
    ranks = {pair: rank for rank, pair in enumerate(order)}
    for player in sorted(costs.keys() - named, key=lambda p: (ranks.get(p, len(ranks)), p)):
        if (room := room - costs[player]) < 0:
            break
        kept.add(player)
    return kept


def rooms(chart: Chart, kept: set[str]) -> Rooms:
    """Points of a curve: those that are shown from the start have more of them."""
    lines = [line for panel in chart.panels for line in _of(panel, kept)]
    of = {which: [len(line.at) + 1 for line in lines if line.named == which] for which in (0, 1)}
    most = max(LEAST, NUMBERS // max(1, sum(of[1])))
    if of[0]:
        most = min(most, FINE)
    rest = NUMBERS - sum(most * numbers for numbers in of[1])
    return max(LEAST, min(most, rest // max(1, sum(of[0])))), most


def thinned(values: Sequence[float], most: int) -> list[int]:
    """Which points are kept: of each stretch the least, the greatest and the first gap; the ends.

    >>> thinned([0, 1, 9, 1, 0, -5, 0, 1], 6)
    [0, 2, 5, 7]
    >>> thinned([1, 2, 3], 6)
    [0, 1, 2]
    """
    if len(values) <= most:
        return [*range(len(values))]
    kept = {0, len(values) - 1}
    stretches = max(1, (most - 2) // 2)
    edges = [len(values) * i // stretches for i in range(stretches + 1)]
    for start, end in itertools.pairwise(edges):
        # the ends of each stretch, not its mean: a peak is what a curve is looked at for
        there = [i for i in range(start, end) if math.isfinite(values[i])]
        if there:
            kept |= {min(there, key=values.__getitem__), max(there, key=values.__getitem__)}
        kept |= {*[i for i in range(start, end) if not math.isfinite(values[i])][:1]}
    return sorted(kept)


def note(chart: Chart, kept: set[str], most: Rooms) -> str:
    """What the chart does not show, in words; "" where that is nothing."""
    lines = [line for panel in chart.panels for line in panel.lines]
    cut = {line.named for line in lines if len(line.values) > most[line.named]}
    out = [
        f"Of a long curve{'' if which else ' that is not shown at first'} about {most[which]}"
        " points are here: of each stretch its least and its greatest."
        for which in sorted(cut, reverse=True)
    ]
    if left := len({line.player for line in lines} - kept):
        out.append(f"There is no room for all: the curves of the {left} worst pairs are left out.")
    return " ".join(out)


def _of(panel: Panel, kept: set[str]) -> list[Line]:
    return [line for line in panel.lines if line.player in kept]


def _band(band: Band) -> Mapping[str, Any]:
    return {
        "count": band.count, "at": _places(band.at),
        "quantiles": [[_value(v) for v in some] for some in band.quantiles],
        "all": ALL, "half": HALF, "median": MEDIAN,
    }  # fmt: skip


def _places(values: Sequence[float]) -> list[float]:
    """Steps as they are; seconds to a hundredth, or as finely as it takes to keep rows apart.

    >>> _places([200.0, 400.0]), _places([0.123, 4.567]), _places([0.1231, 0.1239])
    ([200, 400], [0.12, 4.57], [0.123, 0.124])
    """
    # Of two points at one place the page's plots draw the last.
    apart, digits = len({*values}), 2
    while len({round(v, digits) for v in values}) < apart:
        digits += 1
    return [int(v) if v == int(v) else round(float(v), digits) for v in values]


def _value(value: float) -> float | None:
    """Five digits; None for a gap, since JSON has no NaN."""
    return float(f"{value:.5g}") if math.isfinite(value) else None
