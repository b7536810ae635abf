"""From parts to a checkpoint on disk: what is gathered is committed, what is superseded goes, and
no run ends without its last one.

Save done | a member left, died, joined  -->  assembly  -->  commit: folder, record, retention  -->  assembly.committed
nobody has anything left to do           -->  last(): one more cut, unless the newest checkpoint is just what the players are
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from raygan.controller.assembly import Assembly, Cut
from raygan.controller.checkpoint import Checkpoint, newest_valid, retain, write_checkpoint
from raygan.controller.copies import shown
from raygan.controller.orders import Save
from raygan.controller.run_log import RunLog
from raygan.controller.state import RunState, number_of
from raygan.errors import CheckpointError
from raygan.metrics.ranking import better


class Saving:
    """Of one attempt of a run."""

    def __init__(self, state: RunState, log: RunLog, steps: Mapping[str, int]) -> None:
        self.state = state
        self.log = log
        self.assembly = Assembly(steps)
        self._last: int | None = None
        """Step of the cut at the run's end, while that is under way."""

    def taken(self, order: Save, raw: bytes) -> None:
        """A player's part."""
        self._commit_all(self.assembly.take(order, raw))

    def left(self, player: str) -> None:
        """A member is gone for good."""
        self._commit_all(self.assembly.leave(player))

    def lost(self, steps: Mapping[str, int | None]) -> None:
        """These are to come back from their parts of the newest checkpoint, of these steps; None:
        it has none of it, which begins anew.
        """
        for player, step in steps.items():
            if step is None:
                self.assembly.steps.pop(player, None)
            else:
                self.assembly.steps[player] = step
        self._commit_all(self.assembly.lose(*steps))

    def joined(self, player: str, at: int) -> list[Save]:
        """It is a member from now on; what it has to give at once."""
        return self.assembly.join(player, at)

    def last(self) -> list[Save]:
        """Nobody has anything left to do: one more cut, of everybody as it is; none where that is
        what was committed.
        """
        if self.assembly.holds(self.state.done):
            return []
        self._last = self.state.furthest
        return self.halted()

    def halted(self) -> list[Save]:
        """A cut of everybody as it is, now that nobody moves."""
        return self.assembly.last(self.state.furthest, self.state.done, self.state.ledger.extra())

    def due(self, player: str, step: int) -> bool:
        """Does it give its part of the cut of `step`, now that it is there?"""
        plan = self.state.plan
        fresh = self.state.free and self.assembly.fresh(player, step, plan.checkpoint_every)
        return plan.saves_at(step) and not fresh

    def awaited(self, player: str, step: int) -> list[Save]:
        """Parts of earlier cuts that it gives now, wherever it is: what the others have done would
        be at risk till then.
        """
        cuts = self.assembly.awaiting(player) if self.state.free else []
        return [Save(player, cut, at=step) for cut in cuts]

    def best_steps(self, steps: Sequence[int]) -> list[int]:
        """Which of the checkpoints of these steps has the best score so far; [] where the best is
        not to be kept.
        """
        keeps = self.state.config.checkpoint.keep_best
        best = best_step(steps, self.state.totals.best) if keeps else None
        return [] if best is None else [best]

    def _commit_all(self, cuts: Sequence[Cut]) -> None:
        for cut in cuts:
            if (checkpoint := self._checkpoint(cut)) is not None:
                self._commit(checkpoint)

    def _checkpoint(self, cut: Cut) -> Checkpoint | None:
        """A whole cut, with the parts of those who stand in it by the newest checkpoint; None where
        that cannot be read.
        """
        parts = {p: raw for p, (_, raw) in cut.parts.items()}
        steps = {p: at for p, (at, _) in cut.parts.items()}
        extra: dict[str, Any] = {key: dict(values) for key, values in cut.extra.items()}
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

    def _commit(self, checkpoint: Checkpoint) -> None:
        log, step = self.log, checkpoint.step
        keep, journal = self.state.config.checkpoint.keep, log.journal
        best = self.best_steps([*(e.step for e in journal.index), step])
        log.keep_totals()
        log.folder.mirror()
        try:
            written = write_checkpoint(journal, checkpoint, keep, best)
        except OSError as error:  # a full disk, a lost mount: what was saved before is as it was
            if step == self._last:
                raise CheckpointError(  # no other one will come
                    f"the last checkpoint could not be written ({error.strerror}). Make room in"
                    f" {shown(log.folder.path)}, then: raygan resume {shown(log.folder.path)}"
                ) from None
            log.warn(
                "W203 checkpoint-not-written",
                f"step {step}: {error.strerror}; the one before is kept",
            )
            return
        self.assembly.committed(step, checkpoint.steps)
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

    def _retain(self, keep: int, best: Collection[int]) -> list[int]:
        try:
            return retain(self.log.journal.storage, keep, best)
        except OSError as error:  # the next commit tries again
            self.log.warn(
                "W203 checkpoint-not-written",
                f"a superseded checkpoint could not be removed: {error.strerror}",
            )
            return []


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
