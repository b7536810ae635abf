"""Scores as a table, between floor and ceiling, with their protocol; as text, or in a notebook."""

from __future__ import annotations

import html
import math
from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any

from raygan.metrics.ranking import (
    ARROWS,
    LEVEL,
    MISSING,
    arrow,
    deciding,
    mark_line,
    marked,
    narrow_line,
    verdict,
    way,
)
from raygan.service.views.tables import format_number, text_table
from raygan.strategies.roles import Roles, ordered

EMPTY: Mapping[str, Mapping[str, Any]] = MappingProxyType({})
SKIP = ("spread", MISSING, "kind", "player", "step", "protocol", "elapsed")


def score_table(
    scores: Mapping[str, Mapping[str, Any]], floor: Mapping[str, Any], ceiling: Mapping[str, Any],
    rejected: Mapping[str, Mapping[str, Any]] = EMPTY,
) -> str:  # fmt: skip
    """One row a player between the ceiling (real data) and the floor (noise), with its way from
    one to the other; marked where a score cannot tell these two.

    rejected: of some of them also the scores with rejection, below their own. The verdict is
    without these: they are another way to sample, not another generator.
    """
    metrics = metrics_of([ceiling] if ceiling else scores.values())
    head, by = marked(metrics, floor, ceiling), deciding(metrics, floor, ceiling)
    # Between the two: a number alone says nothing, an FID of 40 may be noise's or real data's.
    rows = [("ceiling (real data)", ceiling)]
    for name, row in scores.items():
        rows.append((name, row))
        if name in rejected:
            rows.append((f"{name}, rejected", rejected[name]))
    rows.append(("floor (noise)", floor))
    body = text_table(
        ["generator", *head, *(["way"] if by else [])],
        [
            [
                name,
                *(cell(row, m) for m in metrics),
                *([bar(way(by, row.get(by), floor, ceiling))] if by else []),
            ]
            for name, row in rows
        ],
    )
    legend = ARROWS if any(arrow(m) for m in metrics) else ""
    lines = [
        body, verdict(scores, floor, ceiling), legend, mark_line(metrics, floor, ceiling),
        narrow_line(scores),
    ]  # fmt: skip
    return "\n".join(filter(None, lines))


def run_html(
    name: str, info: Mapping[str, Any], scores: Mapping[str, Mapping[str, Any]], roles: Roles
) -> str:
    """A run as a notebook shows it."""
    protocol = next(iter(scores.values()), {}).get("protocol")
    entry = {"floor": {}, "ceiling": {}, **info.get("protocols", {}).get(protocol, {})}
    metrics = metrics_of(scores.values())
    ends = (("ceiling (real data)", entry["ceiling"]), ("floor (noise)", entry["floor"]))
    rows = [*ends[:1], *((p, scores[p]) for p in ordered(scores, roles)), *ends[1:]]
    body = "".join(
        f"<tr><th>{html.escape(who)}</th>"
        f"{''.join(f'<td>{cell(row, m)}</td>' for m in metrics)}</tr>"
        for who, row in rows
        if row
    )
    head = "".join(
        f"<th>{html.escape(m)}</th>" for m in marked(metrics, entry["floor"], entry["ceiling"])
    )
    told = f"{name}: {info.get('status')}. {verdict(scores, entry['floor'], entry['ceiling'])}"
    table = f"<table><tr><th>generator</th>{head}</tr>{body}</table>" if scores else ""
    return f"<p>{html.escape(told)}</p>{table}"


SPREAD = "spread"
"""In a row of several seeds: metric -> standard deviation over them."""


def cell(row: Mapping[str, Any], metric: str) -> str:
    """A score, with its spread over seeds where there is one, and how many of these have none."""
    spread = row.get(SPREAD, {}).get(metric)
    none, seeds = row.get(MISSING, {}).get(metric, (0, 0))
    parts = (
        format_number(row.get(metric)),
        f"±{spread:.2g}" if spread is not None else "",
        f"({none} of {seeds} {'has' if none == 1 else 'have'} none)" if none else "",
    )
    return " ".join(filter(None, parts))


def metrics_of(rows: Iterable[Mapping[str, Any]]) -> list[str]:
    """All that any of them has."""
    return [k for k in dict.fromkeys(k for row in rows for k in row) if k not in SKIP]


def bar(share: float) -> str:
    """A way as ten marks and a number; nothing where there is none.

    >>> bar(0.84), bar(1.3), bar(float("nan"))
    ('########--  84 %', '########## 130 %', '')
    """
    if not math.isfinite(share):
        return ""
    filled = round(10 * min(max(share, 0.0), 1.0))
    return f"{'#' * filled}{'-' * (10 - filled)} {100 * share:3.0f} %"


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


def steps_line(scores: Mapping[str, Mapping[str, Any]]) -> str:
    """Of which steps scores are that stand side by side; "" where all are of one.

    >>> steps_line({"pair-00": {"step": 24}, "pair-01": {"step": 12}, "mixture": {"step": 24}})
    'scores of unlike steps: pair-00, mixture of step 24; pair-01 of step 12'
    """
    by_step: dict[int, list[str]] = {}
    for player, row in scores.items():
        by_step.setdefault(int(row["step"]), []).append(player)
    if len(by_step) < 2:
        return ""
    told = []
    for step, players in sorted(by_step.items(), reverse=True):
        more = f" and {len(players) - LEVEL} more" if players[LEVEL:] else ""
        told.append(f"{', '.join(players[:LEVEL])}{more} of step {step}")
    return f"scores of unlike steps: {'; '.join(told)}"


def hashed(entry: Mapping[str, Any]) -> str:
    """The data's hash, where the protocol has it."""
    return f", sha256 {entry['sha256'][:12]}" if entry.get("sha256") else ""
