"""`raygan dashboards draw`: the panels of the dashboards as a PNG, from a Prometheus; without a
Grafana. The same expressions are asked, over a range of time.

    Dashboard -> a question (PromQL) a query -> query_range -> a frame a panel, red line and all
"""

from __future__ import annotations

import json
import math
import re
import urllib.parse
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from raygan.errors import ConfigError
from raygan.service.cluster.dashboards import ONE_RUN, SWEEP, asked, query, write_into
from raygan.service.cluster.grafana import Dashboard, Panel
from raygan.service.views.colours import OTHER, PAIRS
from raygan.service.views.paper import STYLE, plt, png

POINTS = 240
"""Of a line: one is drawn every few pixels."""
NAMED = 8
"""Lines that a panel's legend names; of more it says how many there are."""
RED = "#c8102e"
Series = tuple[str, Sequence[tuple[float, float]]]
"""A line's legend; its points, (Unix seconds, value)."""


def seconds_of(text: str) -> float:
    """A span of time as Prometheus writes it. Raises ConfigError.

    >>> seconds_of("30m"), seconds_of("90")
    (1800.0, 90.0)
    """
    found = re.fullmatch(r"(\d+(?:\.\d+)?)([smhd]?)", text.strip())
    if not found or not (
        span := float(found[1]) * {"m": 60, "h": 3600, "d": 86400}.get(found[2], 1)
    ):
        raise ConfigError(f"--last {text!r} is no span of time. Write 90s, 30m, 2h or 1d.")
    return span


def lines_of(prometheus: str, panel: Panel, run: str, begin: float, end: float) -> list[Series]:
    """What a panel shows between two times (Unix seconds), of the runs that `run` (a regular
    expression) matches. Raises ConfigError.
    """
    step = max(1.0, (end - begin) / POINTS)
    out: list[Series] = []
    for one in panel.queries:
        # in a string of PromQL, where a backslash and a quote mean something
        expr = one.expr.replace("$run", json.dumps(run)[1:-1])
        question = {
            "query": expr,
            "start": f"{begin:.3f}",
            "end": f"{end:.3f}",
            "step": f"{step:.3f}",
        }
        for series in asked(prometheus, f"query_range?{urllib.parse.urlencode(question)}", expr):
            points = [(float(at), float(value)) for at, value in series["values"]]
            out.append((legend_of(one.legend, series["metric"]), points))
    return sorted(out)


def legend_of(text: str, labels: Mapping[str, str]) -> str:
    """A legend as Grafana fills it in.

    >>> legend_of("{{run}} {{player}} D", {"run": "mine", "player": "pair-00"})
    'mine pair-00 D'
    """
    return re.sub(r"\{\{\s*(\w+)\s*\}\}", lambda m: labels.get(m[1], ""), text).strip()


def draw_all(to: Path | None, prometheus: str, run: str, last_s: float) -> dict[Path, list[str]]:
    """Each dashboard's PNG, written into a folder once all are drawn -> its panels that have no
    series. Raises ConfigError.
    """
    if to is None:
        raise ConfigError("dashboards draw: where to? Give --to FOLDER.")
    drawn = {f"{d.uid}.png": draw(d, prometheus, run, last_s) for d in (ONE_RUN, SWEEP)}
    write_into(to, {name: picture for name, (picture, _) in drawn.items()})
    return {to / name: empty for name, (_, empty) in drawn.items()}


def draw(
    dashboard: Dashboard, prometheus: str, run: str = ".*", last_s: float = 1800.0
) -> tuple[bytes, list[str]]:
    """A PNG of all panels over the last so many seconds, and the titles of those that have no
    series. Raises ConfigError where no Prometheus answers, or none of them has any.
    """
    # by its clock, which has the series' times
    end = float(str(query(prometheus, "time()")[1]))
    found = [(p, lines_of(prometheus, p, run, end - last_s, end)) for p in dashboard.panels]
    empty = [panel.title for panel, lines in found if not lines]
    if len(empty) == len(found):
        raise ConfigError(
            f"dashboards: Prometheus has no series of a run {run!r} in the last {last_s:g} s. Is"
            " one going on, and is Ray scraped? `raygan dashboards check` tells."
        )
    # from the first sign of life on: a run of a minute is not drawn as the edge of half an hour
    begin = min(points[0][0] for _, lines in found for _, points in lines if points)
    with plt.rc_context(STYLE):
        high = -(-len(found) // 2)
        figure, axes = plt.subplots(
            high, 2, figsize=(11.0, 2.3 * high), squeeze=False, layout="constrained"
        )
        figure.suptitle(f"{dashboard.title}: {'all runs' if run == '.*' else run}", fontsize=11)
        for axis in axes.flat[len(found) :]:
            axis.axis("off")
        for axis, (panel, lines) in zip(axes.flat, found, strict=False):
            _panel(axis, panel, lines, begin, end)
    return png(figure), empty


def _panel(axis: Any, panel: Panel, lines: Sequence[Series], begin: float, end: float) -> None:
    axis.set_title(panel.title, fontsize=9.5, loc="left")
    axis.set_xlim(0, max(1.0, end - begin))
    axis.set_xlabel("seconds", fontsize=7)
    axis.set_ylabel(
        {"percentunit": "share", "short": "", "Bps": "bytes a second"}.get(panel.unit, panel.unit),
        fontsize=7,
    )
    axis.tick_params(labelsize=7)
    if not lines:
        axis.text(0.5, 0.5, "no series", transform=axis.transAxes, ha="center", color=OTHER)
        return
    for number, (label, points) in enumerate(lines):
        axis.plot(
            [at - begin for at, _ in points],
            [value if math.isfinite(value) else math.nan for _, value in points],
            color=PAIRS[number % len(PAIRS)], linestyle=("-", "--", ":")[number // len(PAIRS) % 3],
            linewidth=1.2, label=label if number < NAMED else None,
        )  # fmt: skip
    if panel.red_above is not None:
        axis.axhline(panel.red_above, color=RED, linestyle="--", linewidth=0.9)
    if len(lines) > NAMED:
        axis.plot([], [], linestyle="", label=f"and {len(lines) - NAMED} more")
    axis.legend(
        loc="upper left", bbox_to_anchor=(1.0, 1.02), fontsize=6, frameon=False, handlelength=1.4
    )
