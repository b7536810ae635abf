"""Carries orders out on a Ray cluster: one actor a player, one board, one evaluator, in one placement group."""

from __future__ import annotations

import logging
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
    RayTaskError,
)
from ray.util.placement_group import get_current_placement_group, placement_group, remove_placement_group
from ray.util.scheduling_strategies import PlacementGroupSchedulingStrategy

from raygan.actors.board import BoardActor
from raygan.actors.cluster import dead_head, start_again
from raygan.actors.deaths import Pulse, death_cause, death_kind, end_process
from raygan.actors.deputy import DeputyActor
from raygan.actors.evaluator import EvaluatorActor
from raygan.actors.matchmaker import MatchmakerActor
from raygan.actors.placement import BOARD_CPUS, Placement, place
from raygan.actors.player import player_class
from raygan.actors.process import helper_class
from raygan.config import Config
from raygan.controller.orders import Adopt, Done, Evaluate, Join, Order, Save
from raygan.errors import InfeasibleError, PlayerDied, RayganError
from raygan.gan.types import Report
from raygan.strategies.orders import Swap, Train
from raygan.strategies.roles import GLOBAL
from raygan.strategies.strategy import Setup, homes, strategy_of

log = logging.getLogger(__name__)
START_TIMEOUT_S = 180.0
HEAD_S = 0.5
"""Between two looks at Ray's own processes, at most: Ray ends the driver 2 s after the raylet."""
SETTLE_S = 10.0
"""Seconds (at least) that a survivor may take to end the round that it is in."""
BOARD = "board"
EVALUATOR = "evaluator"
MATCHMAKER = "matchmaker"


class RayExecutor:
    """The cluster's end of the controller; Ray is up already."""

    def __init__(self, run: str, setup: Setup) -> None:
        self.run = run
        self.config = setup.config
        self.data = setup.data
        self.epoch = 0
        self.actors: dict[str, Any] = {}
        """Each player's actor; players that live together have one."""
        self.helpers: dict[str, Any] = {}
        """The board, the evaluator, and the matchmaker where there are swaps."""
        self.deputies: list[str] = []
        """Helpers with bundles like players'."""
        self.swaps = False
        self.bundles: dict[Any, int | None] = {}
        """Bundle of the placement group, by actor; None: outside it (joiners)."""
        self.places: dict[str, tuple[str, int]] = {}
        """(node, process) of each player's actor and each helper: what to kill when it does not answer."""
        self.spares: list[Any] = []
        self.spared = 0
        """Spares made so far."""
        self.lost: set[str] = set()
        """Players and helpers that were found dead or hung since the last start."""
        self.pending: dict[Any, tuple[list[Order], float]] = {}
        """Several: pairs of one actor that train at once."""
        self.held: dict[Any, list[Train]] = {}
        """Orders for an actor of several pairs, until it is free for all of them."""
        self.group: Any = None
        self.first, self.owned = 0, False
        """The group's first bundle that is ours; is the group?"""
        self.pulse = Pulse(setup.config.failures.lease_s, self.places)
        self.raised: RayganError | None = None
        """Met while others were done: told at the next call."""
        self.shared: list[Any] = []
        """The data set's reference, in a list so that it travels unresolved."""
        self.placement: Placement  # made by `start`, which knows how many players there are

    # ------------------------------------------------------------------------------------------------- start, again

    def start(self, players: Sequence[str], states: Mapping[str, bytes], epoch: int = 0) -> None:
        """All players at `states`, under `epoch`: in new actors, or in those that have survived an attempt.

        A survivor drops what it was doing, builds its players anew and restores them, so that nothing of the old attempt is
        left in it; what it still sends under the old epoch is refused by its receivers. Raises PlayerDied, InfeasibleError.
        """
        found = {home[0]: home for home in homes(self.config, players)}
        strategy = strategy_of(self.config)
        self.swaps, self.deputies = strategy.swaps, [f"deputy-{i + 1}" for i in range(strategy.deputies)]
        self.epoch, self.raised, self.pulse = epoch, None, Pulse(self.config.failures.lease_s, self.places)
        self.pending.clear()
        self.held.clear()
        if dead_head():
            self._forget()
            start_again()
        if self.group is None:
            self._reserve(len(found) + len(self.deputies))
        apart = {p for home in found.values() if len({self.actors.get(p) for p in home}) > 1 for p in home}
        for player in [p for p in self.actors if p in self.lost or p not in players or p in apart]:
            if player in self.actors:  # else gone with another one of its home
                self._put_down(
                    player
                )  # the dead, the hung, who is no member any more, and joiners with an actor of their own
        for name in self.lost & set(self.helpers):
            self._end_helper(name)
        self.lost.clear()
        for actor in {id(a): a for a in self.actors.values()}.values():
            actor.fence.remote(epoch)
        self._settle(found, {n: [ray.put(states[n])] for n in players if n in states})
        for reference, name in [(self.actors[n].open.remote(n), n) for n in players]:
            self._get(reference, name, START_TIMEOUT_S)
        self._keep_spares()

    def _forget(self) -> None:
        """Everything that was on a Ray that is no more."""
        for kept in (self.actors, self.helpers, self.bundles, self.places, self.spares, self.lost):
            kept.clear()
        self.group, self.owned = None, False

    def _reserve(self, count: int) -> None:
        """The run's one placement group, and the data in the object store."""
        self.placement = place(count, self.config.resources, ray.cluster_resources(), rooms())
        self.shared = [ray.put(self.data)]
        if (given := get_current_placement_group()) is not None:  # a trial's: its first bundle is the driver's
            self.group, self.first = given, 1
            return
        self.group, self.owned = placement_group(self.placement.bundles, strategy=self.placement.strategy), True
        patience = self.config.resources.wait_s
        if not self.group.wait(min(10.0, patience)):
            free = ray.available_resources()
            log.warning(
                "waiting for room: %d actors need %g CPUs and %g GPUs each; %g CPUs and %g GPUs are free now",
                count, self.placement.cpus, self.placement.gpus, free.get("CPU", 0.0), free.get("GPU", 0.0),
            )  # fmt: skip
            if not self.group.wait(patience):
                raise InfeasibleError(
                    f"resources.wait_s = {patience:g}: no room for {count} actors ({self.placement.strategy}, "
                    f"{self.placement.cpus:g} CPUs and {self.placement.gpus:g} GPUs each) within that time. Free resources, "
                    "wait longer, or lower num_pairs."
                )

    def _settle(self, found: Mapping[str, list[str]], states: Mapping[str, list[Any]]) -> None:
        """Everybody stands at the beginning of this epoch; whoever does not answer is replaced, once."""
        for last in (False, True):
            asked = {}
            for name in self.deputies:  # the global pair begins them
                if name not in self.helpers:
                    self.helpers[name] = self._helper(name)
            for name in (*self._registrars(), EVALUATOR):
                fresh = name not in self.helpers
                if fresh:
                    self.helpers[name] = self._helper(name)
                begun = self.helpers[name].begin.remote(self.epoch)
                if name != EVALUATOR:  # nobody waits for its imports, or for a score that it is at
                    asked[begun] = name, fresh
                elif fresh:
                    self.pulse.starting(name, START_TIMEOUT_S)
            for name, home in found.items():
                fresh = name not in self.actors
                if fresh:
                    self.actors |= dict.fromkeys(home, self._player(home))
                mine = {n: states[n] for n in home if n in states}
                asked[self._begin(home, mine)] = name, fresh
            silent = self._silent(asked, last)
            if not silent:
                break
            for name in silent:
                if name in self.helpers:
                    self._end_helper(name)
                else:
                    self._put_down(name)
        handles = dict(self.actors)
        for name in self._registrars():
            self._get(self.helpers[name].register.remote(handles), name, START_TIMEOUT_S)
        there = self.actors | {n: self.helpers[n] for n in (*self._registrars(), *self.deputies)}
        self.places |= {n: (str(facts["node"]), int(facts["pid"])) for n, facts in self._where(there).items()}

    def _begin(self, home: list[str], states: Mapping[str, list[Any]]) -> Any:
        actor = self.actors[home[0]]
        deputies = {n: self.helpers[n] for n in self.deputies} if GLOBAL in home else {}
        return actor.begin.remote(self.epoch, home, self.config, states, self.helpers[BOARD], deputies)

    def _silent(self, asked: Mapping[Any, tuple[str, bool]], last: bool) -> list[str]:
        """Who is dead, or does not answer in time; a new process has longer. `last`: that is an error."""
        begun, out = time.monotonic(), list[str]()
        for reference, (name, fresh) in asked.items():
            patience = START_TIMEOUT_S if fresh or last else max(SETTLE_S, self.config.failures.lease_s)
            try:
                self._get(reference, name, max(0.1, begun + patience - time.monotonic()))
            except (PlayerDied, GetTimeoutError) as error:
                if last:
                    if isinstance(error, PlayerDied):
                        raise
                    raise PlayerDied(name, f"did not start within {patience:.0f} s", "hang") from None
                who = error.player if isinstance(error, PlayerDied) else name
                out.append(who if who in self.deputies else name)
        return out

    def _keep_spares(self) -> None:
        """Processes that have imported everything and host nobody yet: whoever dies is back in one in a second, not in four.

        None where players have GPUs: a process cannot be moved to another GPU.
        """
        while len(self.spares) < self.config.resources.spares and not self.placement.gpus:
            name, last = f"spare-{self.spared}", self.placement.players + 1
            self.spared += 1
            spare = self._actor(player_class(), name, last, 0).remote(self.run, name, self.shared)
            spare.rehearse.remote(self.config)
            self.spares.append(spare)

    def _end_helper(self, name: str) -> None:
        """End its process."""
        ray.kill(self.helpers.pop(name))
        if name in self.places:
            end_process(*self.places.pop(name))

    def _put_down(self, player: str) -> None:
        """End a player's process, also when it does not listen any more, so that its place is free."""
        actor = self.actors[player]
        home = [p for p, a in self.actors.items() if a is actor]
        ray.kill(actor)
        if player in self.places:
            end_process(*self.places[player])
        for name in home:
            del self.actors[name]
            self.places.pop(name, None)
        self.bundles.pop(actor, None)

    # ------------------------------------------------------------------------------------------------- actors

    def _player(self, home: list[str], joins: bool = False) -> Any:
        """An actor for players that live together: a spare, or a new one; in a free bundle (a joiner outside the group)."""
        free = [i for i in range(self.placement.players - len(self.deputies)) if i not in self.bundles.values()]
        bundle = None if joins or not free else free[0]
        readers = max(strategy_of(self.config).readers(self.config, p) for p in home)
        if self.spares and readers == 1:
            self.bundles[self.spares[0]] = bundle
            return self.spares.pop(0)
        cpus = self.placement.cpus
        if bundle is None and ray.available_resources().get("CPU", 0.0) < cpus:
            cpus = 0.0  # a full cluster is shared more thinly
        made = self._actor(player_class(readers), home[0], bundle, cpus, self.placement.gpus)
        label = home[0] + (f"..{home[-1]}" if len(home) > 1 else "")
        actor = made.remote(self.run, label, self.shared)
        self.bundles[actor] = bundle
        return actor

    def _helper(self, name: str) -> Any:
        last = self.placement.players + 1  # the bundle of those that hold no bytes
        if name == MATCHMAKER:
            return self._actor(helper_class(MatchmakerActor), name, last, 0).remote(self.run)
        if name == BOARD:
            return self._actor(helper_class(BoardActor), name, last, BOARD_CPUS).remote()
        if name in self.deputies:  # the last of the bundles that are as large as players'
            bundle = self.placement.players - 1 - self.deputies.index(name)
            made = self._actor(helper_class(DeputyActor), name, bundle, self.placement.cpus, self.placement.gpus)
            return made.remote(self.run, name, self.shared)
        made = self._actor(helper_class(EvaluatorActor), name, self.placement.players, self.placement.evaluator_cpus)
        return made.remote(self.run, self.config, self.shared)

    def _actor(self, cls: Any, name: str, bundle: int | None, cpus: float, gpus: float = 0.0) -> Any:
        options = {
            "name": self._free_name(name),
            "num_cpus": cpus,
            "num_gpus": gpus,
            "max_restarts": 0,
            "max_task_retries": 0,
        }
        if bundle is not None:
            options["scheduling_strategy"] = PlacementGroupSchedulingStrategy(
                placement_group=self.group, placement_group_bundle_index=self.first + bundle
            )
        return cls.options(**options)

    def _free_name(self, name: str) -> str:
        """The readable name; numbered where an actor of an earlier attempt, hung or cut off, still holds it."""
        stem = whole = f"raygan/{self.run}/{name}"
        number = 1
        while taken(whole):
            number += 1
            whole = f"{stem}@{number}"
        return whole

    def submit(self, order: Order) -> None:
        """Send it; Ray keeps the order of calls to one actor. What pairs of one actor are to train goes together, at `wait`."""
        if isinstance(order, Train):
            self.held.setdefault(actor := self.actors[order.player], []).append(order)
            if sum(a is actor for a in self.actors.values()) == 1:
                self._send(actor)
            return
        if isinstance(order, Save | Evaluate) and self.actors[order.player] in self.held:
            self._send(self.actors[order.player])
        if isinstance(order, Join):
            reference = self._join(order)
        elif isinstance(order, Swap):
            reference = self.helpers[MATCHMAKER].gather.remote(order)
        elif isinstance(order, Adopt):
            reference = self.helpers[MATCHMAKER].deliver.remote(order.swap)
        elif isinstance(order, Save):
            reference = self.actors[order.player].save.remote(order.player)
        else:
            assert isinstance(order, Evaluate), f"unknown order {order}"
            generator = [self.actors[order.player].generator.remote(order.player)]
            reference = self.helpers[EVALUATOR].evaluate.remote(order.player, order.step, generator, order.members)
        self.pending[reference] = [order], time.perf_counter()

    def _send_held(self) -> None:
        """To each actor that trains nobody now, all that it is to train."""
        busy = {
            self.actors.get(o.player) for orders, _ in self.pending.values() for o in orders if isinstance(o, Train)
        }
        for actor in [a for a in self.held if a not in busy]:
            self._send(actor)

    def _send(self, actor: Any) -> None:
        orders: list[Order] = [*self.held.pop(actor)]
        self.pending[actor.train.remote(orders)] = orders, time.perf_counter()

    def _join(self, order: Join) -> Any:
        """A joiner's actor, outside the placement group; a reference to its step, once it has opened."""
        actor = self._player([order.player], joins=True)
        states = {} if order.state is None else {order.player: [ray.put(order.state)]}
        self.actors[order.player] = actor
        self._begin([order.player], states)
        self._register()
        return actor.open.remote(order.player, order.step if order.state is None else None)

    def _joined(self, player: str) -> None:
        """It is up: note where it lives, and keep another spare ready."""
        facts: Any = self._get(self.actors[player].where.remote(player), player, START_TIMEOUT_S)
        self.places[player] = str(facts["node"]), int(facts["pid"])
        self._keep_spares()

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
        """Kill its actor, or let it leave where others live; nobody asks it for anything any more, what it owed is dropped."""
        actor = self.actors[player]
        if sum(a is actor for a in self.actors.values()) > 1 and player not in self.lost:
            actor.leave.remote(player)
            del self.actors[player], self.places[player]
        else:
            self._put_down(player)
        self.lost.discard(player)
        self.held = {a: kept for a, orders in self.held.items() if (kept := [o for o in orders if o.player != player])}
        gone = {
            r for r, (orders, _) in self.pending.items() if all(getattr(o, "player", None) == player for o in orders)
        }
        self.pending = {r: work for r, work in self.pending.items() if r not in gone}
        self._register()

    def set_members(self, judge: str, members: Sequence[str]) -> None:
        """Answered while the judge trains."""
        self._get(self.actors[judge].set_members.remote(judge, list(members)), judge, START_TIMEOUT_S)

    def wait(self, timeout_s: float) -> list[Done]:
        """All orders done by now; waits for the first. Raises PlayerDied, or the error that an order met."""
        if self.raised is not None:
            error, self.raised = self.raised, None
            raise error
        look_at_head()
        self._send_held()
        if not self.pending:
            return []
        busy = {o.player for orders, _ in self.pending.values() for o in orders if isinstance(o, Train)}
        everybody = self.actors | self.helpers
        try:
            hung = self.pulse.beat(everybody, busy)
        except RayActorError as error:
            raise self._died(error, next(iter(everybody))) from None
        if hung:
            self.lost.add(hung)
            raise PlayerDied(hung, f"no progress within {self.pulse.lease_s:g} s (failures.lease_s)", "hang")
        ready, _ = ray.wait(list(self.pending), num_returns=1, timeout=timeout_s)
        if ready and len(self.pending) > 1:
            ready, _ = ray.wait(list(self.pending), num_returns=len(self.pending), timeout=0)
        out: list[Done] = []
        for reference in ready:
            orders, began = self.pending.pop(reference)
            try:
                result = self._get(reference, carrier(orders[0]), START_TIMEOUT_S)
            except RayganError as error:
                if not out:
                    raise
                self.raised = error
                return out
            seconds = time.perf_counter() - began
            for order, one in zip(orders, result if isinstance(orders[0], Train) else [result], strict=True):
                if isinstance(order, Train):
                    if order.player not in self.actors:
                        continue  # has left meanwhile
                    self.pulse.alive(order.player)
                elif isinstance(order, Join):
                    self._joined(order.player)
                out.append(Done(order, one, seconds))
        return out

    def _get(self, reference: Any, name: str, timeout_s: float) -> Report | bytes | Any:
        deadline = time.monotonic() + timeout_s
        try:
            while True:
                try:
                    return ray.get(reference, timeout=min(HEAD_S, max(0.0, deadline - time.monotonic())))
                except GetTimeoutError as error:
                    of_the_task = isinstance(error, RayTaskError)
                    if of_the_task or time.monotonic() >= deadline:
                        raise
                    look_at_head()
        except RayTaskError as error:
            cause = error.cause
            if isinstance(cause, PlayerDied):  # a deputy that does not answer
                self.lost.add(cause.player)
            if isinstance(cause, RayganError):
                raise cause from None
            if isinstance(cause, RayActorError):  # an actor that this one was reading from
                raise self._died(cause, name) from None
            raise
        except (ActorDiedError, ActorUnavailableError, OutOfMemoryError) as error:
            raise self._died(error, name) from None

    def _died(self, error: Exception, name: str) -> PlayerDied:
        """Who it was; `name` where Ray does not tell."""
        look_at_head()
        actor_id = getattr(error, "actor_id", None)
        known = self.actors | self.helpers
        who = next((n for n, a in known.items() if a._actor_id.hex() == actor_id), name)
        self.lost.add(who)
        return PlayerDied(who, death_cause(error), death_kind(error))

    def ages(self) -> dict[str, float]:
        """Seconds since each player's last answer."""
        return {n: age for n, age in self.pulse.ages().items() if n in self.actors}

    def close(self) -> None:
        """Kill the actors by handle and give the placement group back."""
        if dead_head():  # they are gone, and there is nobody to ask
            self._forget()
        for player in list(self.actors):
            if player in self.lost:
                self._put_down(player)
        for actor in [*dict.fromkeys(self.actors.values()), *self.helpers.values(), *self.spares]:
            ray.kill(actor)
        if self.owned:
            remove_placement_group(self.group)
        self._forget()
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


def rooms() -> list[dict[str, float]]:
    """Resources of each node that is alive."""
    return [node["Resources"] for node in ray.nodes() if node["Alive"]]


def taken(name: str) -> bool:
    """Is there an actor of this name?"""
    try:
        ray.get_actor(name)
    except ValueError:
        return False
    return True


def carrier(order: Order) -> str:
    """Whose call carries the order out."""
    if isinstance(order, Swap | Adopt):
        return MATCHMAKER
    if isinstance(order, Join):
        return order.player
    return EVALUATOR if isinstance(order, Evaluate) else order.player
