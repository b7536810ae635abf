"""`raygan compare`: several runs in one table, the best first; runs that differ in their seed alone
are one row with a spread, and what else differs in the configs is said.
"""

from __future__ import annotations

import json
import math
import statistics
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from raygan.config import settings_of
from raygan.controller.bucket_copies import shown
from raygan.controller.jsonl import read_json
from raygan.errors import ConfigError
from raygan.metrics.ranking import MISSING, deciding, lacking, way
from raygan.service.runs.identity import data_note
from raygan.service.runs.run import Run
from raygan.service.scores.score_table import (
    SPREAD,
    hashed,
    metrics_of,
    protocol_line,
    score_table,
)
from raygan.service.views.tables import lives

Row = dict[str, Any]


def compare_runs(paths: Sequence[str]) -> str:
    """The runs' last scores in one table. Raises ConfigError when their protocols differ."""
    runs = [Run.load(p) for p in paths]
    protocol = one_protocol(runs)
    entry: dict[str, Any] = {"floor": {}, "ceiling": {}}  # a run that goes on has none
    entry |= next((e for r in runs if (e := r.info.get("protocols", {}).get(protocol))), {})
    groups = alike(runs)
    rows = {
        f"{name} {player}": row
        for name, group in groups.items()
        for player, row in over_seeds(group)
    }
    compute = [
        f"{run.name}: {sum(run.info.get('busy_seconds', {}).values()):.0f} s of training"
        + (f" in {n} lives" if (n := len(lives(run.info))) else "")
        for run in runs
    ]
    body = score_table(best_first(rows, entry), entry["floor"], entry["ceiling"])
    changed = dict.fromkeys(note for run in runs if (note := data_note(run)))
    return "\n".join([
        body, protocol_line(protocol, entry), *differences(groups),
        "compute: " + "; ".join(compute), *changed,
    ])  # fmt: skip


def stored_config(run: Run) -> dict[str, Any]:
    """Its config as it stands in the folder: whoever only looks needs none of a run's own code."""
    return read_json(run.path, "config.json")


def one_protocol(runs: Sequence[Run]) -> str:
    """Of all their scores. Raises ConfigError where there is none, or more than one."""
    ids: dict[str, list[Run]] = {}
    for run in runs:
        for row in run.scores().values():
            ids.setdefault(row["protocol"], []).append(run)
    if not ids:
        raise ConfigError(
            "compare: these runs have no scores yet. `raygan evaluate RUN ...` makes them."
        )
    # Other samples, split or extractor: two numbers that look alike and are not.
    if len(ids) > 1:
        kinds = []
        for protocol, those in ids.items():
            entry = next((r.info.get("protocols", {}).get(protocol) for r in those), None) or {}
            names = ", ".join(sorted({run.name for run in those}))
            told = f"{entry.get('data')} {entry.get('n_fake')} samples ({protocol}{hashed(entry)})"
            kinds.append(f"{names}: {told}")
        raise ConfigError(
            f"compare: unlike protocols cannot stand in one table: {'; '.join(kinds)}. Score them"
            " alike with `raygan evaluate`."
        )
    return next(iter(ids))


def alike(runs: Sequence[Run]) -> dict[str, list[Run]]:
    """Runs that differ in their seed alone, under a name for them: no seed twice in a group."""
    groups: list[list[Run]] = []
    for run in runs:
        mine = without_seed(run)
        for group in groups:
            seeds = {stored_config(other)["seed"] for other in group}
            if stored_config(run)["seed"] not in seeds and without_seed(group[0]) == mine:
                group.append(run)
                break
        else:
            groups.append([run])
    names = [group[0].name for group in groups]
    return {
        (name if names.count(name) == 1 else shown(group[0].path))
        + (f" ({len(group)} seeds)" if len(group) > 1 else ""): group
        for name, group in zip(names, groups, strict=True)
    }


def without_seed(run: Run) -> str:
    """All settings but the seed."""
    return json.dumps({**stored_config(run), "seed": None}, sort_keys=True, default=str)


def over_seeds(runs: Sequence[Run]) -> Iterator[tuple[str, Row]]:
    """(player, its scores): of several runs the mean of those that have a number, their standard
    deviation where there are two, and how many have none.
    """
    if len(runs) == 1:
        yield from runs[0].scores().items()
        return
    scores = [run.scores() for run in runs]
    for player in dict.fromkeys(p for found in scores for p in found):
        yield player, averaged([found.get(player, {}) for found in scores])


def averaged(rows: Sequence[Row]) -> Row:
    """One player's scores in several runs as one row."""
    mean, spread = dict[str, float](), dict[str, float]()
    missing: dict[str, tuple[int, int]] = {}
    for metric in metrics_of(rows):
        values = [float(v) for r in rows if isinstance(v := r.get(metric), int | float)]
        if not values:
            continue  # text
        # None in a run that is degraded or has diverged: the mean alone would hide it.
        values = [v for v in values if math.isfinite(v)]
        if none := len(rows) - len(values):
            missing[metric] = none, len(rows)
        if values:
            mean[metric] = statistics.fmean(values)
        if len(values) > 1:
            spread[metric] = statistics.stdev(values)
    return {**mean, SPREAD: spread, MISSING: missing}


def best_first(rows: Mapping[str, Row], entry: Mapping[str, Any]) -> dict[str, Row]:
    """By the score that decides, of those first where the fewest seeds have none; those without one
    last, in their order.
    """
    metric = deciding(list(entry["ceiling"]), entry["floor"], entry["ceiling"])
    if metric is None:
        return dict(rows)

    def far(name: str) -> tuple[bool, int, float]:
        gone = way(metric, rows[name].get(metric), entry["floor"], entry["ceiling"])
        scored = math.isfinite(gone)
        return not scored, lacking(rows[name], metric), -gone if scored else 0.0

    return {name: rows[name] for name in sorted(rows, key=far)}


def differences(groups: Mapping[str, Sequence[Run]]) -> list[str]:
    """A line for each setting that is not the same in all: who has what."""
    flat = {
        name: {
            path: json.dumps(v, default=str)
            for path, v in settings_of(stored_config(group[0])).items()
        }
        for name, group in groups.items()
    }
    seeds = {
        n: ", ".join(str(stored_config(r)["seed"]) for r in group) for n, group in groups.items()
    }
    # of all runs of a group, which is known by the settings of its first one
    for name, settings in flat.items():
        settings["seed"] = seeds[name]
    out = []
    for path in dict.fromkeys(p for settings in flat.values() for p in settings):
        values = {name: settings.get(path, "-") for name, settings in flat.items()}
        if len(set(values.values())) > 1:
            out.append(f"  {path}: " + ", ".join(f"{v} ({name})" for name, v in values.items()))
    return ["differ in:", *out] if out else []
