"""How much of the cluster each actor gets. Plain arithmetic, so that an infeasible run is refused before anything starts."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from raygan.config import ResourcesConfig
from raygan.errors import InfeasibleError

BOARD_CPUS = 0.01
"""The board knows versions; it never holds bytes."""
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
        """One bundle a player, then the evaluator's, then the board's."""
        player = {"CPU": self.cpus} | ({"GPU": self.gpus} if self.gpus else {})
        return [player] * self.players + [{"CPU": self.evaluator_cpus}, {"CPU": BOARD_CPUS}]

    @property
    def evaluator_cpus(self) -> float:
        """The evaluator's CPUs; it never takes a GPU from a player."""
        return max(0.01, floor_share(self.cpus * EVALUATOR_SHARE))


def place(players: int, settings: ResourcesConfig, cluster: Mapping[str, float]) -> Placement:
    """Fit `players` actors into what the cluster has.

    cluster: Ray's `cluster_resources()`. An unset share is an equal one, at most 1. Raises InfeasibleError with the numbers.

    >>> place(6, ResourcesConfig(), {"CPU": 2.0})
    Placement(players=6, cpus=0.3, gpus=0.0, strategy='PACK')
    >>> place(4, ResourcesConfig(), {"CPU": 16.0, "GPU": 1.0}).gpus
    0.25
    """
    have_cpus, have_gpus = cluster.get("CPU", 0.0), cluster.get("GPU", 0.0)
    gpus = settings.gpus_per_pair
    if gpus is None:
        gpus = min(1.0, floor_share(have_gpus / players))
    if gpus * players > have_gpus + 1e-6:
        raise InfeasibleError(
            f"resources.gpus_per_pair = {gpus:g}: {players} players need {gpus * players:g} GPUs, the cluster has "
            f"{have_gpus:g}. Lower resources.gpus_per_pair or num_pairs."
        )
    cpus = settings.cpus_per_pair
    if cpus is None:
        cpus = min(1.0, floor_share((have_cpus - BOARD_CPUS) / (players + EVALUATOR_SHARE)))
    placement = Placement(players, cpus, gpus, settings.placement)
    need = sum(b["CPU"] for b in placement.bundles)
    if cpus <= 0 or need > have_cpus + 1e-6:
        raise InfeasibleError(
            f"resources.cpus_per_pair = {cpus:g}: {players} players, the evaluator and the board need {need:g} CPUs, the "
            f"cluster has {have_cpus:g}. Lower resources.cpus_per_pair or num_pairs."
        )
    return placement


def floor_share(value: float) -> float:
    """Round down to hundredths, which Ray can hold exactly (its unit is 1/10,000).

    >>> floor_share(0.3333)
    0.33
    """
    return math.floor(value * 100 + 1e-9) / 100
