"""How much of the cluster each actor gets. Plain arithmetic, so that an infeasible run is refused
before anything starts.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

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

    @property
    def evaluator_cpus(self) -> float:
        """The evaluator's CPUs; it never takes a GPU from a player."""
        return max(0.01, floor_share(self.cpus * EVALUATOR_SHARE))


def place(
    players: int, settings: ResourcesConfig, cluster: Mapping[str, float], nodes: Sequence[Mapping[str, float]] = ()
) -> Placement:  # fmt: skip
    """Fit `players` actors into what the cluster has.

    cluster: Ray's `cluster_resources()`; nodes: the same of each node (default: all in one). An
    unset share is an equal one, at most 1, and small enough that no player lies across two nodes or
    two GPUs. Raises InfeasibleError with the numbers.

    >>> place(6, ResourcesConfig(), {"CPU": 2.0})
    Placement(players=6, cpus=0.3, gpus=0.0, strategy='PACK')
    >>> place(3, ResourcesConfig(), {"CPU": 2.0}, [{"CPU": 1.0}, {"CPU": 1.0}]).cpus
    0.5
    >>> place(3, ResourcesConfig(), {"CPU": 16.0, "GPU": 2.0}).gpus
    0.5
    """
    have_cpus, have_gpus = cluster.get("CPU", 0.0), cluster.get("GPU", 0.0)
    gpus = settings.gpus_per_pair
    if gpus is None:
        gpus = floor_share(1 / math.ceil(players / have_gpus)) if have_gpus else 0.0
    if gpus * players > have_gpus + 1e-6:
        raise InfeasibleError(
            f"resources.gpus_per_pair = {gpus:g}: {players} actors need {gpus * players:g} GPUs,"
            f" the cluster has {have_gpus:g}. Lower resources.gpus_per_pair or num_pairs."
        )
    cpus = settings.cpus_per_pair
    if cpus is None:
        cpus = min(1.0, floor_share(have_cpus / (players + EVALUATOR_SHARE)))
        while cpus > 0.01 and not fits(
            Placement(players, cpus, gpus, settings.placement).bundles, nodes or [cluster]
        ):
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
            f" CPUs, the cluster has {have_cpus:g}. Lower resources.cpus_per_pair or num_pairs."
        )
    if not fits(placement.bundles, nodes or [cluster]):
        rooms = ", ".join(
            f"{n.get('CPU', 0):g}" + (f" + {n['GPU']:g} GPU" if n.get("GPU") else "")
            for n in nodes or [cluster]
        )
        raise InfeasibleError(
            f"resources.cpus_per_pair = {cpus:g}, gpus_per_pair = {gpus:g}: {players} actors do not"
            f" fit into the nodes ({rooms} CPUs), since none may lie across two. Lower them, or"
            " num_pairs."
        )
    return placement


def fits(bundles: Sequence[Mapping[str, float]], nodes: Sequence[Mapping[str, float]]) -> bool:
    """Do they, put into the first node with room, the largest first? A share of a GPU lies in one
    GPU.

    >>> fits([{"CPU": 0.6}] * 3, [{"CPU": 1.0}, {"CPU": 1.0}]), fits([{"CPU": 0.5}] * 3, [{"CPU": 1.0}, {"CPU": 1.0}])
    (False, True)
    """
    cpus = [n.get("CPU", 0.0) for n in nodes]
    devices = [[1.0] * int(n.get("GPU", 0.0)) for n in nodes]
    for bundle in sorted(bundles, key=lambda b: (-b.get("GPU", 0.0), -b["CPU"])):
        wanted = bundle.get("GPU", 0.0)
        for i in range(len(nodes)):
            found = _free_devices(devices[i], wanted)
            if cpus[i] + 1e-9 >= bundle["CPU"] and found is not None:
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
