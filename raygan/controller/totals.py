"""What a run has done and spent in all its lives: a part of each snapshot in the journal, restored
by whoever goes on.

snapshot.totals  +  records after it (absorb)  +  rows of metrics.jsonl after it (catch_up)
                 ->  Totals of the next life
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from raygan.controller.files import open_plain
from raygan.metrics.ranking import better
from raygan.strategies.roles import MIXTURE

BLOCK = 1 << 16
Headline = tuple[str, float]
"""(metric, value)"""
ANYBODY = ""
"""Whose a score is that a snapshot has: it keeps the best of each step, whatever the number of
players.
"""


@dataclass
class Totals:
    """Seconds, counts, scores; `undone` work that was done again is counted each time, since it was
    spent.
    """

    elapsed: float = 0.0
    """Seconds of the lives before this one."""
    busy: dict[str, float] = field(default_factory=dict)
    """player -> seconds that its rounds took."""
    swaps: int = 0
    skipped: int = 0
    """Swaps for which there was no partner."""
    warnings: dict[str, int] = field(default_factory=dict)
    failures: dict[str, int] = field(default_factory=dict)
    """kind -> how many, of `failures.budget`."""
    degraded: dict[str, str] = field(default_factory=dict)
    """Members that the run went on without -> why."""
    headlines: dict[int, dict[str, Headline]] = field(default_factory=dict)
    """step -> player, or the mixture -> its headline score; of a life before this one the best of
    all, under `ANYBODY`.
    """
    seen: set[int] = field(default_factory=set)
    """Numbers that were ever given to members."""
    waited: dict[str, float] = field(default_factory=dict)
    """player -> seconds that it waited for others, within its rounds and between them (async)."""

    @classmethod
    def read(cls, facts: Mapping[str, Any]) -> Totals:
        """Totals out of what `dump` has written."""
        best = dict(facts.get("best", {}))
        out = cls(**{key: value for key, value in facts.items() if key != "best"})
        out.headlines = {
            int(step): {ANYBODY: (str(metric), float(value))}
            for step, (metric, value) in best.items()
        }
        out.seen = set(out.seen)
        return out

    def dump(self, elapsed: float) -> dict[str, Any]:
        """As JSON; elapsed: seconds of all lives by now."""
        best = {str(step): list(score) for step, score in self.best.items()}
        out = {**asdict(self), "elapsed": elapsed, "seen": sorted(self.seen), "best": best}
        del out["headlines"]
        return out

    @property
    def best(self) -> dict[int, Headline]:
        """step -> the best score of any player or of the mixture."""
        out: dict[int, Headline] = {}
        for step, scores in self.headlines.items():
            for metric, value in scores.values():
                if step not in out or better(metric, value, out[step][1]):
                    out[step] = metric, value
        return out

    def scored(self, player: str, step: int, headline: Headline) -> None:
        """What is known of it at that step; a step that is scored again has its last score."""
        self.headlines.setdefault(step, {})[player] = headline

    def undo(self, steps: Mapping[str, float], otherwise: float) -> None:
        """These go back to these steps, others to `otherwise`: their scores of later ones are of
        generators that will never have been.
        """
        self._keep(lambda step, player: step <= steps.get(player, otherwise))

    def only(self, step: int, players: Collection[str]) -> None:
        """The checkpoint of `step` is of these: whoever left meanwhile is not in it."""
        there = {*players, MIXTURE, ANYBODY}
        self._keep(lambda at, player: at != step or player in there)

    def prune(self, kept: Collection[int], step: int) -> None:
        """Scores of steps before `step` whose checkpoints are gone are of no use any more."""
        self._keep(lambda at, _: at in kept or at > step)

    def _keep(self, stays: Callable[[int, str], bool]) -> None:
        left = {
            step: {player: score for player, score in scores.items() if stays(step, player)}
            for step, scores in self.headlines.items()
        }
        self.headlines = {step: scores for step, scores in left.items() if scores}

    def catch_up(self, rows: Iterable[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
        """Count in what a life that was cut short had told after its last snapshot; rows of
        metrics.jsonl, newest first.
        Returns the scores among them.
        """
        scores, until = [], self.elapsed
        for row in rows:
            # rows are read from the end, and those from here on are in the snapshot
            if row.get("elapsed", 0.0) <= until:
                break
            self.elapsed = max(self.elapsed, float(row["elapsed"]))
            if row.get("kind") == "train":
                who, waited = row["player"], row.get("wait_s", 0.0) + row.get("held_s", 0.0)
                self.busy[who] = self.busy.get(who, 0.0) + float(row.get("seconds", 0.0))
                if waited:
                    self.waited[who] = self.waited.get(who, 0.0) + float(waited)
            elif row.get("kind") == "score":
                scores.append(row)
        return scores


def absorb(totals: Mapping[str, Any], since: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """A snapshot's totals, with what the records after it add."""
    out = dict(totals)
    out["swaps"] = out.get("swaps", 0) + sum(r["kind"] == "swap" for r in since)
    out["seen"] = sorted(
        {*out.get("seen", []), *(n for r in since if r["kind"] == "join" for n in r["members"])}
    )
    retired = {r["player"]: r["why"] for r in since if r["kind"] == "retire"}
    return {**out, "degraded": {**out.get("degraded", {}), **retired}}


def newest_first(path: Path) -> Iterator[dict[str, Any]]:
    """The whole lines of a jsonl file, from its end; as much of it is read as is asked for. What is
    damaged is passed over.
    """
    if not path.exists():
        return
    with os.fdopen(open_plain(path), "rb") as file:
        end, rest = file.seek(0, 2), b""
        while end > 0:
            size = min(BLOCK, end)
            end -= size
            file.seek(end)
            first, *lines = (file.read(size) + rest).split(b"\n")
            rest = first
            yield from _parsed([first, *lines] if end == 0 else lines)


def _parsed(lines: Sequence[bytes]) -> Iterator[dict[str, Any]]:
    for line in reversed(lines):
        try:
            row = json.loads(line)
        except ValueError:
            continue
        if isinstance(row, dict):
            yield row
