"""What a strategy asks for. No PyTorch here: actors that only pass orders on start without it (2 s
and 150 MB each).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

What = Literal["D", "G", "pair"]
"""What moves from pair to pair: one network, or both with all that trains them."""


def networks_of(what: What) -> tuple[Literal["D", "G"], ...]:
    """
    >>> networks_of("D"), networks_of("pair")
    (('D',), ('D', 'G'))
    """
    return ("D", "G") if what == "pair" else (what,)


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
    what: What = "D"
    carry: Literal["all", "weights"] = "all"
    settings: tuple[tuple[str, tuple[tuple[str, float], ...]], ...] = ()
    """(player, ((setting, value), ...)): with which those of a population that take go on."""

    @property
    def players(self) -> list[str]:
        """All that take part, also those that sit out."""
        return [player for player, _ in self.takes]

    @property
    def moves(self) -> dict[str, str]:
        """player -> source, of those for whom anything changes."""
        return {player: source for player, source in self.takes if player != source}

    def settings_of(self, player: str) -> Mapping[str, float]:
        """With which it goes on; empty where it keeps its own."""
        return dict(dict(self.settings).get(player, ()))


Order = Train | Swap
