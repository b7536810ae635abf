"""The room that a run has on its cluster: one placement group,
whose bundles are its actors' places.

    bundles   homes (a player, or several that live together)   deputies   the evaluator
              0 ...                                              ... n-1    n = placement.players

Joiners (but for those that find a GPU here), spares, the board and the matchmaker live outside of
it.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Collection
from typing import Any

import ray
from ray.util.placement_group import (
    get_current_placement_group,
    placement_group,
    placement_group_table,
    remove_placement_group,
)
from ray.util.scheduling_strategies import PlacementGroupSchedulingStrategy

from raygan.actors.capacity import outlook
from raygan.actors.draining import draining, gpus_free, room
from raygan.actors.placement import Placement, place_in
from raygan.config import Config
from raygan.errors import InfeasibleError

log = logging.getLogger(__name__)
SAY_S = 10.0
"""Between two looks at what has come, while a run waits for room; told where it has changed."""


class Reservation:
    """Of one run; nothing is reserved before `take`."""

    def __init__(self) -> None:
        self.placement: Placement  # made by `take`, which knows how many players there are
        self._group: Any = None
        self._first, self._owned = 0, False
        """The group's first bundle that is ours; is the group?"""
        self._homes, self._scale = 0, True

    @property
    def taken(self) -> bool:
        """Does this run hold a placement group?"""
        return self._group is not None

    def take(self, homes: int, deputies: int, config: Config) -> None:
        """Bundles for so many actors and the evaluator; waits until the whole group has its place.
        Raises InfeasibleError.
        """
        self._homes, count = homes, homes + deputies
        self._scale = config.resources.scale
        seen = outlook(self._scale)
        self.placement = place_in(count, config.resources, seen)
        # a trial of a sweep lives in Tune's group, and its first bundle is the driver's
        if (given := get_current_placement_group()) is not None:
            self._group, self._first = given, 1
            return
        bundles, strategy = self.placement.bundles, self.placement.strategy
        self._group, self._owned = placement_group(bundles, strategy=strategy), True
        self._await(count, seen.grows, config.resources.wait_s)

    def _await(self, count: int, grows: bool, patience: float) -> None:
        """Says meanwhile what is asked for and what has come. Raises InfeasibleError after
        `patience` seconds (`resources.wait_s`).
        """
        begun, told = time.monotonic(), ""
        # an autoscaler that cannot start what is asked for says nothing: the user is told what came
        while not self._group.wait(min(SAY_S, max(0.1, begun + patience - time.monotonic()))):
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

    def free(self, taken: Collection[int | None]) -> list[int]:
        """Homes' bundles that nobody has, on nodes that stay."""
        gone = self._leaving()
        return [i for i in range(self._homes) if i not in taken and i not in gone]

    def lacks(self, newcomers: int, taken: Collection[int | None]) -> str | None:
        """Why some of them would wait for ever outside the group; None: they would not. CPUs are
        shared more thinly there, GPUs are not.
        """
        gpus, players = self.placement.gpus, newcomers - len(self.free(taken))
        if players <= 0 or not gpus or outlook(self._scale).grows:
            return None
        if (room := sum(int(free / gpus + 1e-6) for free in gpus_free())) >= players:
            return None
        return (
            f"room for {newcomers - players + room} of {newcomers} newcomers with {gpus:g} GPUs"
            " each: the others hold the rest. Free GPUs, or start the run with a smaller"
            " resources.gpus_per_pair."
        )

    def at(
        self, bundle: int | None, cpus: float
    ) -> tuple[PlacementGroupSchedulingStrategy | None, float]:
        """How an actor is put there, and the CPUs that it asks for. Anywhere for None, or where
        that bundle's node takes no more actors.
        """
        if bundle is None or bundle in self._leaving():
            # a full cluster is shared more thinly: an actor that asks for CPUs which nobody has
            # would wait for ever, where the others wait for it
            return None, cpus if room() >= cpus else 0.0
        where = PlacementGroupSchedulingStrategy(
            placement_group=self._group, placement_group_bundle_index=self._first + bundle
        )
        return where, cpus

    def _leaving(self) -> set[int]:
        """Bundles that lie on nodes that have given notice."""
        if not (away := draining()):
            return set()
        nodes = placement_group_table(self._group)["bundles_to_node_id"]
        return {int(i) - self._first for i, node in nodes.items() if node in away}

    def give_back(self) -> None:
        """All of it, where it is ours."""
        if self._owned:
            remove_placement_group(self._group)
        self.forget()

    def forget(self) -> None:
        """It was on a Ray that is no more."""
        self._group, self._owned = None, False


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
