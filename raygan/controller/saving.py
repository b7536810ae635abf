"""From parts to a checkpoint on disk: what is gathered is committed, what is superseded goes, and no run ends without its last one.

Save done | a member left, died, joined  -->  gathering  -->  commit: folder, record, retention  -->  gathering.committed
nobody has anything left to do           -->  last(): one more cut, unless the newest checkpoint is just what the players are
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from raygan.controller.checkpoint import Checkpoint, newest_valid, retain, write_checkpoint
from raygan.controller.gathering import Cut, Gathering
from raygan.controller.orders import Save
from raygan.errors import CheckpointError
from raygan.metrics.ranking import better

if TYPE_CHECKING:
    from raygan.controller.controller import Controller


class Saving:
    """Of one attempt of a run."""

    def __init__(self, controller: Controller, steps: Mapping[str, int]) -> None:
        self.controller = controller
        self.gathering = Gathering(steps)
        self._last: int | None = None
        """Step of the cut at the run's end, while that is under way."""

    def taken(self, order: Save, raw: bytes) -> None:
        """A player's part."""
        self._commit_all(self.gathering.take(order, raw))

    def left(self, player: str) -> None:
        """A member is gone for good."""
        self._commit_all(self.gathering.leave(player))

    def lost(self, player: str, step: int | None) -> None:
        """It is to come back from its part of the newest checkpoint, of this step; None: it has none, and begins anew."""
        if step is None:
            self.gathering.steps.pop(player, None)
        else:
            self.gathering.steps[player] = step
        self._commit_all(self.gathering.lose(player))

    def joined(self, player: str, at: int) -> None:
        """It is a member from now on."""
        for order in self.gathering.join(player, at):
            self.controller.ask(order)

    def last(self) -> bool:
        """Nobody has anything left to do: True where one more cut is taken, of everybody as it is."""
        c = self.controller
        if self.gathering.holds(c.done):
            return False
        self._last = max(c.done.values())
        for order in self.gathering.last(self._last, c.done, c.ledger.extra()):
            c.ask(order)
        return True

    def _commit_all(self, cuts: Sequence[Cut]) -> None:
        for cut in cuts:
            if (checkpoint := self._checkpoint(cut)) is not None:
                self._commit(checkpoint)

    def _checkpoint(self, cut: Cut) -> Checkpoint | None:
        """A whole cut, with the parts of those who stand in it by the newest checkpoint; None where that cannot be read."""
        c = self.controller
        parts = {p: raw for p, (_, raw) in cut.parts.items()}
        steps = {p: at for p, (at, _) in cut.parts.items()}
        extra: dict[str, Any] = {key: dict(values) for key, values in cut.extra.items()}
        if standing := cut.standing:
            newest, problems = newest_valid(c.journal.storage)
            if newest is None or problems or not set(standing) <= set(newest.parts):
                c.warn_checkpoints(problems)
                c.folder.event("abandoned", cut.step, why=f"the parts of {', '.join(standing)} cannot be read")
                return None
            for player in standing:
                parts[player], steps[player] = newest.parts[player], newest.steps[player]
                for key, values in extra.items():
                    values |= {player: newest.extra[key][player]} if player in newest.extra.get(key, {}) else {}
        members = sorted(int(p.rpartition("-")[2]) for p in cut.members if c.roles[p].pair)
        return Checkpoint(cut.step, parts, steps, {**extra, "members": members, "seen": sorted(c.totals.seen)})

    def _commit(self, checkpoint: Checkpoint) -> None:
        c, step = self.controller, checkpoint.step
        keep, journal = c.config.checkpoint.keep, c.journal
        best = c.best_steps([*(e.step for e in journal.index), step])
        c.keep_totals()
        try:
            written = write_checkpoint(journal, checkpoint, keep, best)
        except OSError as error:  # a full disk, a lost mount: what was saved before is as it was
            if step == self._last:
                raise CheckpointError(  # no other one will come
                    f"the last checkpoint could not be written ({error.strerror}). Make room in {c.folder.path}, then: "
                    f"raygan resume {c.folder.path}"
                ) from None
            c.warn("W203 checkpoint-not-written", f"step {step}: {error.strerror}; the one before is kept")
            return
        self.gathering.committed(step, checkpoint.steps)
        removed = self._retain(keep, best)
        c.totals.prune({e.step for e in journal.index}, step)
        size = sum(len(r) for r in checkpoint.parts.values())
        name = written.entry.folder if written.entry else ""
        c.folder.event("checkpoint", step, players=sorted(checkpoint.parts), name=name, bytes=size, removed=removed)

    def _retain(self, keep: int, best: Collection[int]) -> list[int]:
        c = self.controller
        try:
            return retain(c.journal.storage, keep, best)
        except OSError as error:  # the next commit tries again
            c.warn("W203 checkpoint-not-written", f"a superseded checkpoint could not be removed: {error.strerror}")
            return []


def best_step(steps: Collection[int], scores: Mapping[int, tuple[str, float]]) -> int | None:
    """Which of these steps has the best score (metric, value); of equals the later one; None where none was scored.

    >>> best_step([50, 100, 150], {50: ("high_quality", 0.9), 150: ("high_quality", 0.8)})
    50
    """
    best: int | None = None
    for step in sorted(s for s in steps if s in scores):
        metric, value = scores[step]
        if best is None or not better(metric, scores[best][1], value):
            best = step
    return best
