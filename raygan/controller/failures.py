"""What to do about a failure: one decision a kind, and a budget for each.

    death      a player's process is gone            oom         the node killed it for memory
    hang       no progress within the lease          node        the machine under it is gone
    preempted  its machine gave notice (notices.py)  non_finite  NaN or infinity that rolling back
    head       Ray's own GCS or raylet is gone                   did not cure

    restart    from the journal's head: in async the player alone where its strategy
               allows that, else everybody
    without    the others go on from the last checkpoint without it; the run ends degraded (exit 4)
    stop       the run ends; it can be resumed

Mistakes of the user (a config, a data set) are none of these: they end the run at once.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from pathlib import Path

from raygan.config import Action, FailuresConfig
from raygan.controller.bucket_copies import typed
from raygan.errors import NonFiniteError, PlayerDied


class Failures:
    """Counts what struck, and decides."""

    def __init__(
        self,
        config: FailuresConfig,
        counts: Mapping[str, int] | None = None,
        degraded: dict[str, str] | None = None,
    ) -> None:
        self.config = config
        self.counts: Counter[str] = Counter(counts or {})
        """Also of the run's earlier lives: a budget is a run's."""
        self.degraded: dict[str, str] = {} if degraded is None else degraded
        """Members that the run went on without, and why."""

    def decide(self, failure: PlayerDied | NonFiniteError, can_spare: bool) -> Action:
        """The configured action, or what is left of it: `stop` past the budget or for a player that
        nobody can do without.
        """
        # before it is decided: the one that is over the budget is the one that stops
        self.counts[failure.kind] += 1
        action: Action = getattr(self.config, failure.kind)
        if self.spent(failure.kind, self.counts[failure.kind]):
            return "stop"
        # NaN would come again from the same state; a death need not
        if action == "without" and not can_spare:
            return "stop" if failure.kind == "non_finite" else "restart"
        return action

    def spent(self, kind: str, count: int) -> bool:
        """Are so many of a kind too many? Machines that are taken away with notice have a budget of
        their own.
        """
        budget = self.config.preemptions if kind == "preempted" else self.config.budget
        return budget is not None and count > budget

    def advice(self, failure: PlayerDied | NonFiniteError, folder: str | Path) -> str:
        """What stands behind the failure's own message when the run stops."""
        count = self.counts[failure.kind]
        name = "preemptions" if failure.kind == "preempted" else "budget"
        budget = getattr(self.config, name)
        spent = (
            f" It is number {count} of its kind, failures.{name} is {budget}."
            if self.spent(failure.kind, count)
            else ""
        )
        return f"{spent} Next: raygan resume {typed(Path(folder))}"
