"""What a step costs: bytes between players, updates of discriminators."""

from __future__ import annotations

import math
from typing import Literal, cast

from raygan.config import Component, Config
from raygan.gan.trainer import Parts
from raygan.gan.weights import num_words
from raygan.losses.base import LossComponent
from raygan.strategies.base.setup import Setup


class Costs(Component):
    """What a strategy says of its traffic and its work. Asked by plans, budgets and sweeps."""

    def bytes_a_step(self, setup: Setup) -> float:
        """What players send each other, for one step of everybody, on the average; scores and
        checkpoints apart. NaN: not told.
        """
        return math.nan

    def traffic(self, setup: Setup) -> list[str]:
        """The same in words, a line each, for `raygan plan`."""
        return [f"what travels   strategy {self.name} does not say (bytes_a_step, traffic)"]

    def d_updates(self, config: Config) -> float:
        """Updates of a discriminator by a batch, of all players, for one step of everybody: one a
        pair and critic step.
        """
        # of the run's loss: budgets compare strategies at equal work of D, whatever single pairs
        # may have
        loss = cast(LossComponent, config.component("loss"))
        return config.num_pairs * float(loss.d_steps)


def parcel_bytes(parts: Parts, what: Literal["D", "G"], carry: Literal["all", "weights"]) -> int:
    """Of a network on its way to another pair."""
    words = num_words(parts.discriminator if what == "D" else parts.generator)
    # G's moving average goes where G goes: it is what is sampled from
    average = what == "G" and parts.config.ema > 0
    return 4 * words * (1 + average + (parts.config.optimizer_words if carry == "all" else 0))


def megabytes(count: float) -> str:
    """
    >>> megabytes(2_500_000)
    '2.5 MB'
    """
    return f"{count / 1e6:.1f} MB" if count >= 100_000 else f"{count / 1e3:.1f} kB"
