"""The matchmaker on Ray: carries a swap from pair to pair. The network's bytes go from actor to actor; it holds references only.

    controller --Swap--> matchmaker --offer--> pairs          each returns (card, network); the network stays in the object store
    controller <--cards--                                     the controller appends the one journal record
    controller --Adopt--> matchmaker --adopt(reference)--> pairs

Who meets whom is drawn by `strategies.gap.matching`, a function of (seed, step).
"""

from __future__ import annotations

from typing import Any

import ray

from raygan.actors.process import Process
from raygan.controller.orders import Card
from raygan.strategies.orders import Swap

TIMEOUT_S = 120.0


class MatchmakerActor(Process):
    """Holds the references of the swaps that are under way."""

    def __init__(self, run: str) -> None:
        super().__init__()
        self._label = f"{run}/matchmaker"
        self._players: dict[str, Any] = {}
        self._parcels: dict[Swap, dict[str, Any]] = {}
        self._epoch = 0

    def __repr__(self) -> str:
        return self._label

    def begin(self, epoch: int) -> None:
        """Another attempt: swaps that were under way are not."""
        self._epoch = epoch
        self._parcels.clear()

    def register(self, players: dict[str, Any]) -> None:
        """Handles of all players."""
        self._players = players

    def gather(self, swap: Swap) -> dict[str, Card]:
        """First half: every giver hands over a copy; nobody has changed when this returns, or fails."""
        givers = sorted(set(swap.moves.values()))
        offers = {p: self._players[p].offer.options(num_returns=2).remote(p, swap, self._epoch) for p in givers}
        cards = ray.get([card for card, _ in offers.values()], timeout=TIMEOUT_S)
        self._parcels[swap] = {p: parcel for p, (_, parcel) in offers.items()}
        return dict(zip(givers, cards, strict=True))

    def deliver(self, swap: Swap) -> None:
        """Second half, after the record; may be called again."""
        parcels = self._parcels.get(swap, {})
        calls = [
            self._players[p].adopt.remote(p, swap, [parcels[s]], self._epoch)
            for p, s in swap.moves.items()
            if s in parcels
        ]
        ray.get(calls, timeout=TIMEOUT_S)
        self._parcels.pop(swap, None)
