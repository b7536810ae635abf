"""Pairs with settings that nobody tuned; the better ones are copied over the worse, within one run
(population based training: Jaderberg et al., 2017).

    each pair draws its shares of lr_g, lr_d, the penalties' weights, betas    exploring.py
    every `exploit_every` steps all meet (lockstep):
        rank by distance to held-out data, without labels    member.py, metrics/nearness.py
        the worst `exploit_share` take networks, optimizers  Swap of whole pairs -> matchmaker,
            and settings of the best, and explore            one journal record, settings in it

Who takes whose, and with which settings it goes on, is decided here from what the members said of
themselves; the journal has it. Data order, prior and noise stay with the pair.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import ClassVar

from pydantic import Field

from raygan.config import Config
from raygan.errors import ConfigError
from raygan.gan.pair import Sharing
from raygan.metrics.nearness import Rule
from raygan.strategies.base import (
    Plan,
    Progress,
    Setup,
    StrategyComponent,
    lacks,
    megabytes,
    parcel_bytes,
    same_networks,
)
from raygan.strategies.meetings import Points, meet_or_train, no_meeting, over_the_worst
from raygan.strategies.orders import Order, Swap
from raygan.strategies.partition import parts_of, unlike
from raygan.strategies.population.exploring import BETAS, Ranges, drawn, explored
from raygan.strategies.population.member import Member, Ranking

AROUND, AS_CONFIGURED = (1 / 30, 30.0), (1.0, 1.0)


class Population(StrategyComponent):
    """Settings of the draw, the rank, exploit and explore."""

    # members are ranked, not learned from; whole pairs are what is swapped
    publishes: ClassVar[bool] = False
    swaps: ClassVar[bool] = True
    ranks: ClassVar[bool] = True

    lr_g: tuple[float, float] = Field(
        AROUND, description="Range of a member's rate of G, as a share of pair.lr_g; log-uniform."
    )
    lr_d: tuple[float, float] = Field(AROUND, description="The same of D and pair.lr_d.")
    gamma: tuple[float, float] = Field(
        AROUND, description="The same of the loss's penalties and their weights."
    )
    beta1: tuple[float, float] = Field(
        AS_CONFIGURED,
        description="The same of 1 - pair.beta1; [1, 1]: all have the configured one.",
    )
    beta2: tuple[float, float] = Field(AS_CONFIGURED, description="The same of 1 - pair.beta2.")
    exploit_every: int = Field(250, gt=0, description="Steps between two exploits.")
    exploit_warmup: int = Field(
        0, ge=0, description="No exploit before this step: early ranks favour quick starts."
    )
    exploit_share: float = Field(
        0.25, ge=0, le=0.5, description="Of the members are overwritten each time; 0: none ever."
    )
    explore_factor: float = Field(
        1.25, ge=1, description="A copied setting is multiplied or divided by it."
    )
    resample: float = Field(
        0.0, ge=0, le=1, description="Probability that a copied setting is drawn anew instead."
    )
    rank_by: Rule = Field(
        "neighbours",
        description=(
            "Distance to held-out data: precision and coverage by neighbours, and energy; or energy"
            " alone."
        ),
    )
    rank_samples: int = Field(1000, gt=1, description="Samples that a member is ranked by.")

    @property
    def ranges(self) -> Ranges:
        """Of each setting, as shares."""
        # betas that nobody draws are no settings of a member: no column, no number drawn for them
        betas = {k: r for k in BETAS if (r := getattr(self, k)) != AS_CONFIGURED}
        return {"lr_g": self.lr_g, "lr_d": self.lr_d, "gamma": self.gamma, **betas}

    def check(self, config: Config) -> None:
        """Ranges that are some; members that can be ranked, at one step and by one measure."""
        for name, (low, high) in self.ranges.items():
            if not 0 < low <= high < math.inf:
                raise ConfigError(
                    f"strategy.population.{name} = [{low:g}, {high:g}]: a range is two shares above"
                    " 0, the smaller one first. Use [0.03, 30]."
                )
        if config.num_pairs < 2:
            raise ConfigError(
                f"num_pairs = {config.num_pairs}: a population needs two pairs. Use --num-pairs 8,"
                " or --strategy independent."
            )
        if config.pace == "async":
            raise ConfigError(
                "strategy.population: ranks all pairs at one step. Use --tempo lockstep."
            )
        if (rule := unlike(config)) is not None:
            raise ConfigError(
                f"data.partition = {rule}: pairs on unlike data cannot be ranked by one measure."
                " Use data.partition shared, or --strategy independent."
            )

    def check_new(self, config: Config) -> None:
        """Also ranges of what no member has; ranks that are by other points for each."""
        super().check_new(config)
        lacking = [lacks(config.of(p)) for p in self.locals(config)]
        for name, asked in self.ranges.items():
            whys = [of_one.get(name) for of_one in lacking]
            usual = (AS_CONFIGURED, type(self).model_fields[name].default)
            if all(whys) and asked not in usual:
                raise ConfigError(
                    f"strategy.population.{name} = {list(asked)}: changes nothing: {whys[0]}. Leave"
                    " it out."
                )
        if parts_of(config) < math.inf:
            raise ConfigError(
                f"data.partition = {config.data['partition']}: each member would be ranked by"
                " held-out samples of its own, and some by easier ones. Use data.partition shared,"
                " or --strategy independent."
            )

    def check_setup(self, setup: Setup) -> None:
        """Refuse what cannot be copied, before training starts."""
        same_networks(
            setup,
            self.locals(setup.config),
            ("D", "G"),
            "strategy.population copies pairs",
            optimizer=True,
        )

    def notes(self, plan: Plan) -> list[tuple[str, str]]:
        """A period that is longer than the run."""
        if not self.exploit_share:
            return []
        settings = "strategy.exploit_every or exploit_warmup"
        return no_meeting(self.points.after(0), plan.steps, "no pair will be copied", settings)

    def build(self, name: str, setup: Setup, sharing: Sharing | None = None) -> Member:
        """A pair with the settings that are drawn for it."""
        settings = drawn(self.ranges, setup.config.seed, name)
        ranking = Ranking(self.exploit_every, self.rank_samples, self.rank_by)
        return Member(name, setup.parts(name), settings, ranking)

    def bytes_a_step(self, setup: Setup) -> float:
        """Of the pairs that are copied, those between two of one actor included."""
        count = overwritten(self.exploit_share, setup.config.num_pairs)
        return count * pair_bytes(self, setup) / self.exploit_every

    def traffic(self, setup: Setup) -> list[str]:
        """An exploit's."""
        count = overwritten(self.exploit_share, setup.config.num_pairs)
        times = self.points.count(setup.config.steps) if count else 0
        return [
            f"an exploit     {count} x {megabytes(pair_bytes(self, setup))} every"
            f" {self.exploit_every} updates from {self.points.after(0)} on, {times} in all"
        ]

    def shortened(self, steps: int) -> Population:
        """Five exploits."""
        return self.model_copy(update={"exploit_every": max(1, steps // 5), "exploit_warmup": 0})

    # ------------------------------------------------------------------------------------------
    # decisions

    @property
    def points(self) -> Points:
        """When exploits are."""
        return Points(self.exploit_every, self.exploit_warmup)

    def decide(self, ready: Sequence[str], progress: Progress, plan: Plan) -> list[Order]:
        """Train to the next exploit; exploit when all are there."""
        return meet_or_train(
            ready, progress, plan, self.points.after, lambda s: self.exploit(s, progress, plan)
        )

    def exploit(self, step: int, progress: Progress, plan: Plan) -> Swap:
        """The worst take a whole pair each, of the best, and explore its settings."""
        count = overwritten(self.exploit_share, len(progress.done))
        takes = takers(progress.own, sorted(progress.done), count)
        settings = {}
        for player, source in takes.items():
            if player != source:
                # what the source has said of itself, not what was drawn for it: it may have
                # explored since
                of = {k: progress.own[source][k] for k in self.ranges}
                settings[player] = explored(
                    of, self.ranges, self.explore_factor, self.resample, (plan.seed, player, step)
                )
        return Swap(
            step,
            tuple(takes.items()),
            "pair",
            settings=tuple((p, tuple(s.items())) for p, s in settings.items()),
        )


def overwritten(share: float, members: int) -> int:
    """How many take another's networks at an exploit: at least one, unless nobody ever does.

    >>> overwritten(0.25, 8), overwritten(0.01, 8), overwritten(0.5, 3), overwritten(0.0, 8)
    (2, 1, 1, 0)
    """
    # half at most: nobody is both overwritten and copied
    return min(members // 2, max(1, round(share * members))) if share else 0


def takers(
    own: Mapping[str, Mapping[str, float]], players: Sequence[str], count: int
) -> dict[str, str]:
    """player -> whose pair it takes: the `count` worst by distance those of the `count` best;
    nobody takes from one that has none. One without is worst.

    >>> takers({"a": {"distance": 0.1}, "b": {"distance": 0.3}, "c": {}}, ["a", "b", "c"], 1)
    {'a': 'a', 'b': 'b', 'c': 'a'}
    """
    far = {p: own.get(p, {}).get("distance", math.inf) for p in players}
    ranked = sorted(players, key=lambda p: (far[p], p))
    # one without a distance is worst; among equals the name decides, so that a resume decides alike
    better = over_the_worst(ranked, count)
    return {p: s if math.isfinite(far[s := better.get(p, p)]) else p for p in players}


def pair_bytes(strategy: Population, setup: Setup) -> int:
    """Of a whole pair on its way."""
    parts = setup.parts(strategy.locals(setup.config)[0])
    return parcel_bytes(parts, "D", "all") + parcel_bytes(parts, "G", "all")
