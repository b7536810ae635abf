"""GAP: pairs swap discriminators (Im, Ma, Kim, Taylor, 2016, Algorithm 1).

    while t < T                                                  (Algorithm 1)
        update M_i = (G_i, D_i) for all i                        gan/pair.py
        if t % K == 0
            randomly select N/2 couples without replacement      couples.py: matching
            swap D_i and D_j (G_i and G_j)                       Swap -> matchmaker, one journal
                                                                 record
    select the best GAN by GAM                                   metrics/gam.py

lockstep: all pairs meet at every K-th update. async: two pairs that have both done K updates since
their last swap are matched as soon as both are ready (ready.py); a pair that has waited `max_wait`
seconds goes on alone, which is counted.

The discriminator travels as a whole: weights, buffers, optimizer, identity. Data order, prior and
noise stay with the pair.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import ClassVar, Literal

from pydantic import Field

from raygan.config import Config
from raygan.errors import ConfigError
from raygan.gan.pair import Pair, Sharing
from raygan.strategies.base import (
    Plan,
    Progress,
    Setup,
    StrategyComponent,
    megabytes,
    parcel_bytes,
    same_networks,
)
from raygan.strategies.gap.couples import matching, overwrite_worst, takes_of
from raygan.strategies.gap.ready import Ready
from raygan.strategies.meetings import Points, meet_or_train, no_meeting
from raygan.strategies.orders import Order, Swap


class Gap(StrategyComponent):
    """Settings of the swaps; `swap_every` is a period (the paper's "frequency 0.1 .. 1.0 per epoch"
    is 0.1 .. 1 epochs).
    """

    swaps: ClassVar[bool] = True

    swap_every: float = Field(50, gt=0, description="Period K between two swaps, in `unit`.")
    unit: Literal["updates", "epochs"] = Field(
        "updates", description="Of swap_every and swap_warmup."
    )
    swap_warmup: float = Field(0, ge=0, description="No swap before this point.")
    what: Literal["D", "G"] = Field(
        "D", description="What moves; the two differ in where data order and noise stay."
    )
    carry: Literal["all", "weights"] = Field(
        "all", description="all: with the optimizer's state; weights: as the authors did."
    )
    lr_smoothing: bool = Field(
        False, description="After a swap G's rate is raised and D's lowered, for 5 % of an epoch."
    )
    winner_replace: int = Field(
        0,
        ge=0,
        description=(
            "lockstep: at each swap so many of the worst D are overwritten by the best (lowest mean"
            " loss_d since the swap before)."
        ),
    )
    max_wait: float = Field(
        5.0, ge=0, description="async: seconds that a pair waits for a partner before it goes on."
    )

    def check(self, config: Config) -> None:
        """It takes two to swap."""
        if config.num_pairs < 2:
            raise ConfigError(
                f"num_pairs = {config.num_pairs}: GAP needs two pairs to swap. Use --num-pairs 2,"
                " or --strategy independent."
            )
        if self.winner_replace > config.num_pairs // 2:
            raise ConfigError(
                f"strategy.gap.winner_replace = {self.winner_replace}: at most half of the"
                f" {config.num_pairs} pairs can be overwritten. Lower it."
            )
        if self.winner_replace and config.pace == "async":
            raise ConfigError(
                f"strategy.gap.winner_replace = {self.winner_replace}: ranks all pairs at one step."
                " Use --tempo lockstep."
            )

    def comes_back_alone(self, player: str) -> bool:
        """No: the discriminator of its part may sit elsewhere by now."""
        return False

    def check_setup(self, setup: Setup) -> None:
        """Refuse what cannot be swapped, before training starts."""
        pairs, why = self.locals(setup.config), f"strategy.gap swaps {self.what}"
        same_networks(setup, pairs, [self.what], why, optimizer=self.carry == "all")

    def notes(self, plan: Plan) -> list[tuple[str, str]]:
        """A period that is longer than the run."""
        # told before the run: it would train N pairs that never meet, and look like GAP
        settings = "strategy.swap_every or strategy.swap_warmup"
        return no_meeting(self.points(plan).after(0), plan.steps, "no swap will happen", settings)

    def build(self, name: str, setup: Setup, sharing: Sharing | None = None) -> Pair:
        """A pair; that its network was another's is nothing that it has to know."""
        parts = setup.parts(name)
        if self.lr_smoothing:
            parts = replace(
                parts, smooth_steps=max(1, round(0.05 * setup.num_samples / parts.batch_size))
            )
        # a swap is done by whoever hosts it (`adopt`): a pair trains on with whatever D it has
        return Pair(name, parts, sharing)

    def bytes_a_step(self, setup: Setup) -> float:
        """A parcel a pair and period, those between two of one actor included, which stay there."""
        pairs = self.locals(setup.config)
        sent = sum(parcel_bytes(setup.parts(p), self.what, self.carry) for p in pairs)
        return sent / self.points(Plan.of(setup.config, setup.num_samples)).period

    def traffic(self, setup: Setup) -> list[str]:
        """A swap's."""
        plan = Plan.of(setup.config, setup.num_samples)
        points = self.points(plan)
        first = setup.parts(self.locals(setup.config)[0])
        parcel = megabytes(parcel_bytes(first, self.what, self.carry))
        return [
            (
                f"a swap         {parcel} a pair every {points.period} updates,"
                f" {points.count(plan.steps)} in all"
            ),
            *(f"warning {name}: {text}" for name, text in self.notes(plan)),
        ]

    def shortened(self, steps: int) -> Gap:
        """Five swaps."""
        return self.model_copy(
            update={"swap_every": max(1, steps // 5), "unit": "updates", "swap_warmup": 0}
        )

    # ----------------------------------------------------------------------------------------------
    # decisions

    def points(self, plan: Plan) -> Points:
        """When pairs meet, in updates."""
        unit = plan.epoch_steps if self.unit == "epochs" else 1
        return Points(max(1, round(self.swap_every * unit)), round(self.swap_warmup * unit))

    def decide(self, ready: Sequence[str], progress: Progress, plan: Plan) -> list[Order]:
        """Train to the next swap point; swap when all are there (lockstep), or when two are
        (async).
        """
        points = self.points(plan)
        if plan.tempo == "async":
            couples = Ready(ready, progress, plan, points, self.max_wait)
            return couples.orders(lambda step, a, b: self._swap(step, {a: b, b: a}))
        players = sorted(progress.done)

        def swap(step: int) -> Swap:
            takes = takes_of(matching(players, plan.seed, step), players)
            better = overwrite_worst(takes, progress.losses, self.winner_replace)
            return self._swap(step, dict(sorted(better.items())))

        return meet_or_train(ready, progress, plan, points.after, swap)

    def _swap(self, step: int, takes: Mapping[str, str]) -> Swap:
        return Swap(step, tuple(takes.items()), self.what, self.carry)
