"""Who plays, what each is to the others, and what each needs."""

from __future__ import annotations

from typing import cast

from torch import nn

from raygan.config import Component, Config
from raygan.gan.random_streams import Streams
from raygan.networks.base import NetworkComponent
from raygan.strategies.roles import Role


def pair_name(index: int) -> str:
    """
    >>> pair_name(3)
    'pair-03'
    """
    return f"pair-{index:02d}"


class Members(Component):
    """What a strategy says of its players. Asked by who builds, counts, scores and shows them."""

    def locals(self, config: Config) -> list[str]:
        """The pairs' names."""
        return [pair_name(i) for i in config.ids]

    def players(self, config: Config) -> list[str]:
        """All players' names, in a fixed order."""
        return self.locals(config)

    def roles(self, config: Config) -> dict[str, Role]:
        """What each player is. One that is no local is taken for neither a pair nor a generator,
        unless a strategy says so.
        """
        # who is added to the pairs (a judge, a global pair) is neither counted nor scored by
        # mistake
        pairs = set(self.locals(config))
        return {
            p: Role() if p in pairs else Role(pair=False, scored=False)
            for p in self.players(config)
        }

    def scored(self, config: Config) -> list[str]:
        """The players that have a generator."""
        return [p for p, role in self.roles(config).items() if role.scored]

    def needs_data(self, player: str) -> bool:
        """Does this player train on real samples? One that is no pair has no part of them
        (`data.partition`).
        """
        return True

    @property
    def publishes(self) -> bool:
        """Do its locals publish what `build` is told to share, so that a global pair can learn from
        them (`strategy.sgan.over`)?
        """
        return True

    @property
    def mingles(self) -> bool:
        """Do its pairs' networks go into each other's otherwise than by swaps, as means or layers
        in common do? Then every D has trained against what every G comes from.
        """
        return False

    def audience(self, config: Config) -> list[str]:
        """Players that have to be told who the members are (their `set_members`)."""
        return []

    def discriminator(self, config: Config, name: str, shape: tuple[int, ...]) -> nn.Module:
        """A player's D, untrained: to load a checkpoint into."""
        network = cast(NetworkComponent, config.of(name).component("network"))
        return network.discriminator(shape, Streams(0, "unused").at("init"))
