"""Carries orders out on a Ray cluster: one actor a player, one board, one evaluator, in one
placement group.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

import ray
from ray.exceptions import (
    ActorDiedError,
    ActorUnavailableError,
    GetTimeoutError,
    OutOfMemoryError,
    RayActorError,
    RayError,
    RayTaskError,
)

from raygan.actors.cluster import dead_head, start_again
from raygan.actors.draining import draining, here
from raygan.actors.liveness import Pulse, death_cause, death_kind, lost_node
from raygan.actors.scoring import Scoring
from raygan.actors.worker_group import BOARD, EVALUATOR, MATCHMAKER, WorkerGroup
from raygan.config import Config
from raygan.controller.orders import Adopt, Done, Evaluate, Join, Order, Save
from raygan.errors import PlayerDied, RayganError
from raygan.gan.device import death_of
from raygan.gan.types import Report
from raygan.strategies.base import Setup, homes, strategy_of
from raygan.strategies.orders import Swap, Train

START_TIMEOUT_S = 180.0
HEAD_S = 0.5
"""Between two looks at Ray's own processes, at most: Ray ends the driver 2 s after the raylet."""
SETTLE_S = 10.0
"""Seconds (at least) that a survivor may take to end the round that it is in."""


class RayExecutor(WorkerGroup):
    """The cluster's end of the controller."""

    def __init__(self, run: str, setup: Setup) -> None:
        super().__init__(run, setup)
        self.epoch = 0
        self.swaps = False
        self.pending: dict[Any, tuple[list[Order], float]] = {}
        """Several: pairs of one actor that train at once."""
        self.held: dict[Any, list[Train]] = {}
        """Orders for an actor of several pairs, until it is free for all of them."""
        self.pulse = Pulse(setup.config.failures.lease_s, self.places)
        self.scoring = Scoring(self)
        self._notices: dict[str, str] = {}
        self._looked = 0.0
        self.raised: RayganError | None = None
        """Met while others were done: told at the next call."""

    # -------------------------------------------------------------------------------------------------
    # start, again

    def start(self, players: Sequence[str], states: Mapping[str, bytes], epoch: int = 0) -> None:
        """All players at `states`, under `epoch`: in new actors, or in those that have survived an
        attempt.

        A survivor drops what it was doing, builds its players anew and restores them, so that
        nothing of the old attempt is left in it; what it still sends under the old epoch is refused
        by its receivers. Raises PlayerDied, InfeasibleError.
        """
        found = {home[0]: home for home in homes(self.config, players)}
        strategy = strategy_of(self.config)
        self.deputised = strategy.deputised
        self.swaps, self.deputies = (
            strategy.swaps,
            [f"deputy-{i + 1}" for i in range(strategy.deputies)],
        )
        self.lost |= {n for n in self.leaving(now=True) if n}  # to be made elsewhere
        self.epoch, self.raised, self.pulse = (
            epoch,
            None,
            Pulse(self.config.failures.lease_s, self.places),
        )
        self.pending.clear()
        self.held.clear()
        if dead_head():
            self.forget()
            start_again()
        if self.group is None:
            self.reserve(len(found) + len(self.deputies))
        apart = {
            p
            for home in found.values()
            if len({self.actors.get(p) for p in home}) > 1
            for p in home
        }
        for player in [p for p in self.actors if p in self.lost or p not in players or p in apart]:
            # the dead, the hung, who is no member any more, and joiners with an actor of their own
            if player in self.actors:  # else gone with another one of its home
                self.put_down(player)
        for name in self.lost & set(self.helpers):
            self.end_helper(name)
        self.lost.clear()
        for actor in {id(a): a for a in self.actors.values()}.values():
            actor.fence.remote(epoch)
        self._settle(found, {n: [ray.put(states[n])] for n in players if n in states})
        self.scoring.begin(epoch)
        for reference, name in [(self.actors[n].open.remote(n), n) for n in players]:
            self._get(reference, name, START_TIMEOUT_S)
        self.keep_spares()

    def _settle(self, found: Mapping[str, list[str]], states: Mapping[str, list[Any]]) -> None:
        """Everybody stands at the beginning of this epoch; whoever does not answer is replaced,
        once.
        """
        for last in (False, True):
            asked = {}
            for name in self.deputies:  # the global pair begins them
                if name not in self.helpers:
                    self.helpers[name] = self.make_helper(name)
            for name in self._registrars():
                fresh = name not in self.helpers
                if fresh:
                    self.helpers[name] = self.make_helper(name)
                asked[self.helpers[name].begin.remote(self.epoch)] = name, fresh
            for name, home in found.items():
                fresh = name not in self.actors
                if fresh:
                    self.actors |= dict.fromkeys(home, self.make_player(home))
                mine = {n: states[n] for n in home if n in states}
                asked[self._begin(home, mine)] = name, fresh
            silent = self._silent(asked, last)
            if not silent:
                break
            for name in silent:
                cause = "did not answer when the run started again"
                self.scoring.mishaps.append(self._hung(name, cause))
                if name in self.helpers:
                    self.end_helper(name)
                else:
                    self.put_down(name)
        handles = dict(self.actors)
        for name in self._registrars():
            self._get(self.helpers[name].register.remote(handles), name, START_TIMEOUT_S)
        there = self.actors | {n: self.helpers[n] for n in (*self._registrars(), *self.deputies)}
        self.places |= {
            n: (str(facts["node"]), int(facts["pid"])) for n, facts in self._where(there).items()
        }

    def _begin(self, home: list[str], states: Mapping[str, list[Any]]) -> Any:
        actor = self.actors[home[0]]
        deputies = {n: self.helpers[n] for n in self.deputies} if self.deputised in home else {}
        return actor.begin.remote(
            self.epoch, home, self.config, states, self.helpers[BOARD], deputies
        )

    def _silent(self, asked: Mapping[Any, tuple[str, bool]], last: bool) -> list[str]:
        """Who is dead, or does not answer in time; a new process has longer. `last`: that is an
        error.
        """
        begun, out = time.monotonic(), list[str]()
        for reference, (name, fresh) in asked.items():
            patience = (
                START_TIMEOUT_S if fresh or last else max(SETTLE_S, self.config.failures.lease_s)
            )
            try:
                self._get(reference, name, max(0.1, begun + patience - time.monotonic()))
            except (PlayerDied, GetTimeoutError) as error:
                if last:
                    if isinstance(error, PlayerDied):
                        raise
                    raise self._hung(name, f"did not start within {patience:.0f} s") from None
                who = error.player if isinstance(error, PlayerDied) else name
                out.append(who if who in self.deputies else name)
        return out

    def submit(self, order: Order) -> None:
        """Send it; Ray keeps the order of calls to one actor. What pairs of one actor are to train
        goes together, at `wait`.
        """
        if isinstance(order, Train):
            self.held.setdefault(actor := self.actors[order.player], []).append(order)
            if not self.along(order.player):
                self._send(actor)
            return
        if isinstance(order, Save | Evaluate) and self.actors[order.player] in self.held:
            self._send(self.actors[order.player])
        if isinstance(order, Evaluate):
            self.scoring.submit(order)
            return
        if isinstance(order, Join):
            reference = self._join(order)
        elif isinstance(order, Swap):
            reference = self.helpers[MATCHMAKER].gather.remote(order)
        elif isinstance(order, Adopt):
            reference = self.helpers[MATCHMAKER].deliver.remote(order.swap)
        else:
            assert isinstance(order, Save), f"unknown order {order}"
            reference = self.actors[order.player].save.remote(order.player)
        self.pending[reference] = [order], time.perf_counter()

    def _send_held(self) -> None:
        """To each actor that trains nobody now, all that it is to train."""
        busy = {
            self.actors.get(o.player)
            for orders, _ in self.pending.values()
            for o in orders
            if isinstance(o, Train)
        }
        for actor in [a for a in self.held if a not in busy]:
            self._send(actor)

    def _send(self, actor: Any) -> None:
        orders: list[Order] = [*self.held.pop(actor)]
        self.pending[actor.train.remote(orders)] = orders, time.perf_counter()

    def _join(self, order: Join) -> Any:
        """A joiner's actor, outside the placement group, or that of those who come back with it; a
        reference to its step, once it has opened.
        """
        name = order.player
        states = {} if order.state is None else {name: [ray.put(order.state)]}
        beside = [self.actors[p] for p in order.home if p in self.actors]
        actor = beside[0] if beside else self.make_player([*order.home] or [name], joins=True)
        self.actors[name] = actor
        if beside:
            actor.enter.remote([name], self.config, states)
        else:
            self._begin([name], states)
        self._register()
        return actor.open.remote(order.player, order.step if order.state is None else None)

    def _joined(self, player: str) -> None:
        """It is up: note where it lives, and keep another spare ready."""
        facts: Any = self._get(self.actors[player].where.remote(player), player, START_TIMEOUT_S)
        self.places[player] = str(facts["node"]), int(facts["pid"])
        self.keep_spares()

    def _registrars(self) -> list[str]:
        """Who has to know the players' handles."""
        return [BOARD, MATCHMAKER] if self.swaps else [BOARD]

    def _register(self) -> None:
        """Tell who is there now."""
        for name in self._registrars():
            self.helpers[name].register.remote(dict(self.actors))

    def configure(self, config: Config) -> None:
        """For actors that are made from now on."""
        self.config = config

    def remove(self, player: str) -> None:
        """Kill its actor, or let it leave where others live; nobody asks it for anything any more,
        what it owed is dropped. One that is gone with another of its home is forgotten only.
        """
        if player in self.actors:
            if self.along(player) and player not in self.lost:
                self.actors.pop(player).leave.remote(player)
                self.places.pop(player, None)
            else:
                self.put_down(player)
        self.lost.discard(player)
        self.scoring.drop(player)
        self.held = {
            a: kept
            for a, orders in self.held.items()
            if (kept := [o for o in orders if o.player != player])
        }
        gone = {
            r
            for r, (orders, _) in self.pending.items()
            if all(getattr(o, "player", BOARD) not in {*self.actors, BOARD} for o in orders)
        }
        self.pending = {r: work for r, work in self.pending.items() if r not in gone}
        self._register()

    def set_members(self, judge: str, members: Sequence[str]) -> None:
        """Answered while the judge trains."""
        self._get(
            self.actors[judge].set_members.remote(judge, list(members)), judge, START_TIMEOUT_S
        )

    def wait(self, timeout_s: float) -> list[Done]:
        """All orders done by now; waits for the first. Raises PlayerDied, or the error that an
        order met.
        """
        if self.raised is not None:
            error, self.raised = self.raised, None
            raise error
        look_at_head()
        self._send_held()
        if not self.pending and not self.scoring.pending:
            return []
        busy = {
            o.player for orders, _ in self.pending.values() for o in orders if isinstance(o, Train)
        }
        everybody = self.actors | {n: a for n, a in self.helpers.items() if n != EVALUATOR}
        try:
            hung = self.pulse.beat(everybody, busy)
        except RayActorError as error:
            raise self._died(error, next(iter(everybody))) from None
        if hung:
            self.lost.add(hung)
            raise self._hung(
                hung, f"no progress within {self.pulse.lease_s:g} s (failures.lease_s)"
            )
        awaited = [*self.pending, *self.scoring.references]
        ready, _ = ray.wait(awaited, num_returns=1, timeout=timeout_s) if awaited else ([], [])
        if ready and len(self.pending) > 1:
            ready, _ = ray.wait(list(self.pending), num_returns=len(self.pending), timeout=0)
        try:
            out = self.scoring.look()
        except RayError as error:
            raise self._died(error, next(iter(self.actors))) from None
        for reference in [r for r in ready if r in self.pending]:
            orders, began = self.pending.pop(reference)
            try:
                result = self._get(reference, carrier(orders[0]), START_TIMEOUT_S)
            except RayganError as error:
                if not out:
                    raise
                self.raised = error
                return out
            seconds = time.perf_counter() - began
            for order, (one, as_it_went) in zip(
                orders, result if isinstance(orders[0], Train) else [(result, None)], strict=True
            ):
                if isinstance(order, Train):
                    if order.player not in self.actors:
                        continue  # has left meanwhile
                    self.pulse.alive(order.player)
                elif isinstance(order, Join):
                    self._joined(order.player)
                out.append(Done(order, one, seconds, as_it_went))
        return out

    def _get(self, reference: Any, name: str, timeout_s: float) -> Report | bytes | Any:
        deadline = time.monotonic() + timeout_s
        try:
            while True:
                try:
                    return ray.get(
                        reference, timeout=min(HEAD_S, max(0.0, deadline - time.monotonic()))
                    )
                except GetTimeoutError as error:
                    of_the_task = isinstance(error, RayTaskError)
                    if of_the_task or time.monotonic() >= deadline:
                        raise
                    look_at_head()
        except RayTaskError as error:
            cause = error.cause
            if isinstance(cause, PlayerDied):  # a deputy that does not answer
                self.lost.add(cause.player)
                cause = self._hung(cause.player, cause.cause)
            if (end := death_of(cause)) is not None:  # its process lives, its device is lost to it
                self.lost.add(name)
                kind, why = end
                raise PlayerDied(name, why, kind, self.along(name)) from None
            if isinstance(cause, RayganError):
                raise cause from None
            if isinstance(cause, RayActorError):  # an actor that this one was reading from
                raise self._died(cause, name) from None
            raise
        except (ActorDiedError, ActorUnavailableError, OutOfMemoryError) as error:
            raise self._died(error, name) from None

    def _died(self, error: Exception, name: str) -> PlayerDied:
        """Who it was (`name` where Ray does not tell); all that lived on a lost node are lost with
        it.
        """
        look_at_head()
        actor_id = getattr(error, "actor_id", None)
        known = self.actors | self.helpers
        who = next((n for n, a in known.items() if a._actor_id.hex() == actor_id), name)
        gone = lost_node(error)
        if along := [n for n, (node, _) in self.places.items() if node == gone]:
            who = who if who in along else along[0]
        self.lost |= {who, *along}
        return PlayerDied(who, death_cause(error), death_kind(error), self.along(who))

    def _hung(self, name: str, cause: str) -> PlayerDied:
        """Somebody that does not answer, with where it is; its process is ended by whoever starts
        again.
        """
        death = PlayerDied(name, cause, "hang", self.along(name))
        death.stack = self.pulse.stack(name)
        return death

    def mishaps(self) -> list[PlayerDied]:
        """What befell whom that is mended already, since the last call."""
        told, self.scoring.mishaps = self.scoring.mishaps, []
        return told

    def leaving(self, now: bool = False) -> dict[str, str]:
        """Players whose node is drained, or whose process was told to end; the global pair also for
        deputies; "": this process.
        """
        if dead_head():
            return {}  # all of them begin anew on another Ray
        if now or time.monotonic() - self._looked >= HEAD_S:
            self._looked = time.monotonic()
            away = draining()
            told = {
                n: f"node {node[:12]} is being drained"
                for n, (node, _) in self.places.items()
                if node in away
            }
            told |= {
                n: "its process got SIGTERM"
                for n, a in self.pulse.noticed.items()
                if self.actors.get(n) is a
            }
            for name in [n for n in told if n in self.deputies]:
                told.setdefault(str(self.deputised), told[name])
            self._notices = told | (
                {"": f"node {here()[:12]} is being drained"} if here() in away else {}
            )
        players = {n: why for n, why in self._notices.items() if n in self.actors or not n}
        return self._notices if now else players

    def ages(self) -> dict[str, float]:
        """Seconds since each player's last answer."""
        return {n: age for n, age in self.pulse.ages().items() if n in self.actors}

    def close(self) -> None:
        """End all actors; orders that were under way are dropped."""
        if dead_head():  # they are gone, and there is nobody to ask
            self.forget()
        self.clear()
        self.pending.clear()
        self.held.clear()

    def _where(self, actors: Mapping[str, Any]) -> dict[str, Any]:
        asked = {n: a.where.remote(n) for n, a in actors.items()}
        return {n: self._get(reference, n, START_TIMEOUT_S) for n, reference in asked.items()}

    def info(self) -> dict[str, Any]:
        """Where each player runs."""
        return {
            "executor": "ray",
            "ray_address": ray.get_runtime_context().gcs_address,
            "cpus_per_player": self.placement.cpus,
            "gpus_per_player": self.placement.gpus,
            "players": self._where(self.actors),
        }


def look_at_head() -> None:
    """Raises PlayerDied where a process of Ray's own is dead."""
    if dead := dead_head():
        raise PlayerDied("ray", f"its {dead} process is gone", "head")


def carrier(order: Order) -> str:
    """Whose call carries the order out."""
    if isinstance(order, Swap | Adopt):
        return MATCHMAKER
    if isinstance(order, Join):
        return order.player
    assert not isinstance(order, Evaluate), "scores are the evaluator's business (scoring.py)"
    return order.player
