"""What a sweep has found: a table (DataFrame, parquet), pictures, one HTML page, and the best
config as a preset.

table(FOLDER) -> one row a run: settings, metric, costs, how it ended; write(FOLDER) ->
report/index.html, best.yaml
"""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import jinja2
import yaml

from raygan.config import DEFAULT_PRESET, dotted, preset_values
from raygan.controller.run_folder import write_atomically
from raygan.own.inside import lasting
from raygan.service.runs.run import Run
from raygan.service.runs.warm_start import schedule
from raygan.service.sweeps.file import Sweep
from raygan.service.sweeps.pictures import draw
from raygan.service.sweeps.table import (
    Frame,
    best_point,
    cell,
    load,
    over_seeds,
    plain,
    said,
    shown,
    stored,
    table,
)
from raygan.service.views.report import TEMPLATES


def write(folder: Path) -> Path:
    """Everything into `folder`; returns the page."""
    spec, frame = load(folder), table(folder)
    means = over_seeds(spec, frame)
    (folder / "report").mkdir(exist_ok=True)
    stored(spec, frame).to_parquet(folder / "table.parquet")
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
        **dict(dotted(preset_values(spec.preset or DEFAULT_PRESET), whole="name")),
        **dict(dotted(spec.settings, whole="name")),
    }
    values |= {k: plain(v) for k, v in point.items() if k != "seed"}
    values["steps"] = spec.resolved(point).config.steps
    nested_values: dict[str, Any] = {}
    # Shallow paths first: a component's name is there before its settings are put beside it.
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
        preset="" if best is None else changes + preset_of(spec, best), pictures=drawn,
    )  # fmt: skip
