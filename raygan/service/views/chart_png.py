"""A chart as a PNG: what print, the live page and a browser without JavaScript show."""

from __future__ import annotations

from typing import Any

from raygan.service.views.chart import Band, Chart, Panel
from raygan.service.views.paper import STYLE, legend, plt, png

ALL, HALF, MEDIAN = ("#8da0b6", 0.3), ("#5f7a99", 0.45), "#2f4b6b"
"""Of a band: colour and how much it covers."""


def drawn(chart: Chart) -> bytes:
    """Its panels: against two axes side by side, else `across` in a row; only lines that are
    `named`.
    """
    twice = len(chart.panels[0].axes) > 1
    across = 2 if twice else chart.across
    high = len(chart.panels) if twice else -(-len(chart.panels) // across)
    with plt.rc_context(STYLE):
        figure, axes = plt.subplots(
            high, across, figsize=(9.6, chart.high * high), squeeze=False, layout="constrained",
            sharey="row" if twice else False,
        )  # fmt: skip
        frames = [(panel, x) for panel in chart.panels for x in panel.axes]
        for axis in axes.flat[len(frames) :]:
            axis.axis("off")
        for number, (axis, (panel, x)) in enumerate(zip(axes.flat, frames, strict=False)):
            _panel(axis, panel, x)
            if twice:
                _name_two(axis, panel, x, left=number % 2 == 0, last=number >= len(frames) - 2)
            else:
                _name_one(axis, panel, x)
        if any(panel.levels or len(panel.lines) > 1 for panel in chart.panels):
            legend(figure, axes.flat[min(len(frames), across) - 1 if twice else 0])
    return png(figure)


def _name_two(axis: Any, panel: Panel, x: str, left: bool, last: bool) -> None:
    """One of a panel's two frames: its name beside the left one, the axes under the last row."""
    if left:
        axis.set_ylabel(panel.name)
    if last:
        axis.set_xlabel(panel.axes[x])


def _name_one(axis: Any, panel: Panel, x: str) -> None:
    """A panel in one frame: its name above it, its axis below."""
    if panel.name:
        axis.set_title(panel.name, fontsize=9)
    axis.set_xlabel(panel.axes[x])


def _panel(axis: Any, panel: Panel, x: str) -> None:
    if x in panel.bands:
        _band(axis, panel.bands[x])
    for line in panel.lines:
        if line.named:
            axis.plot(
                line.at[x], line.values, color=line.colour, linewidth=line.width,
                linestyle=line.dashes, marker="o" if line.marked else None, markersize=2.5,
                label=line.label, zorder=3 if line.front else 2,
            )  # fmt: skip
    for level in panel.levels:
        axis.axhline(
            level.value, color=level.colour, linestyle=level.dashes, linewidth=0.9,
            label=level.label,
        )  # fmt: skip
    if panel.log:
        axis.set_yscale("log")
    if panel.from_zero:
        axis.set_ylim(0)


def _band(axis: Any, band: Band) -> None:
    low, first, middle, third, high = band.quantiles
    for under, over, (tint, covers), label in (
        (low, high, ALL, f"all {band.count} pairs"),
        (first, third, HALF, "middle half"),
    ):
        axis.fill_between(band.at, under, over, color=tint, alpha=covers, linewidth=0, label=label)
    axis.plot(band.at, middle, color=MEDIAN, linewidth=1.4, linestyle="-.", label="median of pairs")
