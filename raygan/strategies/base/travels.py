"""What goes from one player to another must be the same thing in both: asked before a run starts,
since a swap that fails has been written down already.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Literal

from raygan.errors import ConfigError
from raygan.gan.weights import num_words
from raygan.networks.alike import Described, described
from raygan.strategies.base.setup import Setup

Along = Literal["optimizer", "average"]


def same_networks(
    setup: Setup,
    players: Sequence[str],
    which: Sequence[Literal["D", "G"]],
    why: str,
    along: Collection[Along] = (),
) -> None:
    """Raises ConfigError when the players' networks are not all of one shape and one function, or
    not with what goes along; `why` tells who needs that.
    """
    _same_along(setup, players, why, along)
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
            if (odd := own.unlike(model)) is not None:
                raise ConfigError(
                    f"{why}: {kind} of {player} computes otherwise than {first}'s: {odd}. {instead}"
                )
            # what a layer does not say may still be what `network` gave it
            if own.silent and _network(setup, player) != _network(setup, first):
                raise ConfigError(
                    f"{why}: {kind} of {player} may compute otherwise than {first}'s: `network`"
                    f" differs, and {own.silent} does not say what it was given. Keep its settings"
                    f" as attributes, or: {instead}"
                )


def _same_along(setup: Setup, players: Sequence[str], why: str, along: Collection[Along]) -> None:
    first = players[0]
    model = setup.config.of(first).pair
    for player in players[1:]:
        own = setup.config.of(player).pair
        if "optimizer" in along and own.optimizer != model.optimizer:
            raise ConfigError(
                f"{why}, optimizer included: pair.optimizer of {player} is {own.optimizer}, that of"
                f" {first} {model.optimizer}. Give all of `pairs` the same one."
            )
        # decays may differ: an average goes on under another one
        if "average" in along and bool(own.ema) != bool(model.ema):
            raise ConfigError(
                f"{why}, moving average included: pair.ema of {player} is {own.ema:g}, that of"
                f" {first} {model.ema:g}, and 0 is none. Give all of `pairs` one, or none."
            )


def _network(setup: Setup, player: str) -> tuple[str, dict[str, object]]:
    network = setup.config.of(player).component("network")
    return network.name, network.model_dump()
