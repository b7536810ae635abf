"""From parts to a checkpoint: what is gathered is committed (checkpoint_commit.py),
and no run ends without its last one.

Save done | a member left, died, joined  -->  assembly  -->  commit: folder, record, retention
                                              -->  assembly.committed
nobody has anything left to do           -->  last(): one more cut, unless the newest checkpoint
                                              is just what the players are
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from raygan.controller.checkpoint_assembly import Assembly, Cut
from raygan.controller.checkpoint_commit import Committer
from raygan.controller.orders import Save
from raygan.controller.run_log import RunLog
from raygan.controller.state import RunState


class Saving:
    """Of one attempt of a run."""

    def __init__(self, state: RunState, log: RunLog, steps: Mapping[str, int]) -> None:
        self.state = state
        self.committer = Committer(state, log)
        self.assembly = Assembly(steps)
        self._last: int | None = None
        """Step of the cut at the run's end, while that is under way."""

    def taken(self, order: Save, raw: bytes) -> None:
        """Take a player's part; cuts that are whole by it are committed."""
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
        # all at once: see `Assembly.lose`
        self._commit_all(self.assembly.lose(*steps))

    def joined(self, player: str, at: int) -> list[Save]:
        """It is a member from now on; what it has to give at once."""
        return self.assembly.join(player, at)

    def last(self) -> list[Save]:
        """Nobody has anything left to do: one more cut, of everybody as it is; none where that is
        what was committed.
        """
        # just these players at just these steps: one more write would say nothing new
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
        fresh = free(self.state) and self.assembly.fresh(player, step, plan.checkpoint_every)
        return plan.saves_at(step) and not fresh

    def awaited(self, player: str, step: int) -> list[Save]:
        """Parts of earlier cuts that it gives now, wherever it is: what the others have done would
        be at risk till then.
        """
        cuts = self.assembly.awaiting(player) if free(self.state) else []
        return [Save(player, cut, at=step) for cut in cuts]

    def _commit_all(self, cuts: Sequence[Cut]) -> None:
        for cut in cuts:
            # one after the other: the next one may stand on parts of this
            checkpoint = self.committer.checkpoint(cut)
            if checkpoint and self.committer.commit(checkpoint, last=checkpoint.step == self._last):
                self.assembly.committed(checkpoint.step, checkpoint.steps)


def free(state: RunState) -> bool:
    """May a checkpoint hold players at any steps? In async, where nobody holds what another one had
    at some step (decision 68).
    """
    return state.plan.tempo == "async" and not state.strategy.swaps


def complete_at(state: RunState, player: str, step: int) -> list[str]:
    """Who is as it will be at `step`, now that `player` has done it: pairs that share weights only
    when all have.
    """
    groups = state.strategy.together(state.config)
    group = next((g for g in groups if player in g), [player])
    return group if all(state.done[p] >= step for p in group) else []
