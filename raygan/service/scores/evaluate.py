"""Score runs and put numbers side by side: always with floor, ceiling and protocol, never unlike
ones in one table.
"""

from __future__ import annotations

import html
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any

import torch

from raygan.controller.copies import shown
from raygan.controller.lines import NOTES
from raygan.metrics.coverage import CANNOT
from raygan.metrics.own import own_metrics
from raygan.metrics.ranking import (
    ARROWS,
    arrow,
    deciding,
    mark_line,
    marked,
    narrow_line,
    verdict,
    way,
)
from raygan.metrics.suite import Suite
from raygan.service.runs.identity import run_data
from raygan.service.runs.run import Run
from raygan.service.scores.rejection import SAID, generators_of
from raygan.service.views.tables import format_number, text_table
from raygan.strategies.base import strategy_of
from raygan.strategies.roles import MIXTURE, ordered
from raygan.watching import counted, tell

SKIP = ("spread", "kind", "player", "step", "protocol", "elapsed")


def score_table(
    scores: Mapping[str, Mapping[str, Any]], floor: Mapping[str, Any], ceiling: Mapping[str, Any]
) -> str:
    """One row a player between the ceiling (real data) and the floor (noise), with its way from
    one to the other; marked where a score cannot tell these two.
    """
    metrics = [k for k in ceiling or next(iter(scores.values()), {}) if k not in SKIP]
    head, by = marked(metrics, floor, ceiling), deciding(metrics, floor, ceiling)
    rows = [("ceiling (real data)", ceiling), *scores.items(), ("floor (noise)", floor)]
    body = text_table(
        ["generator", *head, *(["way"] if by else [])],
        [
            [name, *(cell(row, m) for m in metrics), *([bar(way(by, row.get(by), floor, ceiling))] if by else [])]
            for name, row in rows
        ],
    )  # fmt: skip
    legend = ARROWS if any(arrow(m) for m in metrics) else ""
    lines = [
        body, verdict(scores, floor, ceiling), legend, mark_line(metrics, floor, ceiling), narrow_line(scores),
    ]  # fmt: skip
    return "\n".join(filter(None, lines))


def run_html(run: Run) -> str:
    """A run as a notebook shows it."""
    info, scores = run.info, run.scores()
    protocol = next(iter(scores.values()), {}).get("protocol")
    entry = {"floor": {}, "ceiling": {}, **info.get("protocols", {}).get(protocol, {})}
    metrics = [k for k in next(iter(scores.values()), {}) if k not in SKIP]
    ends = (("ceiling (real data)", entry["ceiling"]), ("floor (noise)", entry["floor"]))
    rows = [*ends[:1], *((p, scores[p]) for p in ordered(scores, run.roles)), *ends[1:]]
    body = "".join(
        f"<tr><th>{html.escape(name)}</th>{''.join(f'<td>{cell(row, m)}</td>' for m in metrics)}</tr>"
        for name, row in rows
        if row
    )
    head = "".join(
        f"<th>{html.escape(m)}</th>" for m in marked(metrics, entry["floor"], entry["ceiling"])
    )
    told = f"{run.name}: {info.get('status')}. {verdict(scores, entry['floor'], entry['ceiling'])}"
    table = f"<table><tr><th>generator</th>{head}</tr>{body}</table>" if scores else ""
    return f"<p>{html.escape(told)}</p>{table}"


SPREAD = "spread"
"""In a row of several seeds: metric -> standard deviation over them."""


def cell(row: Mapping[str, Any], metric: str) -> str:
    """A score, with its spread over seeds where there is one."""
    spread = row.get(SPREAD, {}).get(metric)
    return format_number(row.get(metric)) + (f" ±{spread:.2g}" if spread is not None else "")


def bar(share: float) -> str:
    """A way as ten marks and a number; nothing where there is none.

    >>> bar(0.84), bar(1.3), bar(float("nan"))
    ('########--  84 %', '########## 130 %', '')
    """
    if not math.isfinite(share):
        return ""
    filled = round(10 * min(max(share, 0.0), 1.0))
    return f"{'#' * filled}{'-' * (10 - filled)} {100 * share:3.0f} %"


def result_table(run: Run) -> str:
    """A run's last scores, the mixture apart from the single generators, and their protocol."""
    protocols = run.info.get("protocols", {})
    scores, roles = run.scores(), run.roles
    if not scores:
        return "no scores yet"
    ids = {row["protocol"] for row in scores.values()}
    lines = []
    for protocol in ids:
        entry = {"floor": {}, "ceiling": {}, **protocols.get(protocol, {})}
        mine = [p for p in ordered(scores, roles) if scores[p]["protocol"] == protocol]
        named = {"mixture of all pairs" if p == MIXTURE else p: scores[p] for p in mine}
        lines.append(score_table(named, entry["floor"], entry["ceiling"]))
        lines.append(protocol_line(protocol, entry))
    return "\n".join(lines)


def protocol_line(protocol: str, entry: Mapping[str, Any]) -> str:
    """How the numbers above were made."""
    parts = [
        f"{entry.get('data')}{hashed(entry)}",
        f"real: {entry.get('n_real')} {entry.get('split')}",
        f"fake: {entry.get('n_fake')}",
    ]
    parts += [f"{k} {entry[k]}" for k in ("sampling", "extractor", "classifier") if entry.get(k)]
    if entry.get("lowered"):
        parts.append(f"lowered: {entry['lowered']}")
    if "classifier_accuracy" in entry:
        parts.append(f"its accuracy {entry['classifier_accuracy']}")
    return f"protocol {protocol}: " + ", ".join(parts)


def hashed(entry: Mapping[str, Any]) -> str:
    """The data's hash, where the protocol has it."""
    return f", sha256 {entry['sha256'][:12]}" if entry.get("sha256") else ""


def evaluate_runs(
    paths: Sequence[str],
    groups: Sequence[str] | None,
    samples: int,
    extractor: str | None,
    seed: int,
    other_data: bool = False,
    reject: bool = False,
) -> list[dict[str, Any]]:
    """Score each run's generators (global, every pair, the mixture) from its newest checkpoint;
    stored in the run.

    reject: samples are kept as the generators' own discriminators say (`scores.rejection`), which
    is another protocol. Returns one entry a run: {run, protocol, floor, ceiling, scores}. Raises ConfigError for a
    metric that does not fit, and for data that are not those of the run, unless `other_data` says
    that this is meant.
    """
    out = []
    for path in paths:
        run = Run.load(path).use_code()
        config = run.config
        tell(f"{run.name}: reading the data")
        data = run_data(run, other_data)
        suite = Suite(
            data,
            groups,
            n_fake=samples,
            n_real=samples,
            features=extractor,
            seed=seed,
            own=own_metrics(config),
        )
        scored = strategy_of(config).scored(config)
        mixed = len(set(scored) & set(strategy_of(config).locals(config))) > 1
        which = [*scored, *([MIXTURE] if mixed else [])]
        if reject:
            suite.protocol = replace(suite.protocol, sampling=SAID)
        scores, drawn = (
            {},
            {"ceiling (real data)": suite.trained_on(), "floor (noise)": suite.noise()},
        )
        kept: dict[str, float] = {}
        by_class = {name: suite.by_class(samples) for name, samples in drawn.items()}
        for w in counted(f"{run.name}: scoring by {suite.n_fake:,} samples", which):
            made = generators_of(run, w, reject, other_data)
            fake = torch.from_numpy(made.draw(suite.n_fake, seed))
            if reject:
                kept[w] = made.share_kept
            scores[w], by_class[w] = suite.score(fake), suite.by_class(fake)
        tell(f"{run.name}: measuring floor and ceiling")
        entry = {
            "run": shown(run.path),
            "name": run.name,
            "protocol": {"id": suite.protocol.id, **asdict(suite.protocol)},
            "floor": suite.floor(),
            "ceiling": suite.ceiling(),
            "scores": scores,
            **({"kept": kept} if reject else {}),
            **(
                {"by_class": by_class, "held_out": suite.fair()} if "labels" in suite.groups else {}
            ),
        }
        for metric, why in suite.failed.items():
            NOTES.warning("metric %s gave no number: %s", metric, why)
        name = f"evaluation-{suite.protocol.id}-seed{seed}.json"
        run.store(name, entry)
        out.append(entry)
    return out


def table(results: Sequence[Mapping[str, Any]]) -> str:
    """The results of `evaluate_runs` as text, a block a run."""
    blocks = []
    for entry in results:
        body = score_table(entry["scores"], entry["floor"], entry["ceiling"])
        protocol = protocol_line(entry["protocol"]["id"], entry["protocol"])
        told = ", ".join(f"{player} {share:.0%}" for player, share in entry.get("kept", {}).items())
        kept = [f"kept by their own D: {told}"] if told else []
        blocks.append("\n".join([entry["run"], body, protocol, *kept, *class_table(entry)]))
    return "\n\n".join(blocks)


def class_table(entry: Mapping[str, Any]) -> list[str]:
    """A row a class, a column a generator; [] where nothing was scored by class."""
    if not (shares := entry.get("by_class")):
        return []
    fair, players = entry["held_out"], list(shares)
    rows = [[c, f"{fair[c]:.3f}", *(f"{shares[p].get(c, 0.0):.3f}" for p in players)] for c in fair]
    return ["", text_table(["class", "held out", *players], rows), CANNOT]
