"""Pictures of a sweep: its metric over settings, and against what it cost."""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from raygan.service.sweeps.file import Sweep
from raygan.service.sweeps.table import COSTS, Frame
from raygan.service.views.colours import MAIN, MIXED
from raygan.service.views.paper import STYLE, legend, png


def draw(spec: Sweep, frame: Frame, means: Frame) -> list[tuple[str, str, bytes | None]]:
    """The pictures of a sweep, each as (title, sentence, PNG)."""
    if means.empty:
        return []
    by = [k for k in spec.settings_named if k != "seed"]
    return [
        ("Interaction",
         "Mean over seeds, bars: one standard deviation; a line a value of the second setting.",
         interaction(spec, means, by)),
        ("Heat map", "Mean over seeds over the first two settings, a panel a value of the third.",
         heat_maps(spec, means, by)),
        ("Parallel coordinates", "A line a run, coloured by the metric.", parallel(spec, frame)),
        ("Cost",
         "The metric against what it took: updates of D, seconds of training, megabytes sent.",
         cost(spec, frame)),
    ]  # fmt: skip


def interaction(spec: Sweep, means: Frame, by: list[str]) -> bytes | None:
    """The metric against the first setting."""
    if not by:
        return None
    first, rest = by[0], by[1:2]
    with plt.rc_context(STYLE):
        figure, axis = plt.subplots(figsize=(7.6, 3.2), layout="constrained")
        # In the file's order: settings may be names, and rates stand at powers of ten.
        values = list(dict.fromkeys(means[first]))
        groups = (
            [(None, means)] if not rest else list(means.groupby(rest[0], sort=False, dropna=False))
        )
        for i, (value, part) in enumerate(groups):
            at = part.groupby(first, sort=False, dropna=False)[["metric", "std"]].mean()
            x = [values.index(v) for v in at.index]
            tint = plt.get_cmap("viridis")(i / max(1, len(groups) - 1) * 0.85)
            axis.errorbar(x, at["metric"], yerr=at["std"].fillna(0), color=tint, marker="o",
                          markersize=4, capsize=3,
                          label=None if value is None else f"{rest[0]} = {value}")  # fmt: skip
        labels = [str(v) for v in values]
        axis.set_xticks(range(len(values)), labels)
        if sum(map(len, labels)) > 60:
            plt.setp(axis.get_xticklabels(), rotation=15, ha="right")
        axis.set_xlabel(first)
        axis.set_ylabel(spec.metric)
        if rest:
            legend(figure, axis)
    return png(figure)


def heat_maps(spec: Sweep, means: Frame, by: list[str]) -> bytes | None:
    """The metric over two settings, for each value of a third."""
    if len(by) < 2:
        return None
    y, x, third = by[0], by[1], by[2] if len(by) > 2 else None
    parts = (
        [(None, means)] if third is None else list(means.groupby(third, sort=False, dropna=False))
    )
    low, high = means["metric"].min(), means["metric"].max()
    with plt.rc_context({**STYLE, "axes.grid": False}):
        figure, axes = plt.subplots(
            1,
            len(parts),
            figsize=(1.4 + 3.1 * len(parts), 3.1),
            squeeze=False,
            layout="constrained",
        )
        for axis, (value, part) in zip(axes[0], parts, strict=True):
            grid = part.pivot_table(index=y, columns=x, values="metric", sort=False, dropna=False)
            shown_at = axis.imshow(
                grid.to_numpy(float), cmap="viridis", vmin=low, vmax=high, aspect="auto"
            )
            axis.set_xticks(range(len(grid.columns)), [str(v) for v in grid.columns])
            axis.set_yticks(range(len(grid.index)), [str(v) for v in grid.index])
            for i, j in np.ndindex(grid.shape):
                number = grid.iat[i, j]
                # White on dark, dark on bright: viridis goes from one to the other.
                bright = high > low and (number - low) / (high - low) > 0.6
                axis.text(
                    j,
                    i,
                    f"{number:.3g}",
                    ha="center",
                    va="center",
                    fontsize=8,
                    color="#222222" if bright else "white",
                )
            axis.set_xlabel(x)
            axis.set_title("" if value is None else f"{third} = {value}", fontsize=9)
        axes[0][0].set_ylabel(y)
        figure.colorbar(shown_at, ax=axes[0].tolist(), label=spec.metric)
    return png(figure)


def parallel(spec: Sweep, frame: Frame) -> bytes | None:
    """A line a run through its settings to the metric."""
    columns = [*spec.settings_named, "metric"]
    rows = frame.dropna(subset=["metric"])
    # one setting against the metric is a curve, and no lines across axes
    if rows.empty or len(columns) < 3:
        return None
    with plt.rc_context({**STYLE, "axes.grid": False}):
        figure, axis = plt.subplots(figsize=(1.6 + 1.7 * len(columns), 3.4), layout="constrained")
        heights = {}
        for i, column in enumerate(columns):
            numeric = pd.api.types.is_numeric_dtype(rows[column])
            values = (
                sorted(set(rows[column]))
                if numeric
                else list(dict.fromkeys(rows[column].astype(str)))
            )
            if column == "metric":
                low, high = float(rows[column].min()), float(rows[column].max())
                # `or 1`: all runs may have one and the same score
                heights[column] = [(v - low) / ((high - low) or 1) for v in rows[column]]
                ticks = [(0.0, f"{low:.3g}"), (1.0, f"{high:.3g}")]
            else:
                keys = rows[column] if numeric else rows[column].astype(str)
                # by rank: rates are spread over powers of ten, and names over nothing
                heights[column] = [values.index(v) / max(1, len(values) - 1) for v in keys]
                ticks = [(k / max(1, len(values) - 1), str(v)) for k, v in enumerate(values)]
            axis.axvline(i, color="#bbbbbb", linewidth=1)
            for at, text in ticks:
                axis.text(i + 0.03, at, text, fontsize=7, va="bottom", color="#555555")
        for k in range(len(rows)):
            tint = plt.get_cmap("viridis")(heights["metric"][k])
            axis.plot(
                range(len(columns)),
                [heights[c][k] for c in columns],
                color=tint,
                linewidth=1.1,
                alpha=0.85,
            )
        axis.set_xticks(range(len(columns)), [*columns[:-1], spec.metric])
        axis.set_yticks([])
        axis.set_xlim(-0.1, len(columns) - 0.6)
        axis.spines["left"].set_visible(False)
    return png(figure)


def cost(spec: Sweep, frame: Frame) -> bytes | None:
    """The metric against each axis of cost."""
    rows = frame.dropna(subset=["metric"])
    with plt.rc_context(STYLE):
        figure, axes = plt.subplots(
            1, len(COSTS), figsize=(9.6, 2.7), sharey=True, layout="constrained"
        )
        for axis, column in zip(axes, COSTS, strict=True):
            axis.scatter(
                rows[column],
                rows["metric"],
                s=16,
                color=[MAIN if s == "scheduler" else MIXED for s in rows["status"]],
            )
            axis.set_xlabel(column.replace("_", " "))
        axes[0].set_ylabel(spec.metric)
    return png(figure)
