"""A sweep's runs as a table, a row each; its means over seeds, and the best of them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import pandas as pd

from raygan.config import validate
from raygan.controller.jsonl import read_json
from raygan.errors import RayganError
from raygan.metrics.ranking import lower_is_better
from raygan.service.runs.run import Run
from raygan.service.sweeps.costs import metric_of, spent
from raygan.service.sweeps.file import Sweep
from raygan.service.sweeps.folder import read_stored
from raygan.service.sweeps.naming import known_name, trial_name, value_text
from raygan.service.sweeps.trial import FORKED, ended

Frame: TypeAlias = Any
"""A pandas DataFrame; its stubs know too little of what its columns hold."""
COSTS = ("d_updates", "player_seconds", "megabytes")
WHOLE = ("done", "degraded", "budget")
"""How a run has ended that has had as much as the others."""


def load(folder: Path) -> Sweep:
    """The sweep of a sweep's folder."""
    return validate(Sweep, read_stored(folder))


def table(folder: Path) -> Frame:
    """A row a run: its settings, the metric, steps, the three costs, and how it ended; missing
    trials are rows as well.

    In the order of the file's values, where all of them are tried.
    """
    spec, rows = load(folder), []
    for path in sorted(
        p.parent for p in (folder / "runs").glob("*/point.json") if not p.parent.is_symlink()
    ):
        try:
            point = read_json(path, "point.json")
        except RayganError as error:
            unknown = dict.fromkeys(spec.space)
            rows.append({"run": path.name, **unknown, "status": f"damaged: {error}"})
            continue
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
    # of a search there may be no row: its trials have failed before there was a run
    told = dict.fromkeys(["run", *spec.space, *(key for row in rows for key in row), "status"])
    return pd.DataFrame(rows, columns=list(told))


def shown(point: Mapping[str, Any]) -> dict[str, Any]:
    """Settings as cells: numbers and names as they are, all else in a few words. Those can be
    grouped by, where a list cannot, and a null would become a NaN.

    >>> shown({"strategy": {"name": "gap", "swap_every": 3}, "pair.clip_grad_d": None, "seed": 0})
    {'strategy': 'gap swap_every=3', 'pair.clip_grad_d': 'None', 'seed': 0}
    """
    return {k: v if isinstance(v, int | float | str) else value_text(v) for k, v in point.items()}


def stored(spec: Sweep, frame: Frame) -> Frame:
    """The table as a file takes it: a column of one type, null as null."""
    out = frame.copy()
    for name in spec.settings_named:
        values = [None if v == value_text(None) else v for v in frame[name]]
        unlike = len({isinstance(v, str) for v in values if v is not None}) > 1
        out[name] = [str(v) if unlike and v is not None else v for v in values]
    return out


def over_seeds(spec: Sweep, frame: Frame) -> Frame:
    """Mean and standard deviation of the metric over the n seeds that have a number, how many that
    were tried have none, and the mean costs, a row a combination of the other settings.
    """
    by = [k for k in spec.settings_named if k != "seed"] or ["seed"]
    whole = frame[frame["status"].isin(WHOLE)] if "metric" in frame else frame.iloc[:0]
    if whole.empty:
        return pd.DataFrame(columns=[*by, "metric", "std", "n", "no_number", *COSTS])
    groups = whole.groupby(by, sort=False)
    out = (
        groups["metric"]
        .agg(["mean", "std", "count"])
        .rename(columns={"mean": "metric", "count": "n"})
    )
    # One that has failed, by a loss that is not finite for one, has no number either.
    tried = frame[frame["status"].isin([*WHOLE, "failed"])].groupby(by, sort=False).size()
    out["no_number"] = tried.reindex(out.index) - out["n"]
    return out.join(groups[list(COSTS)].mean()).reset_index()


def best_points(spec: Sweep, means: Frame) -> list[dict[str, Any]]:
    """The combination with the best mean, of those where the fewest seeds have no number; several
    where they are level, in the table's order, and none when nothing is whole.
    """
    there = means.dropna(subset=["metric"])
    if there.empty:
        return []
    # A setting that fails with two seeds of three is not good because of the third.
    there = there[there["no_number"] == there["no_number"].min()]
    # By the mean over seeds: the best single run is the luckiest seed.
    lower = lower_is_better(spec.metric.partition(".")[2])
    best = there["metric"].min() if lower else there["metric"].max()
    named = [k for k in spec.settings_named if k != "seed"]
    level = there.index[there["metric"] == best]
    # With nothing but seeds all rows are of one setting.
    return [
        {k: meant(spec, k, means.at[i, k]) for k in named} for i in (level if named else level[:1])
    ]


def meant(spec: Sweep, setting: str, cell: Any) -> Any:
    """The value that a cell shows: one of the file's, or what was drawn."""
    values = spec.space[setting]
    listed = values if isinstance(values, list) else values.get("choice", ())
    return next((v for v in listed if shown({setting: v})[setting] == cell), plain(cell))


def plain(value: Any) -> Any:
    """A numpy scalar as Python's."""
    return value.item() if isinstance(value, np.generic) else value


def point_text(point: dict[str, Any]) -> str:
    """
    >>> point_text({"pair.lr_g": 0.003, "seed": 0})
    'pair.lr_g = 0.003, seed = 0'
    """
    return ", ".join(f"{k} = {cell(v)}" for k, v in point.items())


def cell(value: Any) -> str:
    """A number to four digits."""
    value = plain(value)
    if isinstance(value, float):
        return "" if np.isnan(value) else f"{value:.4g}"
    return value_text(value)
