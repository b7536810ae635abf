"""A whole cut becomes a checkpoint on disk; what it has superseded goes.

cut  -->  checkpoint (with parts of the newest one, for those who stand in it)
checkpoint  -->  what is told, sent  -->  folder  -->  record  -->  retention
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from raygan.controller.bucket_copies import shown, typed
from raygan.controller.checkpoint import Checkpoint, newest_valid, write_checkpoint
from raygan.controller.checkpoint_assembly import Cut
from raygan.controller.checkpoint_index import retain
from raygan.controller.run_log import RunLog
from raygan.controller.state import RunState
from raygan.errors import CheckpointError
from raygan.metrics.ranking import better
from raygan.strategies.roles import number_of


class Committer:
    """Commits the checkpoints of one run."""

    def __init__(self, state: RunState, log: RunLog) -> None:
        self.state = state
        self.log = log

    def checkpoint(self, cut: Cut) -> Checkpoint | None:
        """A whole cut, with the parts of those who stand in it by the newest checkpoint; None where
        that cannot be read.
        """
        parts = {p: raw for p, (_, raw) in cut.parts.items()}
        steps = {p: at for p, (at, _) in cut.parts.items()}
        extra: dict[str, Any] = {key: dict(values) for key, values in cut.extra.items()}
        # read again, not kept in memory: parts of all players are a whole run's bytes
        if standing := cut.standing:
            newest, problems = newest_valid(self.log.journal.storage)
            if newest is None or problems or not set(standing) <= set(newest.parts):
                self.log.warn_checkpoints(problems)
                self.log.event(
                    "abandoned", cut.step, why=f"the parts of {', '.join(standing)} cannot be read"
                )
                return None
            for player in standing:
                parts[player], steps[player] = newest.parts[player], newest.steps[player]
                for key, values in extra.items():
                    values |= (
                        {player: newest.extra[key][player]}
                        if player in newest.extra.get(key, {})
                        else {}
                    )
        roles, seen = self.state.roles, sorted(self.state.totals.seen)
        members = sorted(number_of(p) for p in cut.members if roles[p].pair)
        return Checkpoint(cut.step, parts, steps, {**extra, "members": members, "seen": seen})

    def commit(self, checkpoint: Checkpoint, last: bool) -> bool:
        """Write it; False where it could not be, and the one before is kept. Raises CheckpointError
        where it is the run's `last`: no other one will come.
        """
        log, step = self.log, checkpoint.step
        keep, journal = self.state.config.checkpoint.keep, log.journal
        self.state.totals.only(step, checkpoint.parts)
        best = self.best_steps([*(e.step for e in journal.index), step])
        log.keep_totals()
        # what the run tells goes out first: rows that a later life does not make again are not lost
        # with the local disk of a run in a bucket (decision 80)
        log.folder.mirror()
        try:
            written = write_checkpoint(journal, checkpoint, keep, best)
        except OSError as error:
            # a full disk, a lost mount: what was saved before is as it was
            if last:
                raise CheckpointError(
                    f"the last checkpoint could not be written ({error.strerror}). Make room in"
                    f" {shown(log.folder.path)}, then: raygan resume {typed(log.folder.path)}"
                ) from None
            log.warn(
                "W203 checkpoint-not-written",
                f"step {step}: {error.strerror}; the one before is kept",
            )
            return False
        # only now: were it removed before the record, a kill between would leave neither
        removed = self._retain(keep, best)
        self.state.totals.prune({e.step for e in journal.index}, step)
        size = sum(len(r) for r in checkpoint.parts.values())
        name = written.entry.folder if written.entry else ""
        log.event(
            "checkpoint",
            step,
            players=sorted(checkpoint.parts),
            name=name,
            bytes=size,
            removed=removed,
        )
        return True

    def _retain(self, keep: int, best: Collection[int]) -> list[int]:
        try:
            return retain(self.log.journal.storage, keep, best)
        except OSError as error:
            # the next commit tries again
            self.log.warn(
                "W203 checkpoint-not-written",
                f"a superseded checkpoint could not be removed: {error.strerror}",
            )
            return []

    def best_steps(self, steps: Sequence[int]) -> list[int]:
        """Which of the checkpoints of these steps has the best score so far; [] where the best is
        not to be kept.
        """
        keeps = self.state.config.checkpoint.keep_best
        best = best_step(steps, self.state.totals.best) if keeps else None
        return [] if best is None else [best]


def best_step(steps: Collection[int], scores: Mapping[int, tuple[str, float]]) -> int | None:
    """Which of these steps has the best score (metric, value); of equals the later one; None where
    none was scored.

    >>> best_step([50, 100, 150], {50: ("high_quality", 0.9), 150: ("high_quality", 0.8)})
    50
    """
    best: int | None = None
    for step in sorted(s for s in steps if s in scores):
        metric, value = scores[step]
        if best is None or not better(metric, scores[best][1], value):
            best = step
    return best
