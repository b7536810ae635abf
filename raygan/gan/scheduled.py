"""The settings of a pair that move while it trains: functions of the step alone, so that a resumed
run, and a pack that trains in a pair's place, find them as they were.
"""

from __future__ import annotations

import torch

from raygan.config import PairConfig


class Scheduled:
    """`pair.schedule` (and `pair.lr_decay`, which is short for one) over a run of `total_steps`."""

    def __init__(self, config: PairConfig, total_steps: int) -> None:
        self.config = config
        self.rates = config.rates  # held: it is made anew each time that the config is asked
        self.total_steps = total_steps

    def at(self, name: str, start: float, step: int) -> float:
        """A setting that begins at `start`, as the schedule has it at this step."""
        return self.config.schedule.at(name, start, step, self.total_steps)

    def rate(self, step: int) -> float:
        """The learning rates, as a share of the configured ones."""
        return self.rates.at("lr", 1.0, step, self.total_steps)

    def gamma(self, step: int) -> float:
        """What the penalties' weights are multiplied by."""
        return self.at("gamma", 1.0, step)

    def ema(self, step: int) -> float:
        """Decay of G's moving average."""
        return self.at("ema", self.config.ema, step)

    def set_betas(self, optimizer: torch.optim.Optimizer, step: int) -> None:
        """Adam's betas, where the schedule moves one of them."""
        schedule = self.config.schedule
        if schedule.beta1 is not None or schedule.beta2 is not None:
            optimizer.param_groups[0]["betas"] = self.betas(step)

    def betas(self, step: int) -> tuple[float, float]:
        """Adam's, as the schedule has them at this step."""
        return self.at("beta1", self.config.beta1, step), self.at("beta2", self.config.beta2, step)

    def input_noise(self, step: int) -> float:
        """Standard deviation of the noise on all that D sees, falling linearly to 0."""
        return self.config.input_noise * max(0.0, 1.0 - step / self.config.input_noise_steps)


def smoothing(since: int, during: int) -> tuple[float, float]:
    """(factor of G's rate, of D's), `since` steps after a swap, for `during` steps of it: 1 + 0.3 /
    (s + 0.3) and 1 - 0.3 / (s + 0.6), by the code of GAP's authors.

    >>> smoothing(0, 4), smoothing(4, 4)
    ((2.0, 0.5), (1.0, 1.0))
    """
    if since >= during:
        return 1.0, 1.0
    return 1 + 0.3 / (since + 0.3), 1 - 0.3 / (since + 0.6)
