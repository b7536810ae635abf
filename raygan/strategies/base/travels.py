"""What goes from one player to another must be the same thing in both: asked before a run starts,
since a swap that fails has been written down already.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from raygan.errors import ConfigError
from raygan.gan.weights import num_words
from raygan.networks.equivalence import Described, described
from raygan.strategies.base.setup import Setup


def same_networks(
    setup: Setup,
    players: Sequence[str],
    which: Sequence[Literal["D", "G"]],
    why: str,
    optimizer: bool = False,
) -> None:
    """Raises ConfigError when the players' networks are not all of one shape and one function, or
    trained by one kind of optimizer, where its state goes along; `why` tells who needs that.
    """
    if optimizer:
        _same_optimizers(setup, players, why)
    seen: dict[str, tuple[str, Described]] = {}
    for player in players:
        parts = setup.parts(player)
        for kind in which:
            network = parts.discriminator if kind == "D" else parts.generator
            own = described(network)
            first, model = seen.setdefault(kind, (player, own))
            instead = f"Give `pairs` networks with the same {kind}, or use --strategy independent."
            if own.signature != model.signature:
                raise ConfigError(
                    f"{why}: {kind} of {player} ({num_words(network):,} numbers) is not of the"
                    f" shape of {first}'s. {instead}"
                )
            # equal settings make equal networks, whatever of an object's address is in their words
            same = _network(setup, player) == _network(setup, first)
            if not same and (odd := own.unlike(model)) is not None:
                raise ConfigError(
                    f"{why}: {kind} of {player} computes otherwise than {first}'s: {odd}. {instead}"
                )
            # what a layer does not say may still be what `network` gave it
            if own.silent and not same:
                raise ConfigError(
                    f"{why}: {kind} of {player} may compute otherwise than {first}'s: `network`"
                    f" differs, and {own.silent} does not say what it was given. Keep its settings"
                    f" as attributes, or: {instead}"
                )


def _same_optimizers(setup: Setup, players: Sequence[str], why: str) -> None:
    first = players[0]
    kind = setup.config.of(first).pair.optimizer
    for player in players[1:]:
        if (own := setup.config.of(player).pair.optimizer) != kind:
            raise ConfigError(
                f"{why}, optimizer included: pair.optimizer of {player} is {own}, that of"
                f" {first} {kind}. Give all of `pairs` the same one."
            )


def _network(setup: Setup, player: str) -> tuple[str, dict[str, object]]:
    network = setup.config.of(player).component("network")
    return network.name, network.model_dump()
