"""What strategies share: orders, the plan that they decide by, and how a player is built from a config.

decide(ready, done, plan) -> [Train("pair-00", 50), ...]      a pure function of the history: no clock, no cluster
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import cast

import torch

from raygan.config import Component, Config, Tempo
from raygan.data.base import DataComponent, Samples
from raygan.errors import ConfigError
from raygan.gan.pair import Parts
from raygan.gan.streams import Streams
from raygan.gan.types import Loss, Player
from raygan.networks.base import NetworkComponent

GLOBAL = "global"
"""SGAN's global pair (G0, D0)."""


def pair_name(index: int) -> str:
    """
    >>> pair_name(3)
    'pair-03'
    """
    return f"pair-{index:02d}"


@dataclass(frozen=True)
class Train:
    """Do `steps` more steps; versions below `forget_before` will not be read any more."""

    player: str
    steps: int
    forget_before: int = 0


@dataclass(frozen=True)
class Plan:
    """How far, and where everybody stops for a moment."""

    steps: int
    tempo: Tempo
    round_steps: int
    evaluate_every: int
    checkpoint_every: int

    @classmethod
    def of(cls, config: Config) -> Plan:
        """The plan of a config."""
        return cls(
            config.steps,
            config.tempo,
            config.round_steps,
            config.evaluation.every_steps,
            config.checkpoint.every_steps,
        )

    def next_stop(self, step: int) -> int:
        """The first step after `step` at which a round ends.

        >>> Plan(1000, "lockstep", 50, 120, 500).next_stop(100)
        120
        """
        return min(
            self.steps,
            *((step // n + 1) * n for n in (self.round_steps, self.evaluate_every, self.checkpoint_every)),
        )

    def evaluates_at(self, step: int) -> bool:
        """Is every generator scored at this step?"""
        return step == self.steps or step % self.evaluate_every == 0

    def saves_at(self, step: int) -> bool:
        """Is this step written to disk?"""
        return step == self.steps or step % self.checkpoint_every == 0


@dataclass(frozen=True)
class Setup:
    """What every player is built from: the run's config, its data, a device."""

    config: Config
    data: Samples
    device: torch.device

    def parts(self, name: str) -> Parts:
        """Networks, loss and streams of one player; raises ConfigError where they do not fit the data."""
        c = self.config
        network = cast(NetworkComponent, c.component("network"))
        streams = Streams(c.seed, name, self.device)
        return Parts(
            generator=network.generator(self.data.shape, streams.at("init-g", device="cpu")),
            discriminator=network.discriminator(self.data.shape, streams.at("init-d", device="cpu")),
            z_dim=network.z_dim,
            loss=cast(Loss, c.component("loss")),
            data=self.data,
            batch_size=c.batch_size,
            config=c.pair,
            total_steps=c.steps,
            streams=streams,
        )


class StrategyComponent(Component):
    """One paper: who plays, and what to do when players are ready."""

    def check(self, config: Config) -> None:
        """Raises ConfigError where this strategy and the rest of the config contradict each other."""

    def locals(self, config: Config) -> list[str]:
        """The pairs' names."""
        return [pair_name(i) for i in range(config.num_pairs)]

    def players(self, config: Config) -> list[str]:
        """All players' names, in a fixed order."""
        return self.locals(config)

    @abstractmethod
    def build(self, name: str, setup: Setup) -> Player:
        """Make a player, in the process that will host it."""

    @abstractmethod
    def decide(self, ready: Sequence[str], done: Mapping[str, int], plan: Plan) -> list[Train]:
        """Orders for the players in `ready`, given the steps that each has `done`."""

    def stop_targets(self, done: Mapping[str, int], plan: Plan) -> dict[str, int]:
        """A consistent cut near `done`: where each player should stop so that a checkpoint can be taken."""
        return dict(done)


def strategy_of(config: Config) -> StrategyComponent:
    """The config's strategy, checked against the rest of it."""
    strategy = config.component("strategy")
    assert isinstance(strategy, StrategyComponent), "strategies/ holds StrategyComponents only"
    strategy.check(config)
    return strategy


def load_data(config: Config) -> Samples:
    """The config's data set, and the check that the batch size makes sense."""
    component = config.component("data")
    assert isinstance(component, DataComponent), "data/ holds DataComponents only"
    data = component.load(config.seed)
    if data.is_images is False and config.network.get("name") == "dcgan":
        raise ConfigError(f"network.dcgan: {data.name} holds points of shape {data.shape}. Use --network mlp.")
    return data
