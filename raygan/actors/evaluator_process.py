"""The evaluator's process as the executor has it: made, watched, and made again within its budget.

Nobody needs it to train, so its death takes nobody back (decision 59): it has a lease of its own
and a budget of its own (`failures.evaluator`), past which there are no more scores.
"""

from __future__ import annotations

import time
from typing import Any

from ray.exceptions import RayActorError, RayError

from raygan.actors.liveness import Pulse, death_cause, death_kind
from raygan.actors.worker_group import EVALUATOR, WorkerGroup
from raygan.controller.orders import Evaluate
from raygan.errors import PlayerDied

START_S = 180.0
"""For its process to come up, imports included."""
SCORE_S = 900.0
"""For one score. Its thread that answers the lease lives on while a score hangs, so that a score
needs a limit of its own.
"""


class Evaluating:
    """Of one run, through all its attempts."""

    def __init__(self, workers: WorkerGroup) -> None:
        self.workers = workers
        self.deaths = 0
        """In a row."""
        self.over = ""
        """Why there are no more scores."""
        self._epoch = 0
        self._up_by = 0.0
        """Monotonic: until then its process may still be on its way up."""
        self._since = 0.0
        """Monotonic: it is at its score since then."""

    def begin(self, epoch: int) -> None:
        """Another attempt. Nobody waits for its imports: its first score does."""
        self._epoch = epoch
        self._pulse = Pulse(self.workers.config.failures.lease_s, self.workers.places)
        if EVALUATOR in self.workers.helpers:
            self.workers.helpers[EVALUATOR].begin.remote(epoch)
            self._pulse.starting(EVALUATOR, self._up_by - time.monotonic())
        elif not self.over:
            self._make()

    def _make(self) -> None:
        self.workers.helpers[EVALUATOR] = self.workers.make_helper(EVALUATOR)
        self.workers.helpers[EVALUATOR].begin.remote(self._epoch)
        self._up_by = time.monotonic() + START_S
        self._pulse.starting(EVALUATOR, START_S)

    def ask(self, order: Evaluate, generator: list[Any]) -> Any:
        """Have it score this; a reference to what comes of it."""
        self._since = time.monotonic()
        evaluate = self.workers.helpers[EVALUATOR].evaluate.remote
        return evaluate(order.player, order.step, generator, order.members, self.workers.holders)

    def answered(self) -> None:
        """It lives, and deaths are counted anew."""
        self.deaths = 0

    def died(self, error: RayError) -> PlayerDied:
        """What Ray says of its death."""
        return PlayerDied(EVALUATOR, death_cause(error), death_kind(error))

    def trouble(self, at_work: bool) -> PlayerDied | None:
        """Is it dead, or does it hang? at_work: it was asked for a score."""
        if EVALUATOR not in self.workers.helpers:
            return None
        try:
            hung = self._pulse.beat({EVALUATOR: self.workers.helpers[EVALUATOR]}, ())
        except RayActorError as error:
            return self.died(error)
        cause = f"no answer within {self._pulse.lease_s:g} s (failures.lease_s)" if hung else ""
        if at_work and time.monotonic() - self._since > SCORE_S:
            cause = f"no score within {SCORE_S:g} s"
        if not cause:
            return None
        death = PlayerDied(EVALUATOR, cause, "hang")
        death.stack = self._pulse.stack(EVALUATOR)
        return death

    def replace(self, death: PlayerDied) -> None:
        """Another one in its place, unless its budget is spent."""
        self.workers.end_helper(EVALUATOR)
        self.deaths += 1
        if self.deaths > (budget := self.workers.config.failures.evaluator):
            self.over = f"{death}, {self.deaths} times in a row (failures.evaluator is {budget})"
        else:
            self._make()
