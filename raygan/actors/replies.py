"""What actors answer, and what an answer that does not come means: Ray's errors as PlayerDied, with
who it was, of what kind (`failures`), and who is lost along with it.

    ActorDiedError, ActorUnavailableError, OutOfMemoryError
                              the actor's process, or its whole node
    an error of the call itself
                              the user's, or a device that is lost, or an actor it was reading from
    no answer, no progress    a hang, found by the lease (`Pulse`)
    Ray's own processes       "head": all is lost that this Ray held
"""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping
from typing import Any

import ray
from ray.exceptions import (
    ActorDiedError,
    ActorUnavailableError,
    GetTimeoutError,
    OutOfMemoryError,
    RayActorError,
    RayTaskError,
)

from raygan.actors.cluster import dead_head
from raygan.actors.liveness import Pulse, death_cause, death_kind, lost_node
from raygan.actors.worker_group import EVALUATOR, WorkerGroup
from raygan.errors import PlayerDied, RayganError
from raygan.gan.device import death_of

START_TIMEOUT_S = 180.0
"""For a process to come up, imports included, and for what is there already to be handed over."""
HEAD_S = 0.5
"""Between two looks at Ray's own processes, at most: Ray 2.60 ends the driver, without a word of
ours, 2 s after its raylet's death (decision 40).
"""


class Replies:
    """Of the actors of one run; whoever is found dead or hung is noted in `WorkerGroup.lost`."""

    def __init__(self, workers: WorkerGroup, pulse: Pulse) -> None:
        self.workers = workers
        self.pulse = pulse

    def soon(self, reference: Any, name: str) -> Any:
        """The same of somebody that is up: while it is waited for all others have their lease."""
        return self.of(reference, name, watched=True)

    def of(
        self, reference: Any, name: str, timeout_s: float = START_TIMEOUT_S, watched: bool = False
    ) -> Any:
        """What the call has returned; `name`: whose call it is. Raises PlayerDied, also where there
        is no answer in time, and the error that the call met.

        watched: is everybody up, so that who does not answer hangs?
        """
        try:
            return self._awaited(reference, timeout_s, watched)
        except RayTaskError as error:
            raise self._met(error, name) from None
        except (ActorDiedError, ActorUnavailableError, OutOfMemoryError) as error:
            raise self.died(error, name) from None
        except GetTimeoutError:
            self.workers.lost.add(name)
            raise self.hung(name, f"did not answer within {timeout_s:.0f} s") from None

    def _awaited(self, reference: Any, timeout_s: float, watched: bool) -> Any:
        deadline = time.monotonic() + timeout_s
        while True:
            left = max(0.0, deadline - time.monotonic())
            try:
                return ray.get(reference, timeout=min(HEAD_S, left))
            except GetTimeoutError as error:
                # an actor that asked others in vain raises the same; Ray hands it over as both
                of_the_task = isinstance(error, RayTaskError)
                if of_the_task or time.monotonic() >= deadline:
                    raise
                look_at_head()
                if watched:
                    self.look(())

    def _met(self, error: RayTaskError, name: str) -> Exception:
        """What a call that ended in an error means."""
        cause = error.cause
        # a deputy that does not answer: told by the global pair, which waits for it
        if isinstance(cause, PlayerDied):
            self.workers.lost.add(cause.player)
            cause = self.hung(cause.player, cause.cause)
        # its process lives, its device is lost to it
        if (end := death_of(cause)) is not None:
            self.workers.lost.add(name)
            kind, why = end
            return PlayerDied(name, why, kind, self.workers.along(name))
        if isinstance(cause, RayganError):
            return cause
        # of an actor that this one was reading from
        if isinstance(cause, RayActorError):
            return self.died(cause, name)
        return error

    def died(self, error: Exception, name: str) -> PlayerDied:
        """Who it was (`name` where Ray does not tell); all that lived on a lost node are lost with
        it.
        """
        look_at_head()
        workers, actor_id = self.workers, getattr(error, "actor_id", None)
        known = workers.actors | workers.helpers
        who = next((n for n, a in known.items() if a._actor_id.hex() == actor_id), name)
        gone = lost_node(error)
        # all of them at once: found one by one, each would cost an attempt of its own
        if along := [n for n, (node, _) in workers.places.items() if node == gone]:
            who = who if who in along else along[0]
        workers.lost |= {who, *along}
        return PlayerDied(who, death_cause(error), death_kind(error), workers.along(who))

    def hung(self, name: str, cause: str, stack: str = "") -> PlayerDied:
        """Somebody that does not answer, with where it is (`stack`, where that was asked already);
        its process is ended by whoever starts again.
        """
        death = PlayerDied(name, cause, "hang", self.workers.along(name))
        death.stack = stack or self.pulse.stack(name)
        return death

    def look(self, busy: Collection[str]) -> None:
        """Raises PlayerDied of somebody that is dead, or that has got nowhere for its lease. busy:
        those that owe something.
        """
        workers = self.workers
        # without the evaluator, which has a lease and a budget of its own (decision 59)
        helpers = {n: a for n, a in workers.helpers.items() if n != EVALUATOR}
        everybody = workers.actors | helpers
        try:
            hung = self.pulse.beat(everybody, busy)
        except RayActorError as error:
            raise self.died(error, next(iter(everybody))) from None
        if hung:
            workers.lost.add(hung)
            lease = f"no progress within {self.pulse.lease_s:g} s (failures.lease_s)"
            raise self.hung(hung, lease)

    def where(self, actors: Mapping[str, Any]) -> dict[str, Any]:
        """Node, process and device of each."""
        asked = {n: a.where.remote(n) for n, a in actors.items()}
        return {n: self.soon(reference, n) for n, reference in asked.items()}


def look_at_head() -> None:
    """Raises PlayerDied where a process of Ray's own is dead."""
    if dead := dead_head():
        raise PlayerDied("ray", f"its {dead} process is gone", "head")
