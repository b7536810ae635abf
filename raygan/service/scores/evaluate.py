"""Score runs and put numbers side by side: always with floor, ceiling and protocol, never unlike
ones in one table.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from raygan.controller.bucket_copies import shown
from raygan.controller.evaluator import asked_here, with_parts_of
from raygan.controller.jsonl import NOTES
from raygan.errors import ConfigError
from raygan.metrics.by_part import suite_of
from raygan.metrics.coverage import CANNOT
from raygan.metrics.own import own_metrics
from raygan.metrics.suite import Suite
from raygan.service.runs.identity import run_data
from raygan.service.runs.logs import last_by_part
from raygan.service.runs.run import Run
from raygan.service.scores.part_tables import Counts, part_table, reach_table, told_by
from raygan.service.scores.rejection import generators_of, rejection_protocol
from raygan.service.scores.rejection_score import rejected_line, rejected_rows
from raygan.service.scores.score_table import protocol_line, score_table, steps_line
from raygan.service.views.tables import text_table
from raygan.strategies.base import Setup, mixed, strategy_of, with_data
from raygan.strategies.roles import MIXTURE, ordered
from raygan.strategies.sources import foreign
from raygan.watching import counted, tell

CEILING, FLOOR = "ceiling (real data)", "floor (noise)"


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
        names = {p: "mixture of all pairs" if p == MIXTURE else p for p in mine}
        named = {name: scores[p] for p, name in names.items()}
        also = {names[p]: row for p, row in rejected_rows(run).items() if p in names}
        lines.append(score_table(named, entry["floor"], entry["ceiling"], also))
        lines.append(protocol_line(protocol, entry))
    least = told_by(last_by_part(run.path), [run.main_player, MIXTURE])
    return "\n".join(filter(None, [*lines, *least, steps_line(scores), rejected_line(run)]))


def evaluate_runs(
    paths: Sequence[str],
    groups: Sequence[str] | None,
    samples: int,
    extractor: str | None,
    seed: int,
    other_data: bool = False,
    reject: bool = False,
    samples_of: Sequence[str | Mapping[str, Any]] = (),
) -> list[dict[str, Any]]:
    """Score each run's generators (global, every pair, the mixture) from its newest checkpoint;
    stored in the run.

    reject: samples are kept as the generators' own discriminators say (`scores.rejection`), which
    is another protocol. samples_of: SOURCEs of what other generators have made, scored beside them.
    Returns one entry a run: {run, protocol, floor, ceiling, scores}. Raises ConfigError for a
    metric that does not fit, and for data that are not those of the run, unless `other_data` says
    that this is meant.
    """
    if reject and samples_of:
        raise ConfigError(
            "--reject: nobody here has a discriminator of --samples-of. Score them without it."
        )
    out = []
    for path in paths:
        # all rows are of one checkpoint, also while the run goes on
        run = Run.load(path).use_code().pinned()
        tell(f"{run.name}: reading the data")
        # who has left has taken its part along; who is to join has not brought its own yet
        whole = Setup(run.config, run_data(run, other_data), torch.device("cpu"))
        setup = with_parts_of(whole, with_data(run.config))
        # parts that nobody holds as a whole are read here, one by one
        suite = suite_of(
            setup.data, asked_here(setup), groups, n_fake=samples, n_real=samples,
            features=extractor, seed=seed, own=own_metrics(run.config),
        )  # fmt: skip
        if reject:
            # Another protocol, so that no table puts them beside scores of all samples.
            suite.protocol = replace(suite.protocol, sampling=rejection_protocol(run.config))
        theirs = dict(samples_from(source, setup, suite.n_fake, seed) for source in samples_of)
        found, kept = Found(suite), dict[str, float]()
        which = [*strategy_of(run.config).scored(run.config), *[MIXTURE] * mixed(run.config)]
        for w in counted(f"{run.name}: scoring by {suite.n_fake:,} samples", [*which, *theirs]):
            if (fake := theirs.get(w)) is None:
                made = generators_of(run, w, reject, other_data)
                fake = torch.from_numpy(made.draw(suite.n_fake, seed))
                kept[w] = made.share_kept
            found.add(w, fake)
        tell(f"{run.name}: measuring floor and ceiling")
        entry = {
            "run": shown(run.path),
            "name": run.name,
            "step": run.checkpoint().step,
            "protocol": {"id": suite.protocol.id, **asdict(suite.protocol)},
            **found.beside_floor_and_ceiling(),
            **({"kept": kept} if reject else {}),
        }
        # the protocol's id is that of numbers which may be compared, whichever were asked for
        asked = "+".join(suite.groups)
        run.store(f"evaluation-{suite.protocol.id}-{asked}-seed{seed}.json", entry)
        out.append(entry)
    return out


@dataclass
class Found:
    """What a suite says of one run's generators, each by its name."""

    suite: Suite
    scores: dict[str, dict[str, float]] = field(default_factory=dict)
    by_class: dict[str, dict[str, float]] = field(default_factory=dict)
    by_part: dict[str, dict[str, float]] = field(default_factory=dict)
    reached: dict[str, Counts] = field(default_factory=dict)
    failed: dict[tuple[str, str], list[str]] = field(default_factory=dict)
    """(own metric, why) -> whom it gave no number for."""

    def add(self, name: str, fake: Tensor) -> None:
        """Score samples (N, *shape)."""
        self.scores[name], self.by_class[name] = self.suite.score(fake), self.suite.by_class(fake)
        self._keep(name, name)

    def _keep(self, name: str, called: str) -> None:
        """What the suite has found beside its scores, of whom it has scored last."""
        self.by_part[name], self.reached[name] = self.suite.parts, self.suite.classes
        for metric, why in self.suite.failed.items():
            self.failed.setdefault((metric, why), []).append(called)

    def beside_floor_and_ceiling(self) -> dict[str, Any]:
        """All of it, for the run to keep; what failed is told."""
        suite = self.suite
        floor = suite.floor()
        self._keep(FLOOR, "noise")
        ceiling = suite.ceiling()
        self._keep(CEILING, "real data")
        for (metric, why), of in self.failed.items():
            NOTES.warning("metric %s gave no number for %s: %s", metric, ", ".join(of), why)
        found = {"floor": floor, "ceiling": ceiling, "scores": self.scores}
        if "labels" in suite.groups:
            ends = {CEILING: suite.trained_on(), FLOOR: suite.noise()}
            shares = {name: suite.by_class(samples) for name, samples in ends.items()}
            found |= {"by_class": shares | self.by_class, "held_out": suite.fair()}
        if not suite.data.whole:
            found["by_part"] = self.by_part
        if any(self.reached.values()):
            found["reached"] = self.reached
        return found


def samples_from(
    source: str | Mapping[str, Any], setup: Setup, count: int, seed: int
) -> tuple[str, Tensor]:
    """What a SOURCE is called, and so many of its samples (count, *shape) in the form of the run's
    data. Raises ConfigError for one that holds fewer, DataError for one of another form.
    """
    name, found = foreign(setup.config, source, setup.data)
    held = np.concatenate([found.train[:], found.held_out[:]])
    if len(held) < count:
        raise ConfigError(
            f"--samples-of {name}: it holds {len(held):,} samples, scores are of {count:,}."
            f" Write --samples {len(held)}, for all alike."
        )
    chosen = np.random.default_rng(seed).permutation(len(held))[:count]
    return name, torch.from_numpy(held[chosen])


def table(results: Sequence[Mapping[str, Any]]) -> str:
    """The results of `evaluate_runs` as text, a block a run."""
    blocks = []
    for entry in results:
        body = score_table(entry["scores"], entry["floor"], entry["ceiling"])
        protocol = protocol_line(entry["protocol"]["id"], entry["protocol"])
        told = ", ".join(f"{player} {share:.0%}" for player, share in entry.get("kept", {}).items())
        kept = [f"kept by their own D: {told}"] if told else []
        more = [
            *class_table(entry),
            *part_table(entry.get("by_part", {})),
            *reach_table(entry.get("reached", {}), list(entry["scores"])),
        ]
        blocks.append("\n".join([entry["run"], body, protocol, *kept, *more]))
    return "\n\n".join(blocks)


def class_table(entry: Mapping[str, Any]) -> list[str]:
    """A row a class, a column a generator; [] where nothing was scored by class."""
    if not (shares := entry.get("by_class")):
        return []
    fair, players = entry["held_out"], list(shares)
    rows = [[c, f"{fair[c]:.3f}", *(f"{shares[p].get(c, 0.0):.3f}" for p in players)] for c in fair]
    return ["", text_table(["class", "held out", *players], rows), CANNOT]
