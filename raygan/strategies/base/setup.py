"""How a player is built from a config: its networks, its loss, its data, its streams."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

import torch
from torch import nn

from raygan.config import Config
from raygan.data.base import Samples
from raygan.errors import ConfigError
from raygan.gan.random_streams import Streams
from raygan.gan.trainer import Parts
from raygan.gan.types import Loss
from raygan.losses.base import LossComponent
from raygan.networks.base import NetworkComponent
from raygan.own.names import is_own, label


@dataclass(frozen=True)
class Setup:
    """What every player is built from: the run's config, its data, a device."""

    config: Config
    data: Samples
    device: torch.device
    shared: dict[str, nn.Module] = field(default_factory=dict, compare=False)
    """Layers that several players of this process have in common."""
    deputies: Sequence[Any] = field(default=(), compare=False)
    """Other processes that do a part of a player's work."""
    own: Mapping[str, Samples] = field(default_factory=dict, compare=False)
    """The parts of the pairs that live in this process, where pairs do not share all samples."""

    @property
    def num_samples(self) -> int:
        """Training samples that an epoch takes: all, or on the average of the parts."""
        # an epoch of a pair is one of its own part
        counts = [part.train for part in self.data.parts.values()]
        return round(sum(counts) / len(counts)) if counts else len(self.data.train)

    def parts(self, name: str, begins_as: str = "") -> Parts:
        """Networks, loss and streams of one player; begins_as: the player whose first weights it
        has, its own where "". Raises ConfigError where they do not fit the data.
        """
        c = self.config.of(name)
        network, loss = cast(NetworkComponent, c.component("network")), c.component("loss")
        assert isinstance(loss, LossComponent), "losses/ holds LossComponents only"
        check_judges(network, loss, c.pair.feature_matching)
        streams = Streams(c.seed, name, self.device)
        first = Streams(c.seed, begins_as or name, self.device)
        return Parts(
            # on the CPU, whatever trains: a run begins with the same weights on every device
            generator=network.generator(self.data.shape, first.at("init-g", device="cpu")),
            discriminator=network.discriminator(self.data.shape, first.at("init-d", device="cpu")),
            z_dim=network.z_dim,
            loss=cast(Loss, loss),
            data=self.own.get(name, self.data),
            batch_size=c.batch_size,
            config=c.pair,
            total_steps=c.steps,
            streams=streams,
            graphs=c.resources.cuda_graphs != "off",
            no_graphs=no_graphs(c),
        )

    def classifier(self, name: str, classes: int) -> nn.Module:
        """A classifier like the player's discriminator, with `classes` logits (N, classes)."""
        network = cast(NetworkComponent, self.config.of(name).component("network"))
        stream = Streams(self.config.seed, name, self.device).at("init-c", device="cpu")
        return network.classifier(self.data.shape, classes, stream)


def no_graphs(config: Config) -> str:
    """Why no step of a player may be replayed, by what its parts are; "": as far as these go, it
    may.
    """
    parts = {"network": config.network, "loss": config.loss, "strategy": config.strategy}
    named = {kind: str(part["name"]) for kind, part in parts.items()}
    # what it does at a step may hang on anything, and one that was captured does not
    own = next((f"{kind} {label(name)}" for kind, name in named.items() if is_own(name)), "")
    return own and f"{own} is your own"


def check_judges(network: NetworkComponent, loss: LossComponent, feature_matching: float) -> None:
    """Raises ConfigError where a loss and a discriminator of one or several parts do not belong
    together.
    """
    if network.judges == 1 and loss.num_judges == 1:
        return
    # their penalty is that of one gradient a sample, and several logits have several
    if loss.r1 or loss.r2:
        raise ConfigError(
            "loss.r1, loss.r2: R1 and R2 take one discriminator. Set them to 0, or loss"
            f" {loss.name}'s own."
        )
    wanted = {1: "one", 2: "two", None: "several"}[loss.num_judges]
    if network.judges < 2 if loss.num_judges is None else network.judges != loss.num_judges:
        use = "loss gman" if loss.num_judges == 1 else "network.judges 2"
        raise ConfigError(
            f"network.judges = {network.judges}: loss {loss.name} is made for {wanted} of them. Set"
            f" {use}, or change both."
        )
    if feature_matching:
        raise ConfigError(
            "pair.feature_matching: takes one discriminator. Set it to 0, or network.judges to 1."
        )
