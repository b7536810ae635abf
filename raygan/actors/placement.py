"""How much of the cluster each actor gets. Plain arithmetic, so that an infeasible run is refused
before anything starts.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from raygan.actors.capacity import Outlook, total
from raygan.config import ResourcesConfig
from raygan.errors import InfeasibleError

EVALUATOR_SHARE = 0.5
"""Of a player's CPUs."""


@dataclass(frozen=True)
class Placement:
    """CPUs and GPUs of each actor, and Ray's strategy for the one placement group of the run."""

    players: int
    cpus: float
    gpus: float
    strategy: str

    @property
    def bundles(self) -> list[dict[str, float]]:
        """One bundle a player, then the evaluator's."""
        player = {"CPU": self.cpus} | ({"GPU": self.gpus} if self.gpus else {})
        return [player] * self.players + [{"CPU": self.evaluator_cpus}]

    def fits(self, nodes: Sequence[Mapping[str, float]]) -> bool:
        """Is there a place for every bundle?"""
        return fits(self.bundles, nodes, apart=self.strategy == "STRICT_SPREAD")

    @property
    def evaluator_cpus(self) -> float:
        """The evaluator's CPUs; it never takes a GPU from a player."""
        return max(0.01, floor_share(self.cpus * EVALUATOR_SHARE))


def place(
    players: int,
    settings: ResourcesConfig,
    cluster: Mapping[str, float],
    nodes: Sequence[Mapping[str, float]] = (),
    has: str = "the cluster has",
) -> Placement:
    """Fit `players` actors into what the cluster has, or (`has`) can have.

    cluster: resources of all nodes; nodes: those of each (default: all in one). An unset share is
    an equal one, at most 1, and small enough that no player lies across two nodes or two GPUs.
    Raises InfeasibleError with the numbers.

    >>> place(6, ResourcesConfig(), {"CPU": 2.0})
    Placement(players=6, cpus=0.3, gpus=0.0, strategy='PACK')
    >>> place(3, ResourcesConfig(), {"CPU": 2.0}, [{"CPU": 1.0}, {"CPU": 1.0}]).cpus
    0.5
    >>> place(3, ResourcesConfig(), {"CPU": 16.0, "GPU": 2.0}).gpus
    0.5
    """
    nodes = nodes or [cluster]
    # all on one node: the largest of them is all the room there is
    if settings.placement == "STRICT_PACK":
        cluster = max(nodes, key=lambda n: (n.get("GPU", 0.0), n.get("CPU", 0.0)))
        nodes, has = [cluster], "STRICT_PACK takes one node, the largest has"
    have_cpus, have_gpus = cluster.get("CPU", 0.0), cluster.get("GPU", 0.0)
    gpus = share_of_gpus(players, settings, have_gpus, has)
    cpus = settings.cpus_per_pair
    if cpus is None:
        cpus = min(1.0, floor_share(have_cpus / (players + EVALUATOR_SHARE)))
        while cpus > 0.01 and not Placement(players, cpus, gpus, settings.placement).fits(nodes):
            cpus = round(cpus - 0.01, 2)
    if cpus <= 0:
        raise InfeasibleError(
            f"num_pairs: {players} actors would share {have_cpus:g} CPUs, less than .01 each, and"
            " Ray counts no finer. Lower num_pairs, or raise resources.pairs_per_actor."
        )
    placement = Placement(players, cpus, gpus, settings.placement)
    need = sum(b["CPU"] for b in placement.bundles)
    if need > have_cpus + 1e-6:
        raise InfeasibleError(
            f"resources.cpus_per_pair = {cpus:g}: {players} actors and the evaluator need {need:g}"
            f" CPUs, {has} {have_cpus:g}. Lower resources.cpus_per_pair or num_pairs."
        )
    if settings.placement == "STRICT_SPREAD" and len(nodes) < len(placement.bundles):
        raise InfeasibleError(
            f"resources.placement = STRICT_SPREAD: {players} actors and the evaluator need"
            f" {len(placement.bundles)} nodes, {has} {len(nodes)}. Use SPREAD, or lower num_pairs."
        )
    if not placement.fits(nodes):
        raise InfeasibleError(
            f"resources.cpus_per_pair = {cpus:g}, gpus_per_pair = {gpus:g}: {players} actors do not"
            f" fit into the nodes ({sizes(nodes)} CPUs), since none may lie"
            " across two. Lower them, or num_pairs."
        )
    return placement


def place_in(players: int, settings: ResourcesConfig, cluster: Outlook) -> Placement:
    """The same for a cluster with what it can become. Raises InfeasibleError only beyond that;
    where nobody here knows what an autoscaler may start, nothing is.

    >>> place_in(2, ResourcesConfig(), Outlook([{"CPU": 0.0}], open=True))
    Placement(players=2, cpus=1.0, gpus=0.0, strategy='PACK')
    """
    rooms = cluster.rooms(players)
    if cluster.open:
        cpus, gpus = settings.cpus_per_pair or 1.0, settings.gpus_per_pair
        if gpus is None:
            gpus = 0.0 if not total(rooms)["GPU"] else share_of_gpus(players, settings, players, "")
        return Placement(players, cpus, gpus, settings.placement)
    has = "the cluster can have" if cluster.grows else "the cluster has"
    return place(players, settings, total(rooms), rooms, has)


def share_of_gpus(players: int, settings: ResourcesConfig, have: float, has: str) -> float:
    """Of each player; 0 where there are none. Raises InfeasibleError."""
    gpus = settings.gpus_per_pair
    if gpus is None:
        gpus = floor_share(1 / math.ceil(players / have)) if have else 0.0
        if have and not gpus:
            raise InfeasibleError(
                f"num_pairs: {players} actors would share {have:g} GPUs, less than .01 each, and"
                " Ray counts no finer. Raise resources.pairs_per_actor, lower num_pairs, or set"
                " resources.gpus_per_pair (0: train on CPUs)."
            )
    if gpus * players > have + 1e-6:
        raise InfeasibleError(
            f"resources.gpus_per_pair = {gpus:g}: {players} actors need {gpus * players:g} GPUs,"
            f" {has} {have:g}. Lower resources.gpus_per_pair or num_pairs."
        )
    return gpus


def sizes(nodes: Sequence[Mapping[str, float]]) -> str:
    """
    >>> sizes([{"CPU": 2.0}, {"CPU": 8.0, "GPU": 1.0}])
    '2, 8 + 1 GPU'
    """
    return ", ".join(
        f"{n.get('CPU', 0):g}" + (f" + {n['GPU']:g} GPU" if n.get("GPU") else "") for n in nodes
    )


def fits(
    bundles: Sequence[Mapping[str, float]],
    nodes: Sequence[Mapping[str, float]],
    apart: bool = False,
) -> bool:
    """Do they, put into the first node with room, the largest first? A share of a GPU lies in one
    GPU. apart: no two in one node.

    >>> [fits([{"CPU": share}] * 3, [{"CPU": 1.0}, {"CPU": 1.0}]) for share in (0.6, 0.5)]
    [False, True]
    """
    cpus = [n.get("CPU", 0.0) for n in nodes]
    taken = set[int]()
    # one by one, since two halves of two GPUs make no whole one
    devices = [[1.0] * int(n.get("GPU", 0.0)) for n in nodes]
    for bundle in sorted(bundles, key=lambda b: (-b.get("GPU", 0.0), -b["CPU"])):
        wanted = bundle.get("GPU", 0.0)
        for i in range(len(nodes)):
            if apart and i in taken:
                continue
            found = _free_devices(devices[i], wanted)
            # 1e-9: fractions of a CPU do not add up to whole numbers exactly
            if cpus[i] + 1e-9 >= bundle["CPU"] and found is not None:
                taken.add(i)
                cpus[i] -= bundle["CPU"]
                for k in found:
                    devices[i][k] -= min(1.0, wanted)
                break
        else:
            return False
    return True


def _free_devices(free: Sequence[float], wanted: float) -> list[int] | None:
    """GPUs that give `wanted`: none, a share of one, or several whole ones; None where there are
    not enough.
    """
    if wanted == 0:
        return []
    if wanted <= 1:
        one = next((k for k, room in enumerate(free) if room + 1e-9 >= wanted), None)
        return None if one is None else [one]
    whole = [k for k, room in enumerate(free) if room >= 1 - 1e-9][: math.ceil(wanted)]
    return whole if len(whole) == math.ceil(wanted) else None


def floor_share(value: float) -> float:
    """Round down to hundredths, which Ray can hold exactly (its unit is 1/10,000).

    >>> floor_share(0.3333)
    0.33
    """
    return math.floor(value * 100 + 1e-9) / 100
