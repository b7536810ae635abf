"""Do users' own networks and losses fit the data and each other? Asked once, with four samples, before anything is written."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from typing import Any, cast

import torch
from torch import Tensor

from raygan.errors import ConfigError
from raygan.gan.streams import Streams
from raygan.networks.base import NetworkComponent
from raygan.own.calling import calling
from raygan.own.names import is_own, label
from raygan.strategies.strategy import Setup

COUNT = 4


def refuse_misfits(setup: Setup, players: Sequence[str]) -> None:
    """Raises ConfigError: an output of another shape, a loss that is no finite number, or what the user's code raises."""
    seen = list[Any]()
    for player in players:
        own = setup.config.of(player)
        if [own.network, own.loss] not in seen:
            seen.append([own.network, own.loss])
            if is_own(str(own.network["name"])) or is_own(str(own.loss["name"])):
                _try(setup, player)


def _try(setup: Setup, player: str) -> None:
    config, shape = setup.config.of(player), setup.data.shape
    network = cast(NetworkComponent, config.component("network"))
    where = f"network {label(network.name)}"
    with torch.random.fork_rng(devices=[]), calling("network", network.name, "building or calling it"):
        g = network.generator(shape, Streams(0, "fit").at("g", device="cpu"))
        d = network.discriminator(shape, Streams(0, "fit").at("d", device="cpu"))
        real = setup.data.batch(COUNT, torch.Generator().manual_seed(0), torch.device("cpu"))
        fake = g(torch.zeros(COUNT, network.z_dim).uniform_(-1, 1))
        if not isinstance(fake, Tensor) or fake.shape != real.shape:
            raise ConfigError(
                f"{where}: G gives {_shape(fake)}, the data has {_shape(real)}. Let it end in that shape."
            )
        on_real, on_fake = d(real), d(fake)
    wanted = (COUNT,) if network.judges == 1 else (COUNT, network.judges)
    if not isinstance(on_real, Tensor) or on_real.shape != wanted:
        how = " End it with nn.Flatten(0)." if isinstance(on_real, Tensor) and on_real.numel() == COUNT else ""
        raise ConfigError(f"{where}: D gives {_shape(on_real)} for {COUNT} samples; logits {wanted} are needed.{how}")
    _refuse_loss(config.component("loss"), on_real, on_fake)


def _refuse_loss(loss: Any, real: Tensor, fake: Tensor) -> None:
    for name, given in (("d_loss", (real, fake)), ("g_loss", (fake, real))):
        method = getattr(loss, name)
        with calling("loss", loss.name, f"{name} on logits {tuple(real.shape)}"):
            value = method(*given[: len(inspect.signature(method).parameters)])
        if not isinstance(value, Tensor) or value.shape != ():
            raise ConfigError(f"loss {label(loss.name)}: {name} gives {_shape(value)}, not one number. Take its mean.")
        if not torch.isfinite(value):
            raise ConfigError(
                f"loss {label(loss.name)}: {name} gives {value.item()} on fresh networks. Mend its formula."
            )


def _shape(value: object) -> str:
    return str(tuple(value.shape)) if isinstance(value, Tensor) else f"a {type(value).__name__}"
