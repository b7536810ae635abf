"""An inline executor that loses players inside swaps, at instants drawn at random."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence

from raygan.controller.inline import InlineExecutor
from raygan.controller.orders import Card
from raygan.controller.worker import swapper, take_up
from raygan.errors import PlayerDied
from raygan.gan.types import Player
from raygan.strategies.base import Setup
from raygan.strategies.orders import Swap

INSTANTS = (
    "before the first offer",
    "between offers",
    "before the record",
    "after the record",
    "between adoptions",
    "after",
)


class Mortal(InlineExecutor):
    """Kills one player at one instant of each swap that it has not killed in yet."""

    def __init__(
        self, setup: Setup, rng: random.Random, kills: dict[int, str], hashes: list[bool]
    ) -> None:
        super().__init__(setup)
        self.rng = rng
        self.kills = kills
        self.hashes = hashes
        self.doomed: tuple[str, str] | None = None

    def start(self, players: Sequence[str], states: Mapping[str, bytes], epoch: int = 0) -> None:
        super().start(players, states)
        self.doomed = None

    def offer(self, swap: Swap) -> dict[str, Card]:
        if swap.step not in self.kills:
            self.doomed = self.rng.choice(INSTANTS), self.rng.choice(swap.players)
            self.kills[swap.step] = self.doomed[0]
        self.instant(INSTANTS[0])
        half = self.rng.randrange(max(1, len(swap.moves)))
        for i, player in enumerate(swap.moves):
            if i == half:
                self.instant(INSTANTS[1])
            swapper(self.players[player]).offer(swap.what, swap.carry)
        cards = super().offer(swap)
        self.instant(INSTANTS[2])
        return cards

    def adopt(self, swap: Swap) -> None:
        self.instant(INSTANTS[3])
        sources = {p: parcel.fingerprint for p, parcel in self.worker.kept[swap].items()}
        for i, player in enumerate(swap.moves):
            if i == 1:
                self.instant(INSTANTS[4])
            parcel = self.worker.kept[swap][swap.moves[player]]
            take_up(self.players[player], swap, parcel)
        for player, source in swap.moves.items():  # every tensor and buffer equals its source
            self.hashes.append(held(self.players[player], swap) == sources[source])
        self.instant(INSTANTS[5])

    def instant(self, name: str) -> None:
        if self.doomed and self.doomed[0] == name:
            player, self.doomed = self.doomed[1], None
            raise PlayerDied(player, f"killed {name}")


def held(player: Player, swap: Swap) -> str:
    """What the player holds now, by its hash."""
    return swapper(player).offer(swap.what, swap.carry).fingerprint
