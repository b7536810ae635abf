"""Do users' own networks and losses fit the data and each other? Asked once, with four samples and
two steps of training, before anything is written.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, cast

import torch
from torch import Tensor, nn

from raygan.errors import ConfigError
from raygan.gan.pair import Pair
from raygan.gan.types import shape_of
from raygan.losses.base import LossComponent, examine
from raygan.networks.base import NetworkComponent
from raygan.own.calling import calling
from raygan.own.names import is_own, label
from raygan.strategies.base import Setup
from raygan.strategies.roles import PLAYER

COUNT = 4


def refuse_misfits(setup: Setup, players: Sequence[str]) -> None:
    """Raises ConfigError: an output of another shape, a loss that is no finite number, a name that
    no player can have, or what the user's code raises.
    """
    refuse_names(setup.config.strategy["name"], players)
    seen = list[Any]()
    for player in players:
        own = setup.config.of(player)
        if [own.network, own.loss] not in seen:
            seen.append([own.network, own.loss])
            if is_own(str(own.network["name"])) or is_own(str(own.loss["name"])):
                _try(setup, player)


def refuse_names(strategy: str, players: Sequence[str]) -> None:
    """Raises ConfigError: what was saved of a player of such a name could not be read again, or
    would be another's.
    """
    for i, player in enumerate(players):
        if not PLAYER.fullmatch(player):
            why = (
                "a player's name is small letters, with a number behind '-' where there are several"
                " (pair-00, teacher)"
            )
        elif player in players[:i]:
            why = "two players have this name"
        else:
            continue
        raise ConfigError(f"strategy {label(strategy)}: players() gives {player!r}; {why}.")


def _try(setup: Setup, player: str) -> None:
    config = setup.config.of(player)
    network = cast(NetworkComponent, config.component("network"))
    where = f"network {label(network.name)}"
    with (
        # layers may draw from the process's global stream, which is not ours to move
        torch.random.fork_rng(devices=[]),
        calling("network", network.name, "building or calling it"),
    ):
        parts = replace(setup.parts(player), batch_size=COUNT)
        g, d = parts.generator, parts.discriminator
        real = setup.data.batch(COUNT, torch.Generator().manual_seed(0), torch.device("cpu"))
        # four samples: enough to tell the batch's axis from the others, and quick
        fake = g(torch.zeros(COUNT, network.z_dim).uniform_(-1, 1))
        if not isinstance(fake, Tensor) or fake.shape != real.shape:
            raise ConfigError(
                f"{where}: G gives {shape_of(fake)}, the data has {shape_of(real)}. Let it end in"
                " that shape."
            )
        on_real, _ = d(real), d(fake)
    wanted = (COUNT,) if network.judges == 1 else (COUNT, network.judges)
    if not isinstance(on_real, Tensor) or on_real.shape != wanted:
        how = (
            " End it with nn.Flatten(0)."
            if isinstance(on_real, Tensor) and on_real.numel() == COUNT
            else ""
        )
        raise ConfigError(
            f"{where}: D gives {shape_of(on_real)} for {COUNT} samples; logits {wanted} are"
            f" needed.{how}"
        )
    loss = cast(LossComponent, config.component("loss"))
    examine(loss, network.judges)
    _two_steps(Pair(player, parts), network, loss)


def _two_steps(pair: Pair, network: NetworkComponent, loss: LossComponent) -> None:
    """As training does them: an optimizer or a backward pass refuses what a forward pass takes."""
    own = ("network", network.name) if is_own(network.name) else ("loss", loss.name)
    counted: list[dict[str, float]] = []
    with torch.random.fork_rng(devices=[]), calling(*own, "a first step of training"):
        for _ in range(2):
            pair.one_step()
            counted.append({**numbers("G", pair.g), **numbers("D", pair.d)})
    # the first one may find out sizes; what a second one moves is counted on
    if moved := [name for name, value in counted[1].items() if value != counted[0].get(name)]:
        raise ConfigError(
            f"network {label(network.name)}: {moved[0]} changes in forward(), and no checkpoint"
            " holds it: a resumed run would be another. Make it a buffer (register_buffer), or name"
            f" it _{moved[0].rpartition('.')[2]} where no output hangs on it."
        )


def numbers(who: str, network: nn.Module) -> dict[str, float]:
    """Plain numbers of its layers, which are in no checkpoint; a name that begins with _ is a
    layer's own affair.
    """
    return {
        ".".join(filter(None, (who, at, name))): value
        for at, layer in network.named_modules()
        for name, value in vars(layer).items()
        if type(value) in (int, float) and not name.startswith("_")
    }
