"""A sweep's runs as a table, a row each; its means over seeds, and the best of them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import pandas as pd

from raygan.config import validate
from raygan.errors import RayganError
from raygan.metrics.ranking import lower_is_better
from raygan.service.runs.run import Run
from raygan.service.sweeps.costs import metric_of, spent
from raygan.service.sweeps.file import Sweep
from raygan.service.sweeps.naming import known_name, spoken, trial_name
from raygan.service.sweeps.trial import FORKED, ended

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
        step, cost = spent(run.config, info)
        rows.append({
            "run": path.name, **shown(point), "metric": metric_of(spec, scores, run.pairs),
            "step": step, **cost, "status": ended(info),
        })  # fmt: skip
    there = {str(r["run"]).partition(FORKED)[0] for r in rows}
    # Missing trials are rows: a table that leaves them out looks finished.
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
    # dropna=False: a setting may be null, and is a value like any other.
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
    # By the mean over seeds: the best single run is the luckiest seed.
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


def said(point: dict[str, Any]) -> str:
    """
    >>> said({"pair.lr_g": 0.003, "seed": 0})
    'pair.lr_g = 0.003, seed = 0'
    """
    return ", ".join(f"{k} = {cell(v)}" for k, v in point.items())


def cell(value: Any) -> str:
    """A number to four digits."""
    value = plain(value)
    if isinstance(value, float):
        return "" if np.isnan(value) else f"{value:.4g}"
    return spoken(value)
