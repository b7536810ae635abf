"""What a strategy asks for. No PyTorch here: actors that only pass orders on start without it (2 s
and 150 MB each).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Train:
    """Do `steps` more steps; versions below `forget_before` will not be read any more."""

    player: str
    steps: int
    forget_before: int = 0
    missed: bool = False
    """The player gave up waiting for somebody to swap with (counted in the journal)."""


@dataclass(frozen=True)
class Swap:
    """Each player of `takes` takes up the network that its source holds; all of it, or nothing, by
    one journal record.
    """

    step: int
    takes: tuple[tuple[str, str], ...]
    """(player, source): a permutation, unless a winner overwrites a loser; a player with itself
    sits out.
    """
    what: Literal["D", "G"] = "D"
    carry: Literal["all", "weights"] = "all"

    @property
    def players(self) -> list[str]:
        """All that take part, also those that sit out."""
        return [player for player, _ in self.takes]

    @property
    def moves(self) -> dict[str, str]:
        """player -> source, of those for whom anything changes."""
        return {player: source for player, source in self.takes if player != source}


Order = Train | Swap
