"""`raygan report`: one HTML file about a run, with everything in it; opens offline, on a desk and
on a phone.
"""

from __future__ import annotations

import base64
import math
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup

from raygan.controller import bucket_copies
from raygan.controller.files import read_plain, write_within
from raygan.data.base import Samples
from raygan.data.lm1b import decode
from raygan.errors import ConfigError
from raygan.metrics.ranking import ARROWS, deciding, mark_line, marked, verdict, way
from raygan.service.runs.digest import DRAWN, QUIET
from raygan.service.runs.identity import data_note, known_data, parts_told
from raygan.service.runs.logs import last_by_part
from raygan.service.runs.run import Run
from raygan.service.scores.part_tables import last_tables
from raygan.service.scores.rejection_score import rejected_line, rejected_rows
from raygan.service.scores.score_table import SKIP, protocol_line, steps_line
from raygan.service.views.chart import Chart
from raygan.service.views.chart_data import ChartData
from raygan.service.views.drawings import drawings, entry_of, pictured
from raygan.service.views.sheet import sheet
from raygan.service.views.standing import Standing, actors, answers, cost_line
from raygan.service.views.stored import Show
from raygan.service.views.tables import LIFE, fate, format_number, lives
from raygan.strategies.roles import MIXTURE, ordered, role_of
from raygan.watching import counted, tell

SHEET = "What D is shown"
TEMPLATES = Path(__file__).parents[1] / "templates"
FIRST = ("Scores", "All pairs", "Samples over time")
"""Pictures that are open; the others are folded."""
Made = tuple[str, str, bytes | Chart | None]
"""(title, sentence, picture)."""
LONGEST = 200
"""Characters of an event's field."""


def write_report(run: Run, out: Path | None = None) -> Path:
    """Write `report/index.html` into the run's folder, or `out`; returns its path. Raises
    ConfigError where that cannot be.
    """
    from raygan.service.views import curves, diagnostics

    data = known_data(run.info, run.config)
    info = run.info
    entry, digest, scores = entry_of(run), run.digest, run.scores()
    found, show = pictured(run)
    charts, made = ChartData(), list[tuple[str, str, str, int | None]]()
    for drawing in counted("writing the report: pictures", drawings(run, data, found, show)):
        made += picture((drawing.title, drawing.note, drawing.make()), charts, found)
    tell("writing the report: what the networks say")
    others: list[Made] = [*diagnostics.collect(run, show, data, found)]
    others.append((SHEET, " ".join(sheet_note(info)), data_sheet(run, data)))
    if info.get("elapsed"):
        cost = cost_line(info, actors(run))
        others.append(("Where the time went, and what it cost", cost, curves.phases(run)))
    for what in others:
        made += picture(what, charts, found)
    # autoescape: names, events and own texts may have been written by a stranger. Strict: a name
    # that a template misspells is an error in a test, not a gap in a report.
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES), autoescape=True, undefined=jinja2.StrictUndefined
    )
    environment.policies["json.dumps_kwargs"] = {"allow_nan": False, "separators": (",", ":")}
    html = environment.get_template("report.html.j2").render(
        run=run,
        info=info,
        config=run.config,
        yaml=shown(run, "config.yaml"),
        command=shown(run, "command.txt"),
        table=score_rows(run, entry, found),
        answers=answers(run, entry, found),
        protocol=_protocols(info, scores),
        pictures=made,
        # with the picture of all samples, where somebody has them
        unseen=[] if any(title == SHEET for title, *_ in made) else sheet_note(info),
        parts=part_notes(info),
        by_part="\n".join(last_tables(last_by_part(run.path), whose(run, found))).strip(),
        charts=charts,
        asset=asset,
        first=FIRST,
        events=list(digest.loud),
        hidden_events=sum(n for kind, n in digest.counts.items() if kind not in QUIET)
        - len(digest.loud),
        best=run.best if scores else "",
        by=run.cast.best_by,
        sentences=sentences(show, data),
        counts={k: digest.counts[k] for k in DRAWN},
        lives=lives(info),
        changed=data_note(run, data),
        life=LIFE,
        warnings={n: (c, fate(n)) for n, c in info.get("warnings", {}).items()},
        brief=brief,
        clock=lambda t: time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(t)),
    )
    root, name = (run.path, "report/index.html") if out is None else (out.parent, out.name)
    try:
        # A lone surrogate in a path or an event would end the report; so it is written as \udc80.
        write_within(root, name, html.encode(errors="backslashreplace"))
    except OSError as error:
        raise ConfigError(
            f"report: cannot write {root / name} ({error.strerror}). Make room, or another place:"
            f" raygan report {bucket_copies.typed(run.path)} -o FILE"
        ) from None
    return root / name


def _protocols(info: Mapping[str, Any], scores: Mapping[str, Mapping[str, Any]]) -> str:
    """How the scores of a table were made, and at which steps where these are several."""
    known = info.get("protocols", {})
    used = sorted({row["protocol"] for row in scores.values()})
    lines = [protocol_line(p, known[p]) for p in used if p in known]
    return "; ".join(filter(None, [*lines, steps_line(scores)]))


def picture(
    what: Made, charts: ChartData, found: Standing
) -> list[tuple[str, str, str, int | None]]:
    """(title, sentence, PNG, number of its chart): curves are a chart for the page's script, and a
    PNG for print and where no script runs; [] where there is nothing to see.
    """
    from raygan.service.views.chart_png import drawn

    title, text, made = what
    if made is None:
        return []
    number = charts.add(made, found.order) if isinstance(made, Chart) else None
    raw = drawn(made) if isinstance(made, Chart) else made
    return [(title, text, base64.b64encode(raw).decode(), number)]


def asset(name: str) -> Markup:
    """A script or style of our own package, as it is."""
    return Markup((TEMPLATES / name).read_text().strip())


def data_sheet(run: Run, data: Samples) -> bytes | None:
    """The sheet of the run's start; of an older run one of its data as they are."""
    try:
        return read_plain(run.path / "data.png")
    except OSError:
        return sheet(data)


def sheet_note(info: dict[str, Any]) -> list[str]:
    """What the reader has said of the data, line by line."""
    reading = info.get("reading", {})
    told = [f"{what} ({count:,})" for what, count in reading.get("converted", {}).items()]
    left = [f"{why} ({entry['count']:,})" for why, entry in reading.get("skipped", {}).items()]
    return [
        *([f"{reading['source']}: {reading['recognised']}."] if reading else []),
        *([f"Converted: {'; '.join(told)}."] if told else []),
        *([f"Left out: {'; '.join(left)}."] if left else []),
        *([f"Labels, never trained on: {reading['labels']}."] if reading.get("labels") else []),
    ]


def whose(run: Run, found: Standing) -> list[str]:
    """Who has a column in the tables by part: of many pairs those that are shown by name."""
    return found.of(ordered(run.scores(), run.roles), run.roles)


def part_notes(info: dict[str, Any]) -> list[str]:
    """What each pair's own data are, and what their reader did."""
    return [
        f"{line}."
        for pair, part in parts_told(info).items()
        for line in (part.line(pair), *part.reading(pair))
    ]


def sentences(show: Show, data: Samples, count: int = 12) -> list[tuple[str, list[str]]]:
    """(who, some of its sentences) for text; [] for everything else."""
    if not data.text:
        return []
    real = data.held_out[:count]
    return [(p, decode(show[p][max(show[p])][:count], data.text)) for p in show] + [
        ("real data", decode(real, data.text))
    ]


def shown(run: Run, name: str) -> str:
    """A text of the run's, or why there is none."""
    try:
        return read_plain(run.path / name).decode(errors="backslashreplace").strip()
    except OSError as error:
        return f"{name} cannot be read ({error.strerror})"


def brief(value: object) -> str:
    """A field of an event, as long as a line."""
    text = ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
    return text if len(text) <= LONGEST else f"{text[:LONGEST]} ..."


def score_rows(run: Run, entry: dict[str, Any], found: Standing) -> dict[str, Any]:
    """Header and rows of the score table; of many pairs those that are not chosen are apart."""
    scores, roles = run.scores(), run.roles
    metrics = [k for k in entry["ceiling"] if k not in SKIP]
    kinds = {
        p: MIXTURE if p == MIXTURE else "main" if role_of(p, roles).main else ""
        for p in ordered(scores, roles)
    }
    by = deciding(metrics, entry["floor"], entry["ceiling"])

    def row(
        name: str, values: dict[str, Any], kind: str
    ) -> tuple[str, list[str], str, float | None]:
        gone = way(by, values.get(by), entry["floor"], entry["ceiling"]) if by else math.nan
        # the bar behind a row ends at noise and at real data, wherever the score is
        share = min(max(gone, 0.0), 1.0) if math.isfinite(gone) else None
        return name, [format_number(values.get(m)) for m in metrics], kind, share

    shown = set(found.of(kinds, roles))
    rows = [row("ceiling (real data)", entry["ceiling"], "limit")]
    rejected = rejected_rows(run)
    for p, kind in kinds.items():
        name = "mixture of all pairs" if p == MIXTURE else p
        if p in shown:
            rows.append(row(name, scores[p], kind))
        if p in shown and p in rejected:
            rows.append(row(f"{name}, rejected", rejected[p], kind))
    rows.append(row("floor (noise)", entry["floor"], "limit"))
    rest = [row(p, scores[p], "") for p in found.order if p in kinds and p not in shown]
    return {
        "by": by,
        "verdict": verdict(scores, entry["floor"], entry["ceiling"]),
        "arrows": ARROWS,
        "rest": rest,
        "metrics": marked(metrics, entry["floor"], entry["ceiling"]),
        "mark": mark_line(metrics, entry["floor"], entry["ceiling"]),
        "rejected": rejected_line(run),
        "rows": rows,
    }
