"""A pair with settings of its own, which says how far its generator is from held-out data."""

from __future__ import annotations

import math
import sys
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from raygan.errors import NonFiniteError
from raygan.gan.bad_steps import BadSteps
from raygan.gan.modes import evaluated
from raygan.gan.pair import Pair
from raygan.gan.random_streams import Streams, sample_prior
from raygan.gan.trainer import Parts
from raygan.gan.types import At, Report, State
from raygan.metrics.nearness import Rule, distance
from raygan.strategies.population.exploring import BETAS, shortened

PREFIX = "own."
"""Before the settings in a state."""
CHUNK = 500
"""Samples that a network makes at once."""


@dataclass(frozen=True)
class Ranking:
    """When members say how far they are, and by what."""

    every: int
    samples: int
    by: Rule


class Member(Pair):
    """Trains with its shares of the configured rates and penalties."""

    def __init__(
        self, name: str, parts: Parts, settings: Mapping[str, float], ranking: Ranking
    ) -> None:
        super().__init__(name, parts)
        self.settings = dict(settings)
        self.ranking = ranking
        # settings with which no step is finite are to be found out, not to end the run: a better
        # member will overwrite this one (its skipped steps are counted, and told)
        self.bad_steps = BadSteps(name, sys.maxsize)

    # ------------------------------------------------------------------------------------------
    # settings of its own

    def set_rates(self) -> None:
        """Follow the schedules, by its own shares; Adam's betas too, where they are drawn."""
        share = self.scheduled.rate(self.step)
        for optimizer, lr, name in (
            (self.opt_g, self.config.lr_g, "lr_g"),
            (self.opt_d, self.config.lr_d, "lr_d"),
        ):
            self.scheduled.set_betas(optimizer, self.step)
            optimizer.param_groups[0]["lr"] = lr * share * self.settings[name]
            if self.settings.keys() & set(BETAS):
                pairs = zip(self.scheduled.betas(self.step), BETAS, strict=True)
                optimizer.param_groups[0]["betas"] = tuple(
                    shortened(beta, self.settings.get(own, 1.0)) for beta, own in pairs
                )

    def update_of_d(self, i: int, steps: int) -> At:
        """Its share of the penalties' weights."""
        at = super().update_of_d(i, steps)
        return at._replace(gamma=at.gamma * self.settings["gamma"])

    def go_on_with(self, settings: Mapping[str, float]) -> None:
        """From the next step on."""
        self.settings = dict(settings)

    def held(self) -> State:
        """With its settings."""
        return {**super().held(), **{PREFIX + k: v for k, v in self.settings.items()}}

    def restore(self, state: State) -> None:
        """One that was no member keeps the settings that were drawn for this one."""
        super().restore(state)
        self.settings = {
            k: float(str(state.get(PREFIX + k, drawn))) for k, drawn in self.settings.items()
        }

    # ------------------------------------------------------------------------------------------
    # how good it is

    def own(self) -> Report:
        """Its settings; where members are ranked also its distance to held-out data."""
        said = {f"own/{k}": v for k, v in self.settings.items()}
        # when all meet, and at the end, where the last ranks are told
        if self.step % self.ranking.every == 0 or self.step == self.parts.total_steps:
            said["own/distance"] = self.distance()
        return said

    def distance(self) -> float:
        """From the generator to be sampled from to held-out data; infinite where a weight is not
        finite: it ranks last, and is not given away.
        """
        try:
            self.check()
        except NonFiniteError:
            return math.inf
        # the same real points for all members: what is drawn does not decide who is better
        common = Streams(self.streams.seed, "population").at("held-out", self.step, "cpu")
        real = self.data.held_out_batch(self.ranking.samples, common)
        return distance(self.drawn().cpu(), real, self.ranking.by)

    @torch.no_grad()
    def drawn(self) -> Tensor:
        """Samples of its (averaged) generator, (samples, *shape), by a stream of their own."""
        stream, network = self.streams.at("rank", self.step), self.average
        z = sample_prior(self.config.prior, (self.ranking.samples, self.parts.z_dim), stream)
        # as it is sampled from: with batch norm's averages, not its batch's
        with evaluated(network), self.streams.for_layers(self.step, "layers/rank"):
            return torch.cat([network(part) for part in z.split(CHUNK)])
