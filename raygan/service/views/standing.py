"""Which pairs a picture of many shows by name, and the answers that a report begins with.

Up to FEW pairs are all shown. Of more, the best, the median and the worst by the score that decides
stand for all, beside the players of other kinds; the others are in bands and heat maps.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from raygan.controller.bucket_copies import typed
from raygan.metrics.ranking import deciding, verdict, way
from raygan.service.runs.run import Run
from raygan.service.views.tables import fate, waiting_line
from raygan.strategies.base import num_processes
from raygan.strategies.roles import MIXTURE, Roles, role_of

FEW = 8
"""Pairs that are all shown by name."""
BAD = 3.0
"""Median absolute deviations below the median, from which on a pair stands out."""
LISTED = 5


@dataclass(frozen=True)
class Standing:
    """The pairs by the score that decides, the best first; those without one last."""

    metric: str | None
    gone: Mapping[str, float]
    """pair -> its way from noise to real data; NaN where it has none."""
    unjudged: frozenset[str] = frozenset()
    """Pairs without a generator of their own (a federated site): they are shown, and nobody asks
    how good they are.
    """

    @cached_property
    def judged(self) -> list[str]:
        """Pairs whose samples are scored."""
        return [p for p in self.gone if p not in self.unjudged]

    @cached_property
    def order(self) -> list[str]:
        """The pairs, the best first; those without a score last."""
        return sorted(
            self.gone, key=lambda p: -self.gone[p] if math.isfinite(self.gone[p]) else math.inf
        )

    @cached_property
    def ends(self) -> dict[str, str]:
        """The best, the median and the worst of those with a score."""
        scored = [p for p in self.order if math.isfinite(self.gone[p])] or self.order
        return {"best": scored[0], "median": scored[len(scored) // 2], "worst": scored[-1]}

    def chosen(self, few: int = FEW) -> dict[str, str]:
        """Pair -> what it stands for: all of a few, for themselves; else the best, the median and
        the worst.
        """
        if len(self.gone) <= few:
            return dict.fromkeys(self.gone, "")
        return {self.ends[what]: what for what in ("best", "worst", "median")}

    def told(self, player: str) -> str:
        """As a legend names it."""
        # of those without a score some are shown, and none is the best
        what = self.chosen().get(player) if math.isfinite(self.gone.get(player, math.nan)) else ""
        return f"{player} ({what})" if what else player

    def dashes(self, player: str) -> str:
        """A line's style: of many pairs two may have one colour."""
        return {"median": "--", "worst": ":"}.get(self.chosen().get(player, ""), "-")

    @property
    def bad(self) -> list[str]:
        """Pairs far below the others, the worst first."""
        values = [v for v in self.gone.values() if math.isfinite(v)]
        if len(values) < 3:
            return []
        middle = statistics.median(values)
        # Median absolute deviation, since one pair far off would widen a standard deviation until
        # it no longer stands out; .02, or equal pairs would all stand out by rounding.
        spread = max(statistics.median(abs(v - middle) for v in values), 0.02)
        return [p for p in reversed(self.order) if self.gone[p] < middle - BAD * spread]

    def of(self, players: Iterable[str], roles: Roles, few: int = FEW) -> list[str]:
        """Of these players the chosen pairs, and all that are no pairs."""
        chosen = self.chosen(few)
        return [
            p
            for p in players
            if p in chosen or p == MIXTURE or not role_of(p, roles).pair or p not in self.gone
        ]


def standing(run: Run, entry: Mapping[str, Any]) -> Standing:
    """Of a run's pairs, by their last scores."""
    scores, metric = run.scores(), None
    floor, ceiling = entry["floor"], entry["ceiling"]
    if ceiling:
        metric = deciding(list(ceiling), floor, ceiling)
    gone = {
        p: way(metric, scores.get(p, {}).get(metric), floor, ceiling) if metric else math.nan
        for p in run.pairs
    }
    roles = run.roles
    return Standing(metric, gone, frozenset(p for p in gone if not role_of(p, roles).scored))


def answers(run: Run, entry: Mapping[str, Any], found: Standing) -> list[tuple[str, str]]:
    """(question, answer) for whoever reads no further."""
    scores, info = run.scores(), run.info
    told = [
        ("Who is best?", verdict(scores, entry["floor"], entry["ceiling"]) or _no_scores(scores))
    ]
    if found.judged:
        told.append(("Which pair is bad?", _bad(found)))
    if lost := _lost(scores, entry, found):
        told.append(("Is a mode lost?", lost))
    if info.get("swaps"):
        told.append(("Did swapping help?", _swapping(run)))
    if info.get("elapsed"):
        told.append(("What did it cost?", cost_line(info, actors(run))))
    told.append(("What next?", _next(run)))
    return told


def _no_scores(scores: Mapping[str, Any]) -> str:
    return "no score tells noise from real data" if scores else "nothing is scored yet"


def _bad(found: Standing) -> str:
    if found.metric is None or not any(math.isfinite(v) for v in found.gone.values()):
        return "no score tells them apart"

    def told(pair: str) -> str:
        return f"{pair} ({100 * found.gone[pair]:.0f} %)"

    ends = ", ".join(f"{what} {told(pair)}" for what, pair in found.ends.items())
    if not (bad := found.bad):
        return f"none stands out: {ends}"
    more = f" and {len(bad) - LISTED} more" if len(bad) > LISTED else ""
    return f"{', '.join(map(told, bad[:LISTED]))}{more}; {ends}"


def _lost(scores: Mapping[str, Any], entry: Mapping[str, Any], found: Standing) -> str:
    """By the modes that get a tenth of their share, where noise does not get them too."""
    metric = next(
        (m for m in ("modes@10%", "modes", "classes_covered") if m in entry["ceiling"]), ""
    )
    if not metric:
        return ""
    # Of a data set on which noise reaches all modes nothing can be said by modes.
    if math.isnan(way(metric, 0.0, entry["floor"], entry["ceiling"])):
        return f"{metric} cannot tell: noise has all of them"
    total = entry["ceiling"][metric]
    others = [
        f"{p} {scores[p][metric]:g}" for p in scores if p not in found.gone and metric in scores[p]
    ]
    told = [f"{', '.join(others)} of {total:g}"] if others else []
    if pairs := found.judged:
        whole = sum(scores.get(p, {}).get(metric, 0) >= total for p in pairs)
        told.append(f"{whole} of {len(pairs)} pairs have all {total:g} by themselves ({metric})")
    return "; ".join(told)


def _swapping(run: Run) -> str:
    """By GAM-II against pairs that never met, where that was measured."""
    from raygan.service.runs.verdicts import newest_verdicts

    count = max(2, min(len(run.pairs), 4))
    again = f"raygan evaluate {typed(run.path)} --metrics gam2 --control {count}"
    if made := newest_verdicts(run, compared=True):
        said = "; ".join(f"{who}: {what}" for who, what in made.found["verdicts"].items())
        return f"{said} (of {made.old}; again: {again})" if made.old else said
    return f"{run.info['swaps']} swaps; not measured against pairs that never met: {again}"


def _next(run: Run) -> str:
    info = run.info
    if info.get("warnings"):
        name = next(iter(info["warnings"]))
        return f"{name}: {fate(name)}"
    if info.get("status") not in ("done", "degraded"):
        return f"raygan status {typed(run.path)}"
    return f"raygan sample {typed(run.path)} --from {run.main_player} -n 1024 -o samples.npz"


def actors(run: Run) -> int:
    """Processes that held players: one for all where everything happened in the driver."""
    return 1 if run.info.get("executor") == "inline" else num_processes(run.config)


def cost_line(info: Mapping[str, Any], count: int) -> str:
    """What the run cost in all its lives, in words; count: actors, each with its share reserved.

    >>> cost_line({"elapsed": 3600.0, "busy_seconds": {"a": 3000.0, "b": 600.0}, "cpus_per_player":
    ... 1.0}, 1)
    '1.00 player-hours of training in 1.00 hours; reserved: 1.00 CPU-hours.'
    """
    hours, busy = info["elapsed"] / 3600, sum(info["busy_seconds"].values()) / 3600
    cpus, gpus = float(info.get("cpus_per_player") or 0), float(info.get("gpus_per_player") or 0)
    kept = [
        f"{count * n * hours:.2f} {kind}-hours" for n, kind in ((cpus, "CPU"), (gpus, "GPU")) if n
    ]
    waiting = f"; {line}" if (line := waiting_line(info)) else ""
    return f"{busy:.2f} player-hours of training in {hours:.2f} hours{waiting}" + (
        f"; reserved: {', '.join(kept)}." if kept else "."
    )
