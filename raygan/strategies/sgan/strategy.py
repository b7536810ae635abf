"""SGAN: a global pair (G0, D0) learns from N independent local pairs (Chavdarova and Fleuret, 2018,
Algorithm 1).

    for i in 1 .. I                                         (line)
        each local n: I_D updates of D_n, one of G_n, alone  4-13   gan/pair.py
        D_msg[n] = copy(D_n)                                 14     opponents.py: Opponent.refresh
        each messenger: I_D updates against G0               15-21  messengers.py: Messengers.train
        G0: one step on the gradient summed over the         22-26  Messengers.judge,
            N messengers                                            GlobalPair.step_g
        D0: one step on the gradient summed over the         27-31  LocalGenerators.judge,
            N local generators                                      GlobalPair.step_d

The locals never get an output or a gradient of the global pair: the supervisor works on copies of
D_n and of G_n (or on samples that G_n published), with random streams of its own.

lockstep: global iteration i uses exactly version i of each local; locals run ahead by at most
          `max_lead` steps.
async:    the newest versions; none is used once it is more than `max_lag` steps behind the
          newest that was published, which is less than `messenger_lifetime` behind its publisher.

As printed, messengers live one iteration, cannot follow G0, and G0 runs into few modes; in the
presets they live longer, which was measured to work (`messenger_lifetime` 5 to 1000;
benchmarks/LOG.md). The sharper D is (Fourier features), the longer: its logits say something near
what it was trained on only, and G0 is elsewhere at first. The defaults here are the paper's.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import cast

from torch import nn

from raygan.config import Config, Spec
from raygan.gan.pair import Sharing
from raygan.gan.types import Player
from raygan.losses.base import LossComponent
from raygan.strategies.base import (
    Plan,
    Progress,
    Setup,
    same_networks,
)
from raygan.strategies.orders import Order, Train
from raygan.strategies.roles import GLOBAL, JUDGE, Role
from raygan.strategies.sgan import costs
from raygan.strategies.sgan.costs import sharing_of
from raygan.strategies.sgan.deputies import DeputyHere, Shard
from raygan.strategies.sgan.global_pair import GlobalPair
from raygan.strategies.sgan.opponents import Prior
from raygan.strategies.sgan.over import OverLocals


class Sgan(OverLocals):
    """Settings of the global pair; the defaults are Algorithm 1 as printed."""

    @property
    def deputies(self) -> int:
        """Processes beside the global pair's that hold messengers."""
        return self.messenger_shards - 1

    @property
    def deputised(self) -> str | None:
        """The global pair."""
        return GLOBAL

    def roles(self, config: Config) -> dict[str, Role]:
        """Those of the locals' strategy, and the global pair, whose generator all this is for."""
        return {**self.inner.roles(config), GLOBAL: Role(pair=False, main=True)}

    def needs_data(self, player: str) -> bool:
        """The global pair does, to train its messengers and D0 against real samples."""
        return player == GLOBAL or self.inner.needs_data(player)

    def comes_back_alone(self, player: str) -> bool:
        """A local, where its own strategy says so."""
        return player != GLOBAL and self.inner.comes_back_alone(player)

    def waits_within(self, player: str) -> bool:
        """Who does in the locals' strategy; the global pair takes what is there."""
        return player != GLOBAL and self.inner.waits_within(player)

    def lag_bound(self, config: Config) -> int:
        """A messenger's life in lockstep, `max_lag` in async."""
        return self.messenger_lifetime - 1 if config.pace == "lockstep" else self.max_lag

    def check_new(self, config: Config) -> None:
        """Also by what the locals do among themselves."""
        super().check_new(config)
        self.inner.check_new(config)

    def check_setup(self, setup: Setup) -> None:
        """Messengers are copies of the locals' discriminators, and meet G0 in one network."""
        self.inner.check_setup(setup)
        same_networks(
            setup,
            [*self.locals(setup.config), GLOBAL],
            ("D", "G"),
            "strategy.sgan copies each local's networks",
            optimizer=self.messenger_optimizer == "clone",
        )

    def audience(self, config: Config) -> list[str]:
        """The global pair has a messenger for each local."""
        return [*self.inner.audience(config), GLOBAL]

    def pinned(self, spec: Spec, config: Config) -> Spec:
        """Of the locals' strategy."""
        return {**spec, "over": self.inner.pinned(self.over, config)}

    def players(self, config: Config) -> list[str]:
        """The locals (with their judge, over PMGAN) and the global pair."""
        return [*self.inner.players(config), GLOBAL]

    def build(self, name: str, setup: Setup, sharing: Sharing | None = None) -> Player:
        """A local that publishes, or the global pair."""
        parts = setup.parts(GLOBAL)
        sharing = sharing_of(self, parts)
        if name != GLOBAL:
            return self.inner.build(name, setup, sharing)
        deputies = setup.deputies or [DeputyHere(self.deputy(setup)) for _ in range(self.deputies)]
        locals_, priors = self.locals(setup.config), partial(prior_of, setup.config)
        return GlobalPair(parts, self, locals_, setup.config.pace, sharing, priors, deputies)

    def deputy(self, setup: Setup) -> Shard:
        """A share of the messengers."""
        parts = setup.parts(GLOBAL)
        priors = partial(prior_of, setup.config)
        return Shard(parts, self, not sharing_of(self, parts).samples, priors)

    def discriminator(self, config: Config, name: str, shape: tuple[int, ...]) -> nn.Module:
        """A local's is as its own strategy makes it."""
        if name == GLOBAL:
            return super().discriminator(config, name, shape)
        return self.inner.discriminator(config, name, shape)

    def bytes_a_step(self, setup: Setup) -> float:
        """What the global pair pulls from each local, what its deputies get and answer, and what
        the locals send each other.
        """
        return costs.bytes_a_step(self, setup) + self.inner.bytes_a_step(setup)

    def traffic(self, setup: Setup) -> list[str]:
        """A pull's, what locals and the object store hold of them, the deputies'; then that of the
        locals' strategy.
        """
        return costs.traffic(self, setup) + self.inner.traffic(setup)

    def d_updates(self, config: Config) -> float:
        """Those of the locals, D0's against each of them, and a messenger's steps a local."""
        critic = float(cast(LossComponent, config.component("loss")).d_steps)
        more = self.global_d_steps + (self.messenger_steps or critic)
        return self.inner.d_updates(config) + config.num_pairs * more

    def shortened(self, steps: int) -> Sgan:
        """The global pair right behind its locals, whose own strategy is shortened as well."""
        inner = self.inner.shortened(steps)
        return self.model_copy(
            update={"max_lead": 1, "over": {"name": inner.name, **inner.model_dump(mode="json")}}
        )

    def apart(self, config: Config) -> str | None:
        """The global pair: what SGAN's paper promises."""
        return GLOBAL

    def decide(self, ready: Sequence[str], progress: Progress, plan: Plan) -> Sequence[Order]:
        """Locals do what their own strategy says, at most `max_lead` ahead; the global pair follows
        the slowest of them.
        """
        done = progress.done
        at = done[GLOBAL]
        # the locals' strategy must not wait for the global pair, nor count it
        alone = replace(progress, done={p: s for p, s in done.items() if p != GLOBAL})
        orders: list[Order] = []
        for order in self.inner.decide([p for p in ready if p != GLOBAL], alone, plan):
            # a judge's slots are not the global pair's business
            if isinstance(order, Train) and order.player not in (GLOBAL, JUDGE):
                # a local keeps what it has published until it is used: the lead is what bounds its
                # memory
                if plan.tempo == "lockstep":
                    lead = at + self.max_lead - done[order.player]
                    order = replace(order, steps=min(order.steps, lead))
                if order.steps <= 0:
                    continue
                order = kept_for_global(order, at)
            orders.append(order)
        return orders + global_orders(ready, done, plan)

    def stop_targets(self, done: Mapping[str, int], plan: Plan) -> dict[str, int]:
        """lockstep: all at the step of the one that is furthest, since published versions are not
        saved.
        """
        return dict.fromkeys(done, max(done.values())) if plan.tempo == "lockstep" else dict(done)


def global_orders(ready: Sequence[str], done: Mapping[str, int], plan: Plan) -> list[Order]:
    """The global pair's next one, where it is ready and its locals have published."""
    at = done[GLOBAL]
    # iteration i needs version i + 1 of every local: the slowest one says how far
    frontier = min(steps for player, steps in done.items() if player not in (GLOBAL, JUDGE))
    stop = plan.next_stop(at)
    if plan.tempo == "lockstep":
        stop = min(stop, frontier)
    # 0: nothing is published yet
    return [Train(GLOBAL, stop - at)] if GLOBAL in ready and stop > at and frontier > 0 else []


def kept_for_global(order: Train, at: int) -> Train:
    """A local's order that leaves what the global pair, at step `at`, has not read."""
    # it reads version `at` + 1 next: what is older is used
    unread = at + 1
    before = min(order.forget_before, unread) if order.forget_before else unread
    return replace(order, forget_before=before)


def prior_of(config: Config, local: str) -> Prior:
    """Of a local's z; also of one that is still to come."""
    return config.of(local).pair.prior
