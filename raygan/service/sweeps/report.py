"""What a sweep has found: a table (DataFrame, parquet), pictures, one HTML page, and the best
config as a preset.

table(FOLDER) -> one row a run: settings, metric, costs, how it ended; write(FOLDER) ->
report/index.html, best.yaml
"""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any, TypeAlias

import jinja2
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import yaml

from raygan.config import DEFAULT_PRESET, preset_values, validate
from raygan.controller.run_folder import write_atomically
from raygan.errors import RayganError
from raygan.metrics.ranking import lower_is_better
from raygan.own.inside import lasting
from raygan.service.runs.run import Run
from raygan.service.runs.warm_start import inherited_seconds, schedule
from raygan.service.sweeps.file import Sweep, costs, flat, known_name, metric_of, spoken, trial_name
from raygan.service.sweeps.trial import FORKED
from raygan.service.views.pictures import MAIN, MIXED, STYLE, png
from raygan.service.views.report import TEMPLATES

Frame: TypeAlias = Any
"""A pandas DataFrame; its stubs know too little of what its columns hold."""
COSTS = ("d_updates", "player_seconds", "megabytes")


def load(folder: Path) -> Sweep:
    """The sweep of a sweep's folder."""
    return validate(Sweep, json.loads((folder / "sweep.json").read_text()))


def table(folder: Path) -> Frame:
    """A row a run: its settings, the metric, steps, the three costs, and how it ended; missing
    trials are rows as well.

    In the order of the file's values, where all of them are tried.
    """
    spec, rows = load(folder), []
    for path in sorted(
        p.parent for p in (folder / "runs").glob("*/point.json") if not p.parent.is_symlink()
    ):
        point = json.loads((path / "point.json").read_text())
        try:
            run = Run.load(path)
            info, scores = run.info, run.scores()
        except (RayganError, ValueError) as error:
            rows.append({"run": path.name, **shown(point), "status": f"damaged: {error}"})
            continue
        step = max((info.get("steps") or {"": 0}).values())
        seconds = inherited_seconds(info) + sum((info.get("busy_seconds") or {}).values())
        rows.append({
            "run": path.name, **shown(point), "metric": metric_of(spec, scores, run.pairs), "step": step,
            **costs(run.config, step, seconds), "status": ended(info),
        })  # fmt: skip
    there = {str(r["run"]).partition(FORKED)[0] for r in rows}
    missing = [
        p
        for p in spec.points()
        if spec.search == "grid" and known_name(folder / "runs", p) not in there
    ]
    rows += [{"run": trial_name(p), **shown(p), "status": "missing"} for p in missing]
    if spec.search == "grid":
        place = {known_name(folder / "runs", p): i for i, p in enumerate(spec.points())}
        rows.sort(
            key=lambda r: (place.get(str(r["run"]).partition(FORKED)[0], len(place)), str(r["run"]))
        )
    return pd.DataFrame(rows)


def shown(point: dict[str, Any]) -> dict[str, Any]:
    """Settings as cells: a component by its name and settings."""
    return {k: spoken(v) if isinstance(v, dict) else v for k, v in point.items()}


def ended(info: dict[str, Any]) -> str:
    """How a run ended: its status, or who stopped it. One that was stopped and has gone on since is
    not stopped any more.

    >>> ended({"status": "stopped", "ended_by": "scheduler"}), ended({"status": "done", "ended_by": "scheduler"})
    ('scheduler', 'done')
    """
    by = info.get("ended_by") if info["status"] == "stopped" else None
    return str(by or info["status"])


def over_seeds(spec: Sweep, frame: Frame) -> Frame:
    """Mean and standard deviation of the metric over seeds, with the mean costs, a row a
    combination of the other settings.
    """
    by = [k for k in spec.settings_named if k != "seed"] or ["seed"]
    whole = (
        frame[frame["status"].isin(["done", "degraded", "budget"])]
        if "metric" in frame
        else frame.iloc[:0]
    )
    if whole.empty:
        return pd.DataFrame(columns=[*by, "metric", "std", "n", *COSTS])
    groups = whole.groupby(by, dropna=False, sort=False)
    out = (
        groups["metric"]
        .agg(["mean", "std", "count"])
        .rename(columns={"mean": "metric", "count": "n"})
    )
    return out.join(groups[list(COSTS)].mean()).reset_index()


def best_point(spec: Sweep, means: Frame) -> dict[str, Any] | None:
    """The combination with the best mean; None when nothing is whole."""
    if means.empty or means["metric"].isna().all():
        return None
    lower = lower_is_better(spec.metric.partition(".")[2])
    row = means.loc[means["metric"].idxmin() if lower else means["metric"].idxmax()]
    by = [k for k in spec.settings_named if k != "seed"]
    found = {k: row[k] for k in by}
    return next(
        (p for p in [*spec.points()] if all(shown(p)[k] == v for k, v in found.items())),
        {k: plain(v) for k, v in found.items()},
    )


def plain(value: Any) -> Any:
    """A numpy scalar as Python's."""
    return value.item() if isinstance(value, np.generic) else value


def write(folder: Path) -> Path:
    """Everything into `folder`; returns the page."""
    spec, frame = load(folder), table(folder)
    means = over_seeds(spec, frame)
    (folder / "report").mkdir(exist_ok=True)
    frame.to_parquet(folder / "table.parquet")
    pictures = [(t, n, raw) for t, n, raw in draw(spec, frame, means) if raw is not None]
    for title, _, raw in pictures:
        (folder / "report" / f"{title.lower().replace(' ', '-')}.png").write_bytes(raw)
    best = best_point(spec, means)
    if best is not None:
        write_atomically(
            folder / "best.yaml", (changes_of(folder, frame, best) + preset_of(spec, best)).encode()
        )
    page = folder / "report" / "index.html"
    write_atomically(
        page, render(spec, frame, means, pictures, best, changes_of(folder, frame, best)).encode()
    )
    return page


def preset_of(spec: Sweep, point: dict[str, Any]) -> str:
    """The best config, as a file for --config or raygan/presets."""
    values: dict[str, Any] = {
        **flat(preset_values(spec.preset or DEFAULT_PRESET)),
        **flat(spec.settings),
    }
    values |= {k: plain(v) for k, v in point.items() if k != "seed"}
    values["steps"] = spec.resolved(point).config.steps
    nested_values: dict[str, Any] = {}
    for path, value in sorted(values.items(), key=lambda item: item[0].count(".")):
        at = nested_values
        *parents, last = path.split(".")
        for parent in parents:
            old = at.get(parent)
            at = (
                at.setdefault(parent, {})
                if isinstance(old, dict | None)
                else at.setdefault(parent, {"name": old})
            )
        at[last] = value
    return f"# best of the sweep {spec.name}, by {spec.metric}\n" + yaml.safe_dump(
        lasting(nested_values), sort_keys=False
    )


def changes_of(folder: Path, frame: Frame, point: dict[str, Any] | None) -> str:
    """How the best runs' settings changed on the way (pbt), as comments over the preset: it holds
    the last of them only.
    """
    lines = list[str]()
    for _, row in frame.iterrows() if point is not None else ():
        path = folder / "runs" / str(row["run"])
        if any(str(row.get(k)) != str(v) for k, v in shown(point or {}).items() if k != "seed"):
            continue
        if before := schedule(Run.load(path).info) if (path / "run.json").exists() else []:
            parts = [f"until step {b['until']}: {said(b['point'])}" for b in before]
            lines.append(f"# {path.name}: {'; '.join(parts)}; then what stands here")
    warning = (
        "# Its settings changed on the way, so that a run of this file alone is not what has won:\n"
    )
    return warning + "\n".join(lines) + "\n" if lines else ""


def said(point: dict[str, Any]) -> str:
    """
    >>> said({"pair.lr_g": 0.003, "seed": 0})
    'pair.lr_g = 0.003, seed = 0'
    """
    return ", ".join(f"{k} = {cell(v)}" for k, v in point.items())


# ------------------------------------------------------------------------------------------------------------
# pictures


def draw(spec: Sweep, frame: Frame, means: Frame) -> list[tuple[str, str, bytes | None]]:
    """(title, sentence, PNG)."""
    if means.empty:
        return []
    by = [k for k in spec.settings_named if k != "seed"]
    return [
        ("Interaction", "Mean over seeds, bars: one standard deviation; a line a value of the second setting.",
         interaction(spec, means, by)),
        ("Heat map", "Mean over seeds over the first two settings, a panel a value of the third.", heat_maps(spec, means, by)),
        ("Parallel coordinates", "A line a run, coloured by the metric.", parallel(spec, frame)),
        ("Cost", "The metric against what it took: updates of D, seconds of training, megabytes sent.", cost(spec, frame)),
    ]  # fmt: skip


def interaction(spec: Sweep, means: Frame, by: list[str]) -> bytes | None:
    """The metric against the first setting."""
    if not by:
        return None
    first, rest = by[0], by[1:2]
    with plt.rc_context(STYLE):
        figure, axis = plt.subplots(figsize=(7.6, 3.2), layout="constrained")
        values = list(dict.fromkeys(means[first]))
        groups = (
            [(None, means)] if not rest else list(means.groupby(rest[0], sort=False, dropna=False))
        )
        for i, (value, part) in enumerate(groups):
            at = part.groupby(first, sort=False, dropna=False)[["metric", "std"]].mean()
            x = [values.index(v) for v in at.index]
            tint = plt.get_cmap("viridis")(i / max(1, len(groups) - 1) * 0.85)
            axis.errorbar(x, at["metric"], yerr=at["std"].fillna(0), color=tint, marker="o", markersize=4, capsize=3,
                          label=None if value is None else f"{rest[0]} = {value}")  # fmt: skip
        labels = [str(v) for v in values]
        axis.set_xticks(range(len(values)), labels)
        if sum(map(len, labels)) > 60:
            plt.setp(axis.get_xticklabels(), rotation=15, ha="right")
        axis.set_xlabel(first)
        axis.set_ylabel(spec.metric)
        if rest:
            axis.legend(fontsize=8, frameon=False, loc="center left", bbox_to_anchor=(1.01, 0.5))
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
                heights[column] = [(v - low) / ((high - low) or 1) for v in rows[column]]
                ticks = [(0.0, f"{low:.3g}"), (1.0, f"{high:.3g}")]
            else:
                keys = rows[column] if numeric else rows[column].astype(str)
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


# ----------------------------------------------------------------------------------------------------------------
# page


def text(folder: Path) -> str:
    """The table over seeds as text, what was not whole, and what is best."""
    from raygan.service.views.tables import text_table

    spec, frame = load(folder), table(folder)
    means = over_seeds(spec, frame)
    header = [*means.columns]
    lines = (
        [text_table(header, [[cell(row[c]) for c in header] for _, row in means.iterrows()])]
        if len(means)
        else []
    )
    ended = frame["status"].value_counts()
    lines.append("runs: " + ", ".join(f"{n} {status}" for status, n in ended.items()))
    best = best_point(spec, means)
    if best is not None:
        lines.append(
            f"best by {spec.metric} (mean over seeds): "
            + said({k: v for k, v in best.items() if k != "seed"})
        )
        if changes := changes_of(folder, frame, best):
            lines.append(changes.replace("# ", "").rstrip())
        lines.append(f"preset  {folder / 'best.yaml'}")
    lines.append(f"report  {folder / 'report' / 'index.html'}")
    return "\n".join(lines)


def cell(value: Any) -> str:
    """A number to four digits."""
    value = plain(value)
    if isinstance(value, float):
        return "" if np.isnan(value) else f"{value:.4g}"
    return spoken(value)


def render(
    spec: Sweep,
    frame: Any,
    means: Any,
    pictures: list[tuple[str, str, bytes]],
    best: dict[str, Any] | None,
    changes: str,
) -> str:
    """One page that opens offline."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES), autoescape=True, undefined=jinja2.StrictUndefined
    )
    budget = ", ".join(f"{v:g} {k}" for k, v in spec.budget.model_dump().items() if v is not None)
    drawn = [(t, n, base64.b64encode(raw).decode()) for t, n, raw in pictures]
    return environment.get_template("sweep.html.j2").render(
        spec=spec, frame=frame, means=means, cell=cell, budget=budget or "the steps of each config",
        preset=changes + preset_of(spec, best) if best else "", pictures=drawn,
    )  # fmt: skip
