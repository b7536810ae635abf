"""Score runs and put numbers side by side: always with floor, ceiling and protocol, never unlike
ones in one table.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any

import torch

from raygan.controller.lines import NOTES
from raygan.errors import ConfigError
from raygan.metrics.coverage import CANNOT
from raygan.metrics.own import own_metrics
from raygan.metrics.ranking import mark_line, marked, narrow_line
from raygan.metrics.suite import Suite
from raygan.service.runs.identity import data_note, run_data
from raygan.service.runs.run import Run
from raygan.service.scores.rejection import SAID, rejecting
from raygan.service.views.tables import format_number, lives, text_table
from raygan.strategies.base import strategy_of
from raygan.strategies.roles import MIXTURE, ordered

SKIP = ("kind", "player", "step", "protocol", "elapsed")


def score_table(
    scores: Mapping[str, Mapping[str, Any]], floor: Mapping[str, Any], ceiling: Mapping[str, Any]
) -> str:
    """One row a player between the ceiling (real data) and the floor (noise); marked where a score
    cannot tell these two.
    """
    metrics = [k for k in ceiling or next(iter(scores.values()), {}) if k not in SKIP]
    head = marked(metrics, floor, ceiling)
    rows = [("ceiling (real data)", ceiling), *scores.items(), ("floor (noise)", floor)]
    body = text_table(
        ["generator", *head],
        [[name, *(format_number(row.get(m)) for m in metrics)] for name, row in rows],
    )
    return "\n".join(filter(None, [body, mark_line(metrics, floor, ceiling), narrow_line(scores)]))


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
        if reject:
            suite.protocol = replace(suite.protocol, sampling=SAID)
        which = [
            *strategy_of(config).scored(config),
            *([MIXTURE] if config.num_pairs > 1 else []),
        ]
        scores, drawn = (
            {},
            {"ceiling (real data)": suite.trained_on(), "floor (noise)": suite.noise()},
        )
        kept: dict[str, float] = {}
        by_class = {name: suite.by_class(samples) for name, samples in drawn.items()}
        for number, w in enumerate(which, 1):
            NOTES.warning(
                "%s: scoring %s (%d of %d) by %d samples",
                run.name,
                w,
                number,
                len(which),
                suite.n_fake,
            )
            made = rejecting(run, w, other_data) if reject else run.generator(w)
            fake = torch.from_numpy(made.draw(suite.n_fake, seed))
            if reject:
                kept[w] = made.share_kept
            scores[w], by_class[w] = suite.score(fake), suite.by_class(fake)
        entry = {
            "run": str(run.path),
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


def compare_runs(paths: Sequence[str]) -> str:
    """The runs' last scores in one table. Raises ConfigError when their protocols differ."""
    runs = [Run.load(p) for p in paths]
    ids: dict[str, list[str]] = {}
    for run in runs:
        for row in run.scores().values():
            ids.setdefault(row["protocol"], []).append(run.name)
    if not ids:
        raise ConfigError(
            "compare: these runs have no scores yet. `raygan evaluate RUN ...` makes them."
        )
    if len(ids) > 1:
        kinds = []
        for protocol, names in ids.items():
            entry = (
                next(
                    (r.info.get("protocols", {}).get(protocol) for r in runs if r.name in names),
                    None,
                )
                or {}
            )
            kinds.append(
                f"{', '.join(sorted(set(names)))}: {entry.get('data')} {entry.get('n_fake')}"
                f" samples ({protocol}{hashed(entry)})"
            )
        raise ConfigError(
            f"compare: unlike protocols cannot stand in one table: {'; '.join(kinds)}. Score them"
            " alike with `raygan evaluate`."
        )
    (protocol,) = ids
    entry = {
        "floor": {},
        "ceiling": {},
        **runs[0].info.get("protocols", {}).get(protocol, {}),
    }  # a run that goes on has none
    rows = {}
    for run in runs:
        for player, row in run.scores().items():
            rows[f"{run.name} {player}"] = row
    compute = [
        f"{run.name}: {sum(run.info.get('busy_seconds', {}).values()):.0f} s of training"
        + (f" in {n} lives" if (n := len(lives(run.info))) else "")
        for run in runs
    ]
    body = score_table(rows, entry["floor"], entry["ceiling"])
    changed = dict.fromkeys(note for run in runs if (note := data_note(run)))
    return "\n".join(
        [body, protocol_line(protocol, entry), "compute: " + "; ".join(compute), *changed]
    )
