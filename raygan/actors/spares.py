"""Processes that have imported everything and host nobody yet: whoever dies is back in one in a
second, not in four (decision 9).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import ray
from ray.exceptions import GetTimeoutError, RayActorError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from raygan.actors.draining import draining, here
from raygan.actors.player import player_class
from raygan.actors.process import put
from raygan.config import Config

ANSWER_S = 0.5
"""For a spare to say where it is. One that still imports does not, and is taken all the same."""


class Spares:
    """The spare processes of one run."""

    def __init__(self, run: str) -> None:
        self.run = run
        self.there: list[Any] = []
        self._made = 0

    def take(self) -> Any:
        """One that can be used; None where there is none. Those that cannot are ended."""
        while self.there:
            spare = self.there.pop(0)
            if usable(spare):
                return spare
            ray.kill(spare)
        return None

    def keep(
        self, count: int, cpus: float, config: Config, shared: list[Any], sourced: bool = False
    ) -> None:
        """So many are there from now on, or on their way. cpus: what a player takes; shared: what
        each actor is given; sourced: as of `player_class`.

        Beside the controller, where no lost node takes them along (decision 44), if that node has
        room for players at all.
        """
        where = beside() if room_here() >= cpus else None
        while len(self.there) < count:
            name = f"spare-{self._made}"
            self._made += 1
            # 0 CPUs: it idles, and takes the place of one whose CPUs are free by then
            made = put(player_class(sourced=sourced), self.run, name, where, 0, scrubs=sourced)
            spare = made.remote(self.run, name, shared)
            spare.rehearse.remote(config)
            self.there.append(spare)


def most_on_a_node(places: Mapping[Any, str]) -> int:
    """Most actors with players that the loss of another node than this one takes along. places:
    actor -> its node.

    >>> from unittest.mock import patch
    >>> with patch("raygan.actors.spares.here", lambda: "head"):
    ...     most_on_a_node({"a": "head", "b": "n1", "c": "n1", "d": "n2"}), most_on_a_node({})
    (2, 1)
    """
    elsewhere = [node for node in places.values() if node != here()]
    return max((elsewhere.count(node) for node in set(elsewhere)), default=1)


def beside() -> NodeAffinitySchedulingStrategy:
    """On the node of this process."""
    # not soft: Ray 2.60 puts 3 of 8 actors without CPUs elsewhere then (decision 44)
    return NodeAffinitySchedulingStrategy(here(), soft=False)


def room_here() -> float:
    """CPUs of the node of this process, taken or not."""
    return next(
        (float(n["Resources"].get("CPU", 0.0)) for n in ray.nodes() if n["NodeID"] == here()), 0.0
    )


def usable(actor: Any) -> bool:
    """Neither known to be dead, nor on a node that has given notice? One that still starts is."""
    try:
        return ray.get(actor.where.remote(""), timeout=ANSWER_S)["node"] not in draining()
    except GetTimeoutError:
        return True
    except RayActorError:
        return False
