"""Carries orders out on a Ray cluster: one actor a player, one board, one evaluator, in one placement group."""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import ray
from ray.exceptions import (
    ActorDiedError,
    ActorUnavailableError,
    OutOfMemoryError,
    RayActorError,
    RayTaskError,
)
from ray.util.placement_group import placement_group, remove_placement_group
from ray.util.scheduling_strategies import PlacementGroupSchedulingStrategy

from raygan.actors.board import BoardActor
from raygan.actors.evaluator import EvaluatorActor
from raygan.actors.matchmaker import MatchmakerActor
from raygan.actors.placement import BOARD_CPUS, Placement, place
from raygan.actors.player import PlayerActor
from raygan.config import Config
from raygan.controller.orders import Adopt, Done, Evaluate, Join, Order, Save
from raygan.errors import InfeasibleError, PlayerDied, RayganError
from raygan.gan.types import Report
from raygan.strategies.strategy import Setup, Swap, Train, strategy_of

START_TIMEOUT_S = 180.0
EVALUATOR = "evaluator"
MATCHMAKER = "matchmaker"


class RayExecutor:
    """The cluster's end of the controller; Ray is up already."""

    def __init__(self, run: str, setup: Setup) -> None:
        self.run = run
        self.config = setup.config
        self.data = setup.data
        self.actors: dict[str, Any] = {}
        self.pending: dict[Any, tuple[Order, float]] = {}
        self.group: Any = None
        self.board: Any = None
        self.matchmaker: Any = None
        self.evaluator: Any = None
        self.pulse = Pulse(setup.config.failures.lease_s)
        self.raised: RayganError | None = None
        """Met while others were done: told at the next call."""
        self.shared: list[Any] = []
        """The data set's reference, in a list so that it travels unresolved."""
        self.placement: Placement  # made by `start`, which knows how many players there are

    def start(self, players: Sequence[str], states: Mapping[str, bytes]) -> None:
        """Reserve the placement group, make the actors, restore their states."""
        homes = households(players, strategy_of(self.config).together(self.config))
        self.placement = place(len(homes), self.config.resources, ray.cluster_resources())
        self.group = placement_group(self.placement.bundles, strategy=self.placement.strategy)
        if not self.group.wait(START_TIMEOUT_S):
            raise InfeasibleError(
                f"the cluster had no room for {len(homes)} players ({self.placement.strategy}, {self.placement.cpus:g} "
                f"CPUs and {self.placement.gpus:g} GPUs each) within {START_TIMEOUT_S:.0f} s. Free resources, or lower "
                "num_pairs."
            )
        data = self.shared = [ray.put(self.data)]
        last = len(homes) + 1  # the bundle of those that hold no bytes
        self.matchmaker = self._actor(MatchmakerActor, MATCHMAKER, last, 0).remote(self.run)
        self.board = self._actor(BoardActor, "board", last, BOARD_CPUS).remote()
        for i, names in enumerate(homes):
            made = self._actor(PlayerActor, names[0], i, self.placement.cpus, self.placement.gpus, {"ctl": 1})
            actor = made.remote(self.run, names, self.config, data, self.board)
            self.actors |= dict.fromkeys(names, actor)
        self.evaluator = self._actor(EvaluatorActor, EVALUATOR, len(homes), self.placement.evaluator_cpus).remote(
            self.run, self.config, data
        )
        waiting = {a.where.remote(n): n for n, a in self.actors.items()}
        waiting[self.board.register.remote(self.actors)] = "board"
        waiting[self.matchmaker.register.remote(self.actors)] = MATCHMAKER
        waiting |= {self.actors[n].restore.remote(n, [ray.put(states[n])]): n for n in players if n in states}
        for reference, name in waiting.items():
            self._get(reference, name, START_TIMEOUT_S)
        for reference, name in [(a.open.remote(n), n) for n, a in self.actors.items()]:
            self._get(reference, name, START_TIMEOUT_S)

    def _actor(self, cls: type, name: str, bundle: int, cpus: float, gpus: float = 0.0, groups: Any = None) -> Any:
        wrap: Any = ray.remote(concurrency_groups=groups) if groups else ray.remote  # type: ignore[call-overload]
        remote = wrap(cls)
        return remote.options(
            name=self._free_name(name),
            num_cpus=cpus,
            num_gpus=gpus,
            max_restarts=0,
            max_task_retries=0,
            scheduling_strategy=PlacementGroupSchedulingStrategy(
                placement_group=self.group, placement_group_bundle_index=bundle
            ),
        )

    def _free_name(self, name: str) -> str:
        """The readable name; numbered where an actor of an earlier attempt, hung or cut off, still holds it."""
        stem = whole = f"raygan/{self.run}/{name}"
        number = 1
        while taken(whole):
            number += 1
            whole = f"{stem}@{number}"
        return whole

    def submit(self, order: Order) -> None:
        """Send it; Ray keeps the order of calls to one actor."""
        if isinstance(order, Join):
            reference = self._join(order)
        elif isinstance(order, Swap):
            reference = self.matchmaker.gather.remote(order)
        elif isinstance(order, Adopt):
            reference = self.matchmaker.deliver.remote(order.swap)
        elif isinstance(order, Train):
            reference = self.actors[order.player].train.remote(order)
        elif isinstance(order, Save):
            reference = self.actors[order.player].save.remote(order.player)
        else:
            assert isinstance(order, Evaluate), f"unknown order {order}"
            generator = [self.actors[order.player].generator.remote(order.player)]
            reference = self.evaluator.evaluate.remote(order.player, order.step, generator, order.members)
        self.pending[reference] = order, time.perf_counter()

    def _join(self, order: Join) -> Any:
        """A joiner's actor, outside the placement group; a reference to its step, once it has opened."""
        free = ray.available_resources().get("CPU", 0.0)
        cpus = self.placement.cpus if free >= self.placement.cpus else 0.0  # a full cluster is shared more thinly
        wrap: Any = ray.remote(concurrency_groups={"ctl": 1})  # type: ignore[call-overload]
        remote = wrap(PlayerActor).options(
            name=self._free_name(order.player), num_cpus=cpus, num_gpus=self.placement.gpus, max_restarts=0,
            max_task_retries=0,
        )  # fmt: skip
        actor = remote.remote(self.run, [order.player], self.config, self.shared, self.board)
        if order.state is not None:
            actor.restore.remote(order.player, [ray.put(order.state)])
        self.actors[order.player] = actor
        self.board.register.remote(dict(self.actors))
        self.matchmaker.register.remote(dict(self.actors))
        return actor.open.remote(order.player, order.step if order.state is None else None)

    def configure(self, config: Config) -> None:
        """For actors that are made from now on."""
        self.config = config

    def remove(self, player: str) -> None:
        """Kill its actor; nobody asks it for anything any more, and what it still owed is dropped."""
        ray.kill(self.actors.pop(player))
        self.pending = {r: (o, t) for r, (o, t) in self.pending.items() if getattr(o, "player", None) != player}
        self.board.register.remote(dict(self.actors))
        self.matchmaker.register.remote(dict(self.actors))

    def set_members(self, judge: str, members: Sequence[str]) -> None:
        """Answered while the judge trains."""
        self._get(self.actors[judge].set_members.remote(judge, list(members)), judge, START_TIMEOUT_S)

    def wait(self, timeout_s: float) -> list[Done]:
        """All orders done by now; waits for the first. Raises PlayerDied, or the error that an order met."""
        if self.raised is not None:
            error, self.raised = self.raised, None
            raise error
        if not self.pending:
            return []
        busy = {o.player for o, _ in self.pending.values() if isinstance(o, Train)}
        if hung := self.pulse.beat(self.actors, busy):
            raise PlayerDied(hung, f"no progress within {self.pulse.lease_s:g} s (failures.lease_s)", "hang")
        ready, _ = ray.wait(list(self.pending), num_returns=1, timeout=timeout_s)
        if ready and len(self.pending) > 1:
            ready, _ = ray.wait(list(self.pending), num_returns=len(self.pending), timeout=0)
        out: list[Done] = []
        for reference in ready:
            order, began = self.pending.pop(reference)
            try:
                result = self._get(reference, carrier(order), START_TIMEOUT_S)
            except RayganError as error:
                if not out:
                    raise
                self.raised = error
                return out
            if isinstance(order, Train):
                self.pulse.alive(order.player)
            out.append(Done(order, result, time.perf_counter() - began))
        return out

    def _get(self, reference: Any, name: str, timeout_s: float) -> Report | bytes | Any:
        try:
            return ray.get(reference, timeout=timeout_s)
        except RayTaskError as error:
            cause = error.cause
            if isinstance(cause, RayganError):
                raise cause from None
            if isinstance(cause, RayActorError):  # an actor that this one was reading from
                raise PlayerDied(self._whose(cause, name), death_cause(cause), death_kind(cause)) from None
            raise
        except (ActorDiedError, ActorUnavailableError, OutOfMemoryError) as error:
            raise PlayerDied(self._whose(error, name), death_cause(error), death_kind(error)) from None

    def _whose(self, error: Exception, name: str) -> str:
        """The player that died; `name` where Ray does not tell."""
        actor_id = getattr(error, "actor_id", None)
        return next((n for n, a in self.actors.items() if a._actor_id.hex() == actor_id), name)

    def close(self) -> None:
        """Kill the actors by handle and give the placement group back."""
        for actor in [*dict.fromkeys(self.actors.values()), self.evaluator, self.matchmaker, self.board]:
            if actor is not None:
                ray.kill(actor)
        self.actors.clear()
        self.pending.clear()
        if self.group is not None:
            remove_placement_group(self.group)
            self.group = None

    def info(self) -> dict[str, Any]:
        """Where each player runs."""
        where = {n: self._get(a.where.remote(n), n, START_TIMEOUT_S) for n, a in self.actors.items()}
        return {
            "executor": "ray",
            "ray_address": ray.get_runtime_context().gcs_address,
            "cpus_per_player": self.placement.cpus,
            "gpus_per_player": self.placement.gpus,
            "players": where,
        }


class Pulse:
    """Asks every player once a second how far it is; a player that does not answer, or is busy and gets nowhere, is hung."""

    def __init__(self, lease_s: float) -> None:
        self.lease_s = lease_s
        self._asked: dict[str, Any] = {}
        self._beats: dict[str, int] = {}
        self._answered: dict[str, float] = {}
        self._moved: dict[str, float] = {}
        self._at = 0.0

    def alive(self, player: str) -> None:
        """It has just reported."""
        self._moved[player] = self._answered[player] = time.monotonic()

    def beat(self, actors: Mapping[str, Any], busy: Collection[str]) -> str | None:
        """Ask and look; the player that is hung, if any: one that is silent before one that waits for it."""
        now = time.monotonic()
        if now - self._at < 1.0:
            return None
        self._at = now
        for record in (self._asked, self._beats, self._answered, self._moved):
            for gone in [p for p in record if p not in actors]:
                del record[gone]
        for player, actor in actors.items():
            self._answered.setdefault(player, now)
            if player not in busy:
                self._moved[player] = now
            if player in self._asked and ray.wait([self._asked[player]], timeout=0)[0]:
                try:
                    beats = int(ray.get(self._asked.pop(player))["beats"])
                except RayActorError:
                    continue  # what it owes will tell
                self._answered[player] = now
                if beats != self._beats.get(player):
                    self._beats[player], self._moved[player] = beats, now
            if player not in self._asked:
                self._asked[player] = actor.where.remote(player)
        silent = [p for p in actors if now - self._answered[p] > self.lease_s]
        stuck = [p for p in actors if p in busy and now - self._moved.setdefault(p, now) > self.lease_s]
        return next(iter([*silent, *stuck]), None)


def taken(name: str) -> bool:
    """Is there an actor of this name?"""
    try:
        ray.get_actor(name)
    except ValueError:
        return False
    return True


def death_kind(error: Exception) -> str:
    """oom, node, preempted, or plain death."""
    text = str(error)
    if isinstance(error, OutOfMemoryError) or "NODE_OUT_OF_MEMORY" in text or "running low on memory" in text:
        return "oom"  # a plain death's text also speaks of out-of-memory killers, as of something that might have been
    if getattr(error, "preempted", False):
        return "preempted"
    return "node" if "node" in text.lower() and "dead" in text.lower() and "marked dead" in text else "death"


def households(players: Sequence[str], together: Sequence[Sequence[str]]) -> list[list[str]]:
    """Who lives with whom: one actor each, but for those that must live together.

    >>> households(["a", "b", "c"], [["a", "b"]])
    [['a', 'b'], ['c']]
    """
    home = {p: list(group) for group in together for p in group}
    return list({tuple(home.get(p, [p])): home.get(p, [p]) for p in players}.values())


def carrier(order: Order) -> str:
    """Whose call carries the order out."""
    if isinstance(order, Swap | Adopt):
        return MATCHMAKER
    if isinstance(order, Join):
        return order.player
    return EVALUATOR if isinstance(order, Evaluate) else order.player


def death_cause(error: Exception) -> str:
    """Ray's account of a death, in one line; an out-of-memory kill by its name."""
    text = " ".join(str(error).split())
    if death_kind(error) == "oom":
        return "killed by the node: out of memory; lower num_pairs or network widths"
    for mark in ("Worker exit detail:", "cause:", "because"):
        if mark in text:
            return text.partition(mark)[2].strip()[:160].rstrip(".")
    return text[:160].rstrip(".")
