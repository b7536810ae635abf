"""`raygan report`: one HTML file about a run, with everything in it; opens offline, on a desk and on a phone."""

from __future__ import annotations

import base64
import time
from pathlib import Path
from typing import Any

import jinja2

from raygan.controller.evaluator import MIXTURE
from raygan.controller.run_folder import write_atomically
from raygan.data.base import Samples
from raygan.data.lm1b import decode
from raygan.service.evaluate import SKIP, fate, format_number, protocol_line
from raygan.service.pictures import Show
from raygan.service.run import Run
from raygan.strategies.strategy import load_data

QUIET = ("pull", "slot", "swap")
"""Kinds of events that a picture shows."""
TEMPLATES = Path(__file__).parent / "templates"


def write_report(run: Run) -> Path:
    """Write `report/index.html` into the run's folder; returns its path."""
    from raygan.service import diagnostics, pictures

    data = load_data(run.config)
    show = pictures.stored_samples(run)
    info = run.info
    protocols = info.get("protocols", {})
    entry: dict[str, Any] = {"floor": {}, "ceiling": {}}
    for row in run.scores().values():
        entry = protocols.get(row["protocol"], entry)
    tracked = [m for m in _tracked(run) if m in entry["ceiling"]][:4] or _tracked(run)[:4]
    made: list[tuple[str, str, bytes | None]] = []
    if show and not data.text:
        made.append(("Samples over time", "", pictures.samples_over_time(show, data)))
        made.append(
            ("Modes", "Dashed: the fair share. Points further than 3 std from every mode are not counted.",
             pictures.mode_histograms(show, data))
        )  # fmt: skip
    if tracked:
        made.append(
            ("Scores", "Against steps, and against seconds of wall time; the mixture is not a single generator.",
             pictures.scores_over_time(run, tracked, entry["floor"], entry["ceiling"]))
        )  # fmt: skip
    if any(r["kind"] == "train" for r in run.rows):
        made.append(("Training", "", pictures.training_curves(run)))
    made.append(
        ("Age of what the global pair learns from",
         "Mean over the local pairs' copies in use, in steps; dashed: the bound of this tempo.",
         pictures.lag_over_time(run))
    )  # fmt: skip
    made += diagnostics.collect(run, show, data)
    if info.get("elapsed"):
        made.append(("Where the time went", "", pictures.phases(run)))
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES), autoescape=True, undefined=jinja2.StrictUndefined
    )
    html = environment.get_template("report.html.j2").render(
        run=run,
        info=info,
        config=run.config,
        yaml=(run.path / "config.yaml").read_text(),
        command=(run.path / "command.txt").read_text().strip(),
        table=score_rows(run, entry),
        protocol="; ".join(
            protocol_line(p, protocols[p])
            for p in sorted({r["protocol"] for r in run.scores().values()})
            if p in protocols
        ),
        pictures=[(t, text, base64.b64encode(raw).decode()) for t, text, raw in made if raw is not None],
        events=[e for e in run.events if e["kind"] not in QUIET][-40:],
        hidden_events=max(0, sum(e["kind"] not in QUIET for e in run.events) - 40),
        best=run.best if run.scores() else "",
        by="by GAM-II" if (run.path / "best.json").exists() else "",
        sentences=sentences(show, data),
        counts={k: sum(e["kind"] == k for e in run.events) for k in QUIET},
        warnings={n: (c, fate(n)) for n, c in info.get("warnings", {}).items()},
        clock=lambda t: time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(t)),
    )
    folder = run.path / "report"
    folder.mkdir(exist_ok=True)
    write_atomically(folder / "index.html", html.encode())
    return folder / "index.html"


def sentences(show: Show, data: Samples, count: int = 12) -> list[tuple[str, list[str]]]:
    """(who, some of its sentences) for text; [] for everything else."""
    if not data.text:
        return []
    real = data.held_out[:count]
    return [(p, decode(show[p][max(show[p])][:count], data.text)) for p in show] + [
        ("real data", decode(real, data.text))
    ]


def _tracked(run: Run) -> list[str]:
    """The scores that were followed through the run."""
    rows = [r for r in run.rows if r["kind"] == "score"]
    return [k for k in rows[0] if k not in SKIP] if rows else []


def score_rows(run: Run, entry: dict[str, Any]) -> dict[str, Any]:
    """Header and rows of the score table, best single generator marked."""
    scores = run.scores()
    metrics = [k for k in entry["ceiling"] if k not in SKIP]
    players = sorted(scores, key=lambda p: (p != "global", p == MIXTURE, p))
    rows = [("ceiling (real data)", entry["ceiling"], "limit")]
    rows += [
        (p if p != MIXTURE else "mixture of all pairs", scores[p], "mixture" if p == MIXTURE else p) for p in players
    ]
    rows.append(("floor (noise)", entry["floor"], "limit"))
    return {
        "metrics": metrics,
        "rows": [(name, [format_number(row.get(m)) for m in metrics], kind) for name, row, kind in rows],
    }
