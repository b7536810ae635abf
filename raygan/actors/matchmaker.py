"""The matchmaker on Ray: carries a swap from pair to pair. The networks' bytes go from actor to
actor; it holds references only.

    controller --Swap--> matchmaker --offer--> actors    each returns cards, and an object of
                                                         networks for each other actor
    controller <--cards--                                the controller appends the one journal
                                                         record
    controller --Adopt--> matchmaker --adopt(references)--> actors

A network whose taker lives in the same actor stays there.

Who meets whom is drawn by `strategies.gap.couples.matching`, a function of (seed, step).
"""

from __future__ import annotations

from typing import Any

from raygan.actors.process import Helper, answers, by_actor
from raygan.controller.orders import Card
from raygan.strategies.orders import Swap

ROUND_S = 3600.0
"""For a giver or a taker, whose process may be at a neighbour's round; that hangs where its lease
says so.
"""


class MatchmakerActor(Helper):
    """Holds the references of the swaps that are under way."""

    def __init__(self, run: str) -> None:
        super().__init__()
        self._label = f"{run}/matchmaker"
        self._players: dict[str, Any] = {}
        self._parcels: dict[Swap, dict[Any, list[Any]]] = {}
        """By the actor that takes: references to what the others send it."""
        self._epoch = 0

    def __repr__(self) -> str:
        return self._label

    def begin(self, epoch: int) -> None:
        """Another attempt: swaps that were under way are not."""
        self._epoch = epoch
        self._parcels.clear()

    def register(self, players: dict[str, Any]) -> None:
        """Take the handles of all players, by which it reaches them."""
        self._players = players

    def gather(self, swap: Swap) -> dict[str, Card]:
        """First half: every giver hands over a copy, one call an actor; nobody has changed when
        this returns, or fails.
        """
        # giving actor -> taking actor -> whose networks. Sorted, so that a source that several take
        # is sent once to each actor
        ways: dict[Any, dict[Any, list[str]]] = {}
        for source, taker in sorted((source, taker) for taker, source in swap.moves.items()):
            there = ways.setdefault(self._players[source], {}).setdefault(self._players[taker], [])
            if source not in there[-1:]:
                there.append(source)
        parcels: dict[Any, list[Any]] = {}
        asked: dict[str, Any] = {}
        for actor, goes in ways.items():
            giver = next(iter(goes.values()))[0]
            stay, go = goes.pop(actor, []), list(goes.values())
            answer = actor.offer.options(num_returns=1 + len(go)).remote(
                stay, go, swap, self._epoch
            )
            asked[giver], *networks = answer if go else [answer]
            for home, sent in zip(goes, networks, strict=True):
                parcels.setdefault(home, []).append(sent)
        found = answers(asked, ROUND_S)
        self._parcels[swap] = parcels
        return {giver: card for cards in found.values() for giver, card in cards.items()}

    def deliver(self, swap: Swap) -> None:
        """Second half, after the record, one call an actor."""
        # references only: a parcel outlives its giver, which may die meanwhile, until the takers
        # have fetched it
        parcels = self._parcels.pop(swap)
        homes = by_actor(swap.moves, self._players.__getitem__)
        asked = {
            takers[0]: actor.adopt.remote(takers, swap, self._epoch, *parcels.get(actor, []))
            for actor, takers in homes.items()
        }
        answers(asked, ROUND_S)
