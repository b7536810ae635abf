"""The executor's end of the evaluator: what is to be scored comes back as rows, or is given up;
players never hear of it.

    Evaluate --submit--> evaluator --look--> Done(Scored)
                             | it died, or does not answer
                             '--> made again; the score that it was at is tried once more -->
                             Done(Scored(missing=why))

Nobody needs it to train: it has a budget of its own (`failures.evaluator`), past which there are no
more scores.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

import ray
from ray.exceptions import OutOfMemoryError, RayActorError, RayError, RayTaskError

from raygan.actors.liveness import Pulse, death_cause, death_kind
from raygan.actors.worker_group import EVALUATOR, WorkerGroup
from raygan.controller.orders import Done, Evaluate, Scored
from raygan.controller.scores import TRIES
from raygan.errors import PlayerDied

START_S = 180.0
"""For its process to come up, imports included."""
SCORE_S = 900.0
"""For one score."""


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
    that is done but whose answer was lost looks as guilty.
    """

    def __init__(self, house: WorkerGroup) -> None:
        self.house = house
        self.epoch = 0
        self.scores: list[_Score] = []
        self.mixed: dict[int, list[_Score]] = {}
        """step -> scored already, for a mixture that is not there yet: another evaluator has to see
        them again.
        """
        self.given_up: list[Done] = []
        self.mishaps: list[PlayerDied] = []
        self.deaths = 0
        """In a row."""
        self.over = ""
        """Why there are no more scores."""
        self._since = 0.0
        """Monotonic: it is at its oldest score since then."""

    def begin(self, epoch: int) -> None:
        """Another attempt: what was under way will be asked for again. Nobody waits for its
        imports.
        """
        self.epoch = epoch
        self.scores.clear()
        self.mixed.clear()
        self.given_up.clear()
        self.pulse = Pulse(self.house.config.failures.lease_s, self.house.places)
        if EVALUATOR in self.house.helpers:
            self.house.helpers[EVALUATOR].begin.remote(epoch)
        elif not self.over:
            self._make()

    def _make(self) -> None:
        self.house.helpers[EVALUATOR] = self.house.make_helper(EVALUATOR)
        self.house.helpers[EVALUATOR].begin.remote(self.epoch)
        self.pulse.starting(EVALUATOR, START_S)

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
        generator = [self.house.actors[order.player].generator.remote(order.player)]
        self._send(_Score(order, generator, time.perf_counter()))

    def _send(self, score: _Score) -> None:
        if self.over:
            self._give_up(score, self.over)
            return
        score.reference = None
        self.scores.append(score)
        self._go_on()

    def _go_on(self) -> None:
        """Give it the oldest, where it is at another one or at none."""
        if not self.scores or self.scores[0].reference is not None:
            return
        score, self._since = self.scores[0], time.monotonic()
        o = score.order
        score.reference = self.house.helpers[EVALUATOR].evaluate.remote(
            o.player, o.step, score.generator, o.members
        )

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
                if isinstance(
                    cause := error.cause, RayError
                ):  # of the player whose generator it was reading
                    raise cause from None
                raise
            except (RayActorError, OutOfMemoryError) as error:
                self._lost(PlayerDied(EVALUATOR, death_cause(error), death_kind(error)))
                break
            self.scores.pop(0)
            self.deaths = 0
            self._go_on()
            if not score.told:
                out.append(Done(score.order, scored, time.perf_counter() - score.began))
            self._remember(score, scored)
        self._beat()
        given_up, self.given_up = self.given_up, []
        return out + given_up

    def _remember(self, score: _Score, scored: Scored) -> None:
        score.told = True
        step, members = score.order.step, set(score.order.members)
        if len(scored.rows) > 1:
            self.mixed.pop(step, None)
        elif (
            len(members) > 1
            and score.order.player in members
            and self.house.config.evaluation.mixture
        ):
            self.mixed.setdefault(step, []).append(score)

    def _beat(self) -> None:
        """Is it there, and does it get on?"""
        if EVALUATOR not in self.house.helpers:
            return
        try:
            hung = self.pulse.beat({EVALUATOR: self.house.helpers[EVALUATOR]}, ())
        except RayActorError as error:
            self._lost(PlayerDied(EVALUATOR, death_cause(error), death_kind(error)))
            return
        cause = f"no answer within {self.pulse.lease_s:g} s (failures.lease_s)" if hung else ""
        if self.scores and time.monotonic() - self._since > SCORE_S:
            cause = f"no score within {SCORE_S:g} s"
        if cause:
            death = PlayerDied(EVALUATOR, cause, "hang")
            death.stack = self.pulse.stack(EVALUATOR)
            self._lost(death)

    def _lost(self, death: PlayerDied) -> None:
        """Make it again, for what it has not scored; the oldest, which it was at, only once more."""
        self.house.end_helper(EVALUATOR)
        self.mishaps.append(death)
        self.deaths += 1
        left, self.scores = self.scores, []
        if left:
            left[0].tries += 1
            if left[0].tries >= TRIES and not (guilty := left.pop(0)).told:
                self._give_up(guilty, str(death))
        if self.deaths > (budget := self.house.config.failures.evaluator):
            self.over = f"{death}, {self.deaths} times in a row (failures.evaluator is {budget})"
        else:
            self._make()
        again = [score for scores in self.mixed.values() for score in scores]
        self.mixed.clear()
        for score in [*again, *left]:
            if not (self.over and score.told):
                self._send(score)

    def _give_up(self, score: _Score, why: str) -> None:
        self.given_up.append(
            Done(score.order, Scored([], missing=why), time.perf_counter() - score.began)
        )
