"""Carries orders out on a Ray cluster: the controller's end of all its actors.

    WorkerGroup   who lives where, made and ended    Replies      what they answer, who is dead or
                                                                  hung
    Startup       an attempt's begin, joiners        Calls        orders under way
    Scoring       the evaluator's business           Departures   machines that have given notice

Each of them says what it holds; nothing but this file knows all of them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import ray
from ray.exceptions import RayError

from raygan.actors.calls import Calls
from raygan.actors.cluster import dead_head, start_again
from raygan.actors.departures import Departures
from raygan.actors.liveness import Pulse
from raygan.actors.replies import Replies, look_at_head
from raygan.actors.scoring import Scoring
from raygan.actors.startup import Startup
from raygan.actors.worker_group import MATCHMAKER, WorkerGroup
from raygan.config import Config
from raygan.controller.orders import Adopt, Done, Evaluate, Join, Order, Save
from raygan.errors import PlayerDied, RayganError
from raygan.strategies.base import Setup, strategy_of
from raygan.strategies.orders import Swap, Train


class RayExecutor:
    """The cluster's end of the controller."""

    def __init__(self, run: str, setup: Setup) -> None:
        self.workers = WorkerGroup(run, setup)
        self.pulse = Pulse(setup.config.failures.lease_s, self.workers.places)
        self.replies = Replies(self.workers, self.pulse)
        self.startup = Startup(self.workers, self.replies)
        self.calls = Calls(self.workers, self.replies)
        self.scoring = Scoring(self.workers)
        self.departures = Departures(self.workers, self.pulse)
        self._raised: RayganError | None = None
        """Met while others were done: told at the next call."""

    def start(self, players: Sequence[str], states: Mapping[str, bytes], epoch: int = 0) -> None:
        """All players at `states`, under `epoch`: in new actors, or in those that have survived an
        attempt. Raises PlayerDied, InfeasibleError.
        """
        workers = self.workers
        workers.suit(strategy_of(workers.config))
        if dead_head():
            # nothing of it can be asked any more, and asking would hang: the GCS is waited for
            # 60 s, and then Ray ends the driver (decision 40)
            workers.forget()
            start_again()
        else:
            leaving = self.departures.helpers_too()
            # players on machines that have given notice are made elsewhere, as the dead are
            workers.lost |= {name for name in leaving if name}
        self._raised = None
        self.pulse.begin()
        self.calls.clear()
        self.startup.all(players, states, epoch)
        # the evaluator's imports go on beside: its first score waits for them, nobody else
        self.scoring.begin(epoch)
        self.startup.open(players)
        workers.keep_spares()

    def submit(self, order: Order) -> None:
        """Send it; Ray keeps the order of calls to one actor. What pairs of one actor are to train
        goes together, at `wait`.
        """
        workers = self.workers
        match order:
            case Train():
                self.calls.train(order)
            case Evaluate():
                # steps that wait for their pack go first: the score is of after them
                self.calls.send_of(order.player)
                self.scoring.submit(order)
            case Save():
                self.calls.send_of(order.player)
                saved = workers.actors[order.player].save.remote(order.player)
                self.calls.add(order, saved)
            case Join():
                self.calls.add(order, self.startup.join(order))
            case Swap():
                self.calls.add(order, workers.helpers[MATCHMAKER].gather.remote(order))
            case Adopt():
                self.calls.add(order, workers.helpers[MATCHMAKER].deliver.remote(order.swap))

    def configure(self, config: Config, listeners: Sequence[str] = ()) -> None:
        """For actors that are made from now on; listeners answer while they train."""
        workers, members = self.workers, strategy_of(config).locals(config)
        workers.config = config
        for name in listeners:
            told = workers.actors[name].set_members.remote(name, members)
            self.replies.soon(told, name)

    def no_room(self, players: int) -> str | None:
        """Of GPUs; CPUs are shared more thinly."""
        return self.workers.room.lacks(players, self.workers.bundles.values())

    def remove(self, player: str) -> None:
        """Kill its actor, or let it leave where others live; nobody asks it for anything any more,
        what it owed is dropped. One that is gone with another of its home is forgotten only.
        """
        workers = self.workers
        if player in workers.actors:
            # its process is its neighbours', too: only what is dead or hung takes it down
            if workers.along(player) and player not in workers.lost:
                workers.actors.pop(player).leave.remote(player)
                workers.places.pop(player, None)
            else:
                workers.end_player(player)
        workers.lost.discard(player)
        self.scoring.drop(player)
        self.calls.drop(player)
        self.startup.register()

    def wait(self, timeout_s: float) -> list[Done]:
        """All orders done by now; waits for the first. Raises PlayerDied, or the error that an
        order met.
        """
        if self._raised is not None:
            error, self._raised = self._raised, None
            raise error
        # before Ray is asked for anything: a driver that waits for a dead GCS is ended with it
        look_at_head()
        self.calls.send()
        if not self.calls.pending and not self.scoring.pending:
            return []
        self.replies.look(self.calls.training)
        ready = self.calls.ready(self.scoring.references, timeout_s)
        try:
            # also where no score is awaited: a given-up one has no call that could wake the wait
            out = self.scoring.look()
        except RayError as error:
            # of the player whose generator the evaluator was reading: the evaluator is well. Where
            # a node is lost, Ray does not say whose object it was
            scores = self.scoring.scores
            player = scores[0].order.player if scores else next(iter(self.workers.actors))
            raise self.replies.died(error, player) from None
        for reference in ready:
            try:
                for item in self.calls.result(reference):
                    if isinstance(item.order, Join):
                        self.startup.joined(item.order.player)
                    elif isinstance(item.order, Train):
                        self.pulse.alive(item.order.player)
                    out.append(item)
            except RayganError as error:
                # what others have done is told first: in async the run goes on, and would wait for
                # it for ever
                if not out:
                    raise
                self._raised = error
                break
        return out

    def last_move(self) -> float:
        """By their beats, of those that were asked to train."""
        return self.pulse.last_move(self.calls.training)

    def mishaps(self) -> list[PlayerDied]:
        """What befell whom that is mended already, since the last call."""
        told = [*self.startup.mishaps, *self.scoring.mishaps]
        self.startup.mishaps.clear()
        self.scoring.mishaps.clear()
        return told

    def leaving(self) -> dict[str, str]:
        """Players whose node is drained, or whose process was told to end; the global pair also for
        deputies; "": this process.
        """
        return {} if dead_head() else self.departures.players()

    def close(self) -> None:
        """End all actors; orders that were under way are dropped."""
        # they are gone with their Ray, and there is nobody to ask
        if dead_head():
            self.workers.forget()
        self.workers.clear()
        self.calls.clear()

    def info(self) -> dict[str, Any]:
        """Where each player runs, as run.json keeps it."""
        placement = self.workers.room.placement
        return {
            "executor": "ray",
            "ray_address": ray.get_runtime_context().gcs_address,
            "cpus_per_player": placement.cpus,
            "gpus_per_player": placement.gpus,
            "players": self.replies.where(self.workers.actors),
        }
