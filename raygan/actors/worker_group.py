"""Who of a run lives where: its placement group, its actors and their processes, and the spares.

A bundle for each home (a player, or several that live together) and each deputy, and one for the
evaluator. The board and the matchmaker hold no bytes and live beside the controller: there they are
lost with no other node.
"""

from __future__ import annotations

import logging
import time
from collections import Counter
from typing import Any

import ray
from ray.exceptions import GetTimeoutError, RayActorError
from ray.util.placement_group import (
    get_current_placement_group,
    placement_group,
    placement_group_table,
    remove_placement_group,
)
from ray.util.scheduling_strategies import (
    NodeAffinitySchedulingStrategy,
    PlacementGroupSchedulingStrategy,
)

from raygan.actors.board import BoardActor
from raygan.actors.draining import draining, here, room
from raygan.actors.evaluator import EvaluatorActor
from raygan.actors.liveness import end_process
from raygan.actors.matchmaker import MatchmakerActor
from raygan.actors.messenger_worker import MessengerWorkerActor
from raygan.actors.outlook import outlook
from raygan.actors.placement import Placement, place_in
from raygan.actors.player import player_class
from raygan.actors.process import actor_class
from raygan.errors import InfeasibleError
from raygan.strategies.base import Setup, strategy_of

log = logging.getLogger(__name__)
BOARD = "board"
EVALUATOR = "evaluator"
MATCHMAKER = "matchmaker"
SAY_S = 10.0
"""Between two looks at what has come, while a run waits for room; told where it has changed."""


class WorkerGroup:
    """Makes the actors of a run and ends them; Ray is up already."""

    def __init__(self, run: str, setup: Setup) -> None:
        self.run = run
        self.config = setup.config
        self.data = setup.data
        self.actors: dict[str, Any] = {}
        """Each player's actor; players that live together have one."""
        self.helpers: dict[str, Any] = {}
        """The board, the evaluator, and the matchmaker where there are swaps."""
        self.deputies: list[str] = []
        """Helpers with bundles like players'."""
        self.bundles: dict[Any, int | None] = {}
        """Bundle of the placement group, by actor; None: outside it (joiners)."""
        self.places: dict[str, tuple[str, int]] = {}
        """(node, process) of each player's actor and each helper: what to kill when it does not
        answer.
        """
        self.spares: list[Any] = []
        self.spared = 0
        """Spares made so far."""
        self.lost: set[str] = set()
        """Players and helpers that were found dead or hung since the last start."""
        self.group: Any = None
        self.first, self.owned = 0, False
        """The group's first bundle that is ours; is the group?"""
        self.shared: list[Any] = []
        """What players get: the data set's reference, in a list so that it travels unresolved; of
        data in parts the outline's.
        """
        self.whole: list[Any] = []
        """What the evaluator gets: the data set's."""
        self.placement: Placement  # made by `reserve`, which knows how many players there are

    def forget(self) -> None:
        """Everything that was on a Ray that is no more."""
        for kept in (self.actors, self.helpers, self.bundles, self.places, self.spares, self.lost):
            kept.clear()
        self.group, self.owned = None, False

    def reserve(self, count: int) -> None:
        """The run's one placement group, and the data in the object store."""
        seen = outlook(self.config.resources.scale)
        self.placement = place_in(count, self.config.resources, seen)
        self.whole = self.shared = [ray.put(self.data)]
        if self.data.parts:
            self.shared = [ray.put(self.data.outline)]
        if (
            given := get_current_placement_group()
        ) is not None:  # a trial's: its first bundle is the driver's
            self.group, self.first = given, 1
            return
        self.group, self.owned = (
            placement_group(self.placement.bundles, strategy=self.placement.strategy),
            True,
        )
        self._await_room(count, seen.grows)

    def _await_room(self, count: int, grows: bool) -> None:
        """Until the whole group has its place; says meanwhile what is asked for and what has come.
        Raises InfeasibleError after `resources.wait_s`.
        """
        patience, begun, told = self.config.resources.wait_s, time.monotonic(), ""
        while not self.group.wait(min(SAY_S, max(0.1, begun + patience - time.monotonic()))):
            if (now := room_text(self.placement, grows)) != told:
                log.warning("waiting for room: %s", now)
                told = now
            if time.monotonic() - begun >= patience:
                raise InfeasibleError(
                    f"resources.wait_s = {patience:g}: no room for {count} actors"
                    f" ({self.placement.strategy}, {self.placement.cpus:g} CPUs and"
                    f" {self.placement.gpus:g} GPUs each) within that time; {now}. Free resources,"
                    " wait longer, or lower num_pairs."
                )

    def make_player(self, home: list[str], joins: bool = False) -> Any:
        """An actor for players that live together: a spare, or a new one; in a free bundle (a
        joiner outside the group).
        """
        taken = set(self.bundles.values()) | self._leaving_bundles()
        free = [i for i in range(self.placement.players - len(self.deputies)) if i not in taken]
        bundle = None if joins or not free else free[0]
        readers = max(strategy_of(self.config).readers(self.config, p) for p in home)
        while self.spares and readers == 1:
            if usable(spare := self.spares.pop(0)):
                self.bundles[spare] = bundle
                return spare
            ray.kill(spare)
        where, cpus = self._room(bundle, self.placement.cpus)
        made = self._actor(player_class(readers), home[0], where, cpus, self.placement.gpus)
        label = home[0] + (f"..{home[-1]}" if len(home) > 1 else "")
        actor = made.remote(self.run, label, self.shared)
        self.bundles[actor] = bundle
        return actor

    def make_helper(self, name: str) -> Any:
        """The board's, the matchmaker's, the evaluator's or a deputy's actor."""
        if name == MATCHMAKER:
            return self._actor(actor_class(MatchmakerActor), name, beside(), 0).remote(self.run)
        if name == BOARD:
            return self._actor(actor_class(BoardActor), name, beside(), 0).remote()
        if name in self.deputies:  # the last of the bundles that are as large as players'
            where, cpus = self._room(
                self.placement.players - 1 - self.deputies.index(name), self.placement.cpus
            )
            made = self._actor(
                actor_class(MessengerWorkerActor), name, where, cpus, self.placement.gpus
            )
            return made.remote(self.run, name, self.shared)
        where, cpus = self._room(self.placement.players, self.placement.evaluator_cpus)
        return self._actor(actor_class(EvaluatorActor), name, where, cpus).remote(
            self.run, self.config, self.whole
        )

    def _room(
        self, bundle: int | None, cpus: float
    ) -> tuple[PlacementGroupSchedulingStrategy | None, float]:
        """There in the run's placement group; anywhere for None, or where that bundle's node takes
        no more actors: then a full cluster is shared more thinly.
        """
        if bundle is None or bundle in self._leaving_bundles():
            return None, cpus if room() >= cpus else 0.0
        return (
            PlacementGroupSchedulingStrategy(
                placement_group=self.group, placement_group_bundle_index=self.first + bundle
            ),
            cpus,
        )

    def _leaving_bundles(self) -> set[int]:
        """Those that lie on nodes that have given notice."""
        if not (away := draining()):
            return set()
        nodes = placement_group_table(self.group)["bundles_to_node_id"]
        return {int(i) - self.first for i, node in nodes.items() if node in away}

    def _actor(self, cls: Any, name: str, where: Any, cpus: float, gpus: float = 0.0) -> Any:
        return cls.options(
            name=self._free_name(name), num_cpus=cpus, num_gpus=gpus, max_restarts=0, max_task_retries=0,
            scheduling_strategy=where,
        )  # fmt: skip

    def _free_name(self, name: str) -> str:
        """The readable name; numbered where an actor of an earlier attempt, hung or cut off, still
        holds it.
        """
        stem = whole = f"raygan/{self.run}/{name}"
        number = 1
        while taken(whole):
            number += 1
            whole = f"{stem}@{number}"
        return whole

    def keep_spares(self) -> None:
        """Processes that have imported everything and host nobody yet: whoever dies is back in one
        in a second, not in four.

        None where players have GPUs: a process cannot be moved to another GPU. Beside the
        controller, where no lost node takes them along, if that node has room for players at all.
        `auto`: as many as the fullest other node hosts.
        """
        where = beside() if room_here() >= self.placement.cpus else None
        asked = self.config.resources.spares
        while (
            len(self.spares) < (self._on_a_node() if asked == "auto" else asked)
            and not self.placement.gpus
        ):
            name = f"spare-{self.spared}"
            self.spared += 1
            spare = self._actor(player_class(), name, where, 0).remote(self.run, name, self.shared)
            spare.rehearse.remote(self.config)
            self.spares.append(spare)

    def _on_a_node(self) -> int:
        """Most actors with players that a lost node can take along."""
        nodes = {actor: self.places[p][0] for p, actor in self.actors.items() if p in self.places}
        return max(Counter(node for node in nodes.values() if node != here()).values(), default=1)

    def end_helper(self, name: str) -> None:
        """End its process."""
        ray.kill(self.helpers.pop(name))
        if name in self.places:
            end_process(*self.places.pop(name))

    def along(self, player: str) -> list[str]:
        """Others that live in its process."""
        actor = self.actors.get(player)
        return [p for p, a in self.actors.items() if a is actor and p != player]

    def put_down(self, player: str) -> None:
        """End a player's process, also when it does not listen any more, so that its place is free."""
        actor = self.actors[player]
        home = [player, *self.along(player)]
        ray.kill(actor)
        if player in self.places:
            end_process(*self.places[player])
        for name in home:
            del self.actors[name]
            self.places.pop(name, None)
        self.bundles.pop(actor, None)

    def clear(self) -> None:
        """Kill the actors by handle and give the placement group back."""
        for player in list(self.actors):
            if player in self.lost:
                self.put_down(player)
        for actor in [*dict.fromkeys(self.actors.values()), *self.helpers.values(), *self.spares]:
            ray.kill(actor)
        if self.owned:
            remove_placement_group(self.group)
        self.forget()


def beside() -> NodeAffinitySchedulingStrategy:
    """On the node of this process. Not soft: Ray 2.60 puts every other actor without CPUs elsewhere
    then.
    """
    return NodeAffinitySchedulingStrategy(here(), soft=False)


def room_here() -> float:
    """CPUs of the node of this process, taken or not."""
    return next(
        (float(n["Resources"].get("CPU", 0.0)) for n in ray.nodes() if n["NodeID"] == here()), 0.0
    )


def usable(actor: Any) -> bool:
    """Neither known to be dead, nor on a node that has given notice? One that still starts is."""
    try:
        return ray.get(actor.where.remote(""), timeout=0.5)["node"] not in draining()
    except GetTimeoutError:
        return True
    except RayActorError:
        return False


def room_text(wanted: Placement, grows: bool) -> str:
    """What is asked for, and what is there by now."""
    have, free = ray.cluster_resources(), ray.available_resources()
    cpus, gpus = (sum(b.get(k, 0.0) for b in wanted.bundles) for k in ("CPU", "GPU"))
    up = sum(node["Alive"] for node in ray.nodes())
    return (
        f"{cpus:g} CPUs and {gpus:g} GPUs are asked for ({wanted.players} actors,"
        f" {wanted.cpus:g} and {wanted.gpus:g} each); {up} nodes are up with"
        f" {have.get('CPU', 0.0):g} CPUs and {have.get('GPU', 0.0):g} GPUs, free"
        f" {free.get('CPU', 0.0):g} and {free.get('GPU', 0.0):g}"
        + ("; more may come (autoscaler)" if grows else "")
    )


def taken(name: str) -> bool:
    """Is there an actor of this name?"""
    try:
        ray.get_actor(name)
    except ValueError:
        return False
    return True
