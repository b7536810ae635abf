"""The executor's end of the evaluator: what is to be scored comes back as rows, or is given up;
players never hear of it.

    Evaluate --submit--> evaluator --look--> Done(Scored)
                             | it died, or does not answer
                             '--> made again; the score that it was at is tried once more -->
                             Done(Scored(missing=why))

The process is `Evaluating`'s; what it is to score, `Scoring`'s.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

import ray
from ray.exceptions import OutOfMemoryError, RayActorError, RayError, RayTaskError

from raygan.actors.evaluator_process import Evaluating
from raygan.actors.worker_group import WorkerGroup
from raygan.controller.orders import Done, Evaluate, Scored
from raygan.controller.scores import TRIES
from raygan.errors import PlayerDied


@dataclass
class _Score:
    """One that is under way; `generator`: a reference in a list, so that it travels unresolved."""

    order: Evaluate
    generator: list[Any]
    began: float
    reference: Any = None
    tries: int = 0
    told: bool = False
    """Handed over already; scored again for a mixture's sake."""


class Scoring:
    """What the evaluator of a run is to score, oldest first.

    It is given one at a time, so that whichever it dies of is known: of several that it had, one
    that is done but whose answer was lost looks as guilty (decision 78).
    """

    def __init__(self, workers: WorkerGroup) -> None:
        self.workers = workers
        self.evaluator = Evaluating(workers)
        self.scores: list[_Score] = []
        self.mixed: dict[int, list[_Score]] = {}
        """step -> scored already, for a mixture that is not there yet: another evaluator has to see
        them again.
        """
        self.given_up: list[Done] = []
        self.mishaps: list[PlayerDied] = []

    def begin(self, epoch: int) -> None:
        """Another attempt: what was under way will be asked for again."""
        self.scores.clear()
        self.mixed.clear()
        self.given_up.clear()
        self.evaluator.begin(epoch)

    @property
    def references(self) -> list[Any]:
        """What to wait for: the one that it is at."""
        return [score.reference for score in self.scores[:1]]

    @property
    def pending(self) -> bool:
        """Is a score still to come?"""
        return bool(self.scores or self.given_up)

    def submit(self, order: Evaluate) -> None:
        """Ask the player for its generator as it is now, and have it scored."""
        # asked at once, so that it is the generator of this step; the score may come much later
        generator = [self.workers.actors[order.player].generator.remote(order.player)]
        self._queue(_Score(order, generator, time.perf_counter()))

    def _queue(self, score: _Score) -> None:
        if why := self.evaluator.over:
            self._give_up(score, why)
            return
        score.reference = None
        self.scores.append(score)
        self._go_on()

    def _go_on(self) -> None:
        """Give it the oldest, where it is at another one or at none."""
        if self.scores and self.scores[0].reference is None:
            score = self.scores[0]
            score.reference = self.evaluator.ask(score.order, score.generator)

    def drop(self, player: str) -> None:
        """It is a member no more."""
        self.scores = [s for s in self.scores if s.order.player != player]
        self._go_on()
        self.given_up = [d for d in self.given_up if getattr(d.order, "player", None) != player]

    def look(self) -> list[Done]:
        """What was scored or given up by now. Raises the RayError of a player that died before it
        gave its generator.
        """
        out = []
        while self.scores and ray.wait(self.references, timeout=0)[0]:
            score = self.scores[0]
            try:
                scored = ray.get(score.reference)
            except RayTaskError as error:
                # of the player whose generator it was reading: Ray hands that on as its own error
                if isinstance(cause := error.cause, RayError):
                    raise cause from None
                raise
            except (RayActorError, OutOfMemoryError) as error:
                self._lost(self.evaluator.died(error))
                break
            self.scores.pop(0)
            self.evaluator.answered()
            self._go_on()
            if not score.told:
                out.append(Done(score.order, scored, time.perf_counter() - score.began))
            self._remember(score, scored)
        if (death := self.evaluator.trouble(at_work=bool(self.scores))) is not None:
            self._lost(death)
        given_up, self.given_up = self.given_up, []
        return out + given_up

    def _remember(self, score: _Score, scored: Scored) -> None:
        """A mixture is of all its members' samples; those are in this evaluator's process only."""
        score.told = True
        step, members = score.order.step, set(score.order.members)
        mixes = self.workers.config.evaluation.mixture and len(members) > 1
        if len(scored.rows) > 1:
            self.mixed.pop(step, None)
        elif mixes and score.order.player in members:
            self.mixed.setdefault(step, []).append(score)

    def _lost(self, death: PlayerDied) -> None:
        """For another one: what it has not scored; the oldest, which it was at, only once more."""
        self.mishaps.append(death)
        left, self.scores = self.scores, []
        # only the one that it was at may be guilty; the others were still here (decision 78)
        if left:
            left[0].tries += 1
            if left[0].tries >= TRIES and not (guilty := left.pop(0)).told:
                self._give_up(guilty, str(death))
        self.evaluator.replace(death)
        again = [score for scores in self.mixed.values() for score in scores]
        self.mixed.clear()
        for score in [*again, *left]:
            if not (self.evaluator.over and score.told):
                self._queue(score)

    def _give_up(self, score: _Score, why: str) -> None:
        missing, seconds = Scored([], missing=why), time.perf_counter() - score.began
        self.given_up.append(Done(score.order, missing, seconds))
