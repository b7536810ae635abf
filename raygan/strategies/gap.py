"""GAP: pairs swap discriminators (Im, Ma, Kim, Taylor, 2016, Algorithm 1).

    while t < T                                                       (Algorithm 1)
        update M_i = (G_i, D_i) for all i                             gan/pair.py
        if t % K == 0
            randomly select N/2 couples without replacement           matching
            swap D_i and D_j (G_i and G_j)                            Swap -> matchmaker, one journal record
    select the best GAN by GAM                                        metrics/gam.py

lockstep: all pairs meet at every K-th update. async: two pairs that have both done K updates since
their last swap are matched as soon as both are ready; a pair that has waited `max_wait` seconds
goes on alone, which is counted.

The discriminator travels as a whole: weights, buffers, optimizer, identity. Data order, prior and
noise stay with the pair.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Literal

from pydantic import Field

from raygan.config import Config
from raygan.errors import ConfigError
from raygan.gan.pair import Pair, Sharing
from raygan.gan.random_streams import derive_seed
from raygan.gan.trainer import Parts
from raygan.gan.weights import num_words
from raygan.strategies.base import (
    Plan,
    Progress,
    Setup,
    StrategyComponent,
    megabytes,
    same_networks,
)
from raygan.strategies.meetings import meet_or_train, next_point, no_meeting, over_the_worst
from raygan.strategies.orders import Order, Swap, Train


class Gap(StrategyComponent):
    """Settings of the swaps; `swap_every` is a period (the paper's "frequency 0.1 .. 1.0 per epoch"
    is 0.1 .. 1 epochs).
    """

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
            "lockstep: at each swap so many of the worst D are overwritten by the best (lowest"
            " loss_d)."
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

    @property
    def swaps(self) -> bool:
        """That is what it is for."""
        return True

    def comes_back_alone(self, player: str) -> bool:
        """No: the discriminator of its part may sit elsewhere by now."""
        return False

    def check_setup(self, setup: Setup) -> None:
        """Refuse shapes that cannot be swapped, before training starts."""
        same_networks(
            setup, self.locals(setup.config), [self.what], f"strategy.gap swaps {self.what}"
        )

    def notes(self, plan: Plan) -> list[tuple[str, str]]:
        """A period that is longer than the run."""
        # told before the run: it would train N pairs that never meet, and look like GAP
        settings = "strategy.swap_every or strategy.swap_warmup"
        return no_meeting(self.next_swap(0, plan), plan.steps, "no swap will happen", settings)

    def build(self, name: str, setup: Setup, sharing: Sharing | None = None) -> Pair:
        """A pair; that its network was another's is nothing that it has to know."""
        parts = setup.parts(name)
        if self.lr_smoothing:
            parts = replace(
                parts, smooth_steps=max(1, round(0.05 * setup.num_samples / parts.batch_size))
            )
        # a swap is done by whoever hosts it (`adopt`): a pair trains on with whatever D it has
        return Pair(name, parts, sharing)

    def parcel_bytes(self, parts: Parts) -> int:
        """Of a network on its way."""
        return parcel_bytes(parts, self.what, self.carry)

    def bytes_a_step(self, setup: Setup) -> float:
        """A parcel a pair and period, those between two of one actor included, which stay there."""
        sent = sum(self.parcel_bytes(setup.parts(p)) for p in self.locals(setup.config))
        return sent / self.period(Plan.of(setup.config, setup.num_samples))

    def traffic(self, setup: Setup) -> list[str]:
        """A swap's."""
        plan = Plan.of(setup.config, setup.num_samples)
        period = self.period(plan)
        parcel = megabytes(self.parcel_bytes(setup.parts(self.locals(setup.config)[0])))
        return [
            (
                f"a swap         {parcel} a pair every {period} updates,"
                f" {self.meetings(plan)} in all"
            ),
            *(f"warning {name}: {text}" for name, text in self.notes(plan)),
        ]

    def shortened(self, steps: int) -> Gap:
        """Five swaps."""
        return self.model_copy(
            update={"swap_every": max(1, steps // 5), "unit": "updates", "swap_warmup": 0}
        )

    # ---------------------------------------------------------------------------------------------------
    # when

    def updates(self, value: float, plan: Plan) -> int:
        """A period in updates."""
        return round(value * (plan.epoch_steps if self.unit == "epochs" else 1))

    def period(self, plan: Plan) -> int:
        """K, at least 1."""
        return max(1, self.updates(self.swap_every, plan))

    def meetings(self, plan: Plan) -> int:
        """Swap points of the whole run."""
        first, period = self.next_swap(0, plan), self.period(plan)
        return max(0, (plan.steps - 1 - first) // period + 1)

    def next_swap(self, step: int, plan: Plan) -> int:
        """The first swap point after `step`: a multiple of K, past the warm-up."""
        return next_point(step, self.period(plan), self.updates(self.swap_warmup, plan))

    # ------------------------------------------------------------------------------------------------
    # decisions

    def decide(self, ready: Sequence[str], progress: Progress, plan: Plan) -> list[Order]:
        """Train to the next swap point; swap when all are there (lockstep), or when two are
        (async).
        """
        return (self._lockstep if plan.tempo == "lockstep" else self._async)(ready, progress, plan)

    def _lockstep(self, ready: Sequence[str], progress: Progress, plan: Plan) -> list[Order]:
        players = sorted(progress.done)

        def swap(step: int) -> Swap:
            takes = overwrite_worst(
                takes_of(matching(players, plan.seed, step), players),
                progress.losses,
                self.winner_replace,
            )
            return Swap(step, tuple(sorted(takes.items())), self.what, self.carry)

        return meet_or_train(ready, progress, plan, lambda s: self.next_swap(s, plan), swap)

    def _async(self, ready: Sequence[str], progress: Progress, plan: Plan) -> list[Order]:
        done, orders = progress.done, list[Order]()
        due = [p for p in ready if self._due(p, progress, plan)]
        # the longest wait first; by name among equals, so that the order of arrivals does not
        # matter
        due.sort(key=lambda p: (-progress.waited.get(p, 0.0), p))
        while due:
            first = due.pop(0)
            # a swap never crosses a checkpoint: both sides of a saved cut must hold the same
            # discriminators
            mates = [
                p
                for p in due
                if done[p] // plan.checkpoint_every == done[first] // plan.checkpoint_every
            ]
            if mates:
                due.remove(mates[0])
                # two that have met are at different steps (async): the record stands at the later
                # one
                step = max(done[first], done[mates[0]])
                orders.append(
                    Swap(step, ((first, mates[0]), (mates[0], first)), self.what, self.carry)
                )
            elif progress.waited.get(first, 0.0) >= self.max_wait or not self._hope(
                first, ready, progress, plan
            ):
                orders.append(Train(first, plan.next_stop(done[first]) - done[first], missed=True))
        for p in ready:
            if not self._due(p, progress, plan) and done[p] < plan.steps:
                to_swap = max(
                    progress.swapped.get(p, 0) + self.period(plan),
                    self.updates(self.swap_warmup, plan),
                )
                stop = min(plan.next_stop(done[p]), to_swap if to_swap > done[p] else plan.steps)
                orders.append(Train(p, stop - done[p]))
        return orders

    def _due(self, player: str, progress: Progress, plan: Plan) -> bool:
        at = progress.done[player]
        return (
            # not at the end: a network that is swapped there is never trained by its new partner
            0 < at < plan.steps
            and at >= self.updates(self.swap_warmup, plan)
            and at - progress.swapped.get(player, 0) >= self.period(plan)
        )

    def _hope(self, player: str, ready: Sequence[str], progress: Progress, plan: Plan) -> bool:
        """May anybody who is still training come within this checkpoint interval?"""
        mine = progress.done[player] // plan.checkpoint_every
        return any(
            p not in ready and s // plan.checkpoint_every <= mine
            for p, s in progress.done.items()
            if p != player
        )


def parcel_bytes(parts: Parts, what: Literal["D", "G"], carry: Literal["all", "weights"]) -> int:
    """Of a network on its way to another pair."""
    words = num_words(parts.discriminator if what == "D" else parts.generator)
    # G's moving average goes where G goes: it is what is sampled from
    average = what == "G" and parts.config.ema > 0
    return 4 * words * (1 + average + (parts.config.optimizer_words if carry == "all" else 0))


def matching(players: Sequence[str], seed: int, step: int) -> list[tuple[str, str]]:
    """A random matching, a function of (seed, step); with an odd number one sits out.

    >>> len(matching(["a", "b", "c"], 0, 50))
    1
    """
    order = list(players)
    # no stream that is carried: after a resume, and on any number of processes, the same couples
    random.Random(derive_seed(seed, "matchmaker", "matching", step)).shuffle(order)
    return [(a, b) for a, b in zip(order[::2], order[1::2], strict=False)]


def takes_of(couples: Sequence[tuple[str, str]], players: Sequence[str]) -> dict[str, str]:
    """player -> whose network it takes; itself for one who sits out.

    >>> takes_of([("a", "c")], ["a", "b", "c"])
    {'a': 'c', 'b': 'b', 'c': 'a'}
    """
    takes = {p: p for p in players}
    for a, b in couples:
        takes[a], takes[b] = b, a
    return takes


def overwrite_worst(
    takes: Mapping[str, str], losses: Mapping[str, float], count: int
) -> dict[str, str]:
    """Winner-replace: whoever would take one of the `count` worst networks takes one of the best
    instead.

    >>> overwrite_worst({"a": "b", "b": "a"}, {"a": 0.1, "b": 0.9}, 1)
    {'a': 'a', 'b': 'a'}
    """
    # one without a loss (it has just joined) is taken for the worst
    ranked = sorted(takes, key=lambda p: (losses.get(p, float("inf")), p))
    better = over_the_worst(ranked, count)
    return {player: better.get(source, source) for player, source in takes.items()}
