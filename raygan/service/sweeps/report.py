"""What a sweep has found: a table (DataFrame, parquet), pictures, one HTML page, and the best
config as a preset.

table(FOLDER) -> one row a run: settings, metric, costs, how it ended; write(FOLDER) ->
report/index.html, best.yaml
"""

from __future__ import annotations

import base64
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jinja2
import yaml

from raygan.config import DEFAULT_PRESET, dotted, preset_values
from raygan.controller.run_folder import write_atomically
from raygan.metrics.ranking import LEVEL
from raygan.own.inside import lasting
from raygan.service.runs.run import Run
from raygan.service.runs.warm_start import schedule
from raygan.service.sweeps.file import Sweep
from raygan.service.sweeps.pictures import draw
from raygan.service.sweeps.table import (
    WHOLE,
    Frame,
    best_points,
    cell,
    load,
    over_seeds,
    plain,
    point_text,
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
    best = best_points(spec, means)
    preset = changes_of(folder, frame, best[0]) + preset_of(spec, best) if best else ""
    if best:
        write_atomically(folder / "best.yaml", preset.encode())
    else:  # of an earlier report: nothing is the best by now
        (folder / "best.yaml").unlink(missing_ok=True)
    page = folder / "report" / "index.html"
    write_atomically(page, render(spec, frame, means, pictures, preset).encode())
    return page


def preset_of(spec: Sweep, best: Sequence[dict[str, Any]]) -> str:
    """The best config, the first of those that are level, as a file for --config or
    raygan/presets.
    """
    point = best[0]
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
    which = f"the first of {len(best)} that are level" if best[1:] else "best"
    return f"# {which} of the sweep {spec.name}, by {spec.metric}\n" + yaml.safe_dump(
        lasting(nested_values), sort_keys=False
    )


def changes_of(folder: Path, frame: Frame, point: dict[str, Any]) -> str:
    """How the best runs' settings changed on the way (pbt), as comments over the preset: it holds
    the last of them only.
    """
    lines = list[str]()
    for _, row in frame.iterrows():
        path = folder / "runs" / str(row["run"])
        if any(str(row.get(k)) != str(v) for k, v in shown(point).items() if k != "seed"):
            continue
        if before := schedule(Run.load(path).info) if (path / "run.json").exists() else []:
            parts = [f"until step {b['until']}: {point_text(b['point'])}" for b in before]
            lines.append(f"# {path.name}: {'; '.join(parts)}; then what stands here")
    warning = (
        "# Its settings changed on the way, so that a run of this file alone is not what has won:\n"
    )
    return warning + "\n".join(lines) + "\n" if lines else ""


def text(folder: Path) -> str:
    """The table over seeds as text, what was not whole, and what is best, or level."""
    from raygan.service.views.tables import text_table

    spec, frame = load(folder), table(folder)
    means = over_seeds(spec, frame)
    header = [*means.columns]
    lines = (
        [text_table(header, [[cell(row[c]) for c in header] for _, row in means.iterrows()])]
        if len(means)
        else []
    )
    lines.append("runs: " + ", ".join(f"{n} {how}" for how, n in how_ended(frame).items()))
    if best := best_points(spec, means):
        lines.append(which_best(spec, means, best))
        if changes := changes_of(folder, frame, best[0]):
            lines.append(changes.replace("# ", "").rstrip())
        first = " (of the first)" if best[1:] else ""
        lines.append(f"preset  {folder / 'best.yaml'}{first}")
    lines.append(f"report  {folder / 'report' / 'index.html'}")
    return "\n".join(lines)


def how_ended(frame: Frame) -> dict[str, int]:
    """How runs have ended -> how many; those that are whole and have no number apart."""
    said_as = frame["status"].astype(str)
    if "metric" in frame:
        blank = frame["status"].isin(WHOLE) & frame["metric"].isna()
        said_as = said_as.mask(blank, said_as + " without a number")
    return {str(how): int(n) for how, n in said_as.value_counts().items()}


def which_best(spec: Sweep, means: Frame, best: Sequence[dict[str, Any]]) -> str:
    """The best setting in a line, or that some are level."""
    if not best[0]:
        number = means["metric"].dropna()
        return f"only seeds are swept: {spec.metric} {cell(number.mean())}, mean of {len(number)}"
    by = f"by {spec.metric} (mean over seeds): "
    if not best[1:]:
        return f"best {by}{point_text(best[0])}"
    more = f"; and {len(best) - LEVEL} more" if best[LEVEL:] else ""
    return f"level {by}{'; '.join(point_text(point) for point in best[:LEVEL])}{more}"


def render(
    spec: Sweep, frame: Any, means: Any, pictures: list[tuple[str, str, bytes]], preset: str
) -> str:
    """One page that opens offline."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES), autoescape=True, undefined=jinja2.StrictUndefined
    )
    budget = ", ".join(f"{v:g} {k}" for k, v in spec.budget.model_dump().items() if v is not None)
    drawn = [(t, n, base64.b64encode(raw).decode()) for t, n, raw in pictures]
    return environment.get_template("sweep.html.j2").render(
        spec=spec, frame=frame, means=means, cell=cell, budget=budget or "the steps of each config",
        preset=preset, pictures=drawn,
    )  # fmt: skip
