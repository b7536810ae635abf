"""SGAN: a global pair (G0, D0) learns from N independent local pairs (Chavdarova and Fleuret, 2018,
Algorithm 1).

    for i in 1 .. I                                                              (line)
        each local n: I_D updates of D_n, one of G_n, alone                       4-13    gan/pair.py
        D_msg[n] = copy(D_n)                                                      14      opponents.py: Opponent.refresh
        each messenger: I_D updates against G0                                    15-21   messengers.py: Crew.train_messengers
        G0: one step on the gradient summed over the N messengers                 22-26   Crew.judge_g, GlobalPair.step_g
        D0: one step on the gradient summed over the N local generators           27-31   Crew.judge_d, GlobalPair.step_d

The locals never get an output or a gradient of the global pair: the supervisor works on copies of
D_n and of G_n (or on samples that G_n published), with random streams of its own.

lockstep: global iteration i uses exactly version i of each local; locals run ahead by at most
`max_lead` steps.
async:    the newest versions; none is used once it is more than `max_lag` steps behind its publisher.

As printed, messengers live one iteration, cannot follow G0, and G0 runs into few modes; in the
presets they live longer, which was measured to work (`messenger_lifetime` 5 to 100;
benchmarks/LOG.md). The defaults here are the paper's.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import cast

from torch import nn

from raygan.config import Config, Spec, load_component
from raygan.errors import ConfigError
from raygan.gan.pair import Parts, Sharing
from raygan.gan.types import Player
from raygan.gan.weights import num_words
from raygan.losses.base import LossComponent
from raygan.strategies.base import (
    Plan,
    Progress,
    Setup,
    StrategyComponent,
    megabytes,
    same_networks,
)
from raygan.strategies.orders import Order, Train
from raygan.strategies.roles import GLOBAL, JUDGE, Role
from raygan.strategies.sgan.global_pair import GlobalPair
from raygan.strategies.sgan.messengers import Crew, DeputyHere
from raygan.strategies.sgan.settings import SganSettings


class Sgan(SganSettings):
    """Settings of the global pair; the defaults are Algorithm 1 as printed."""

    def check(self, config: Config) -> None:
        """A copy must not be older than the bound while it is in use; locals that can be learned
        from.
        """
        if self.over.get("name") == "sgan":
            raise ConfigError(
                "strategy.sgan.over = 'sgan': a global pair learns from locals. Use independent,"
                " gap or pmgan."
            )
        self.inner.check(config)
        if self.combine == "odds":
            raise ConfigError(
                "strategy.sgan.combine = 'odds': odds need messengers that stay with their data and"
                " are never copied anew. Use --strategy federated."
            )
        if self.messenger_shards > 1 and self.variant == "early_global":
            raise ConfigError(
                f"strategy.sgan.messenger_shards = {self.messenger_shards}: variant early_global"
                " goes from one messenger to the next. Set it to 1, or use --strategy.variant"
                " full."
            )
        if self.messenger_shards > config.num_pairs:
            raise ConfigError(
                f"strategy.sgan.messenger_shards = {self.messenger_shards}: there are"
                f" {config.num_pairs} pairs, a messenger each. Lower it."
            )
        if self.over.get("feedback") == "gradients":
            raise ConfigError(
                "strategy.sgan.over.feedback = 'gradients': its generators hold no discriminator"
                " that a messenger could copy. Use feedback weights."
            )
        if config.pace == "async" and self.messenger_lifetime > self.max_lag:
            instead = "lower messenger_lifetime" if self.max_lag else "use --max-ahead 0 (lockstep)"
            raise ConfigError(
                f"strategy.sgan.max_lag = {self.max_lag} is below messenger_lifetime ="
                f" {self.messenger_lifetime}. Raise max_lag or {instead}."
            )

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

    def lag_bound(self, config: Config) -> int:
        """A messenger's life in lockstep, `max_lag` in async."""
        return self.messenger_lifetime - 1 if config.pace == "lockstep" else self.max_lag

    @property
    def inner(self) -> StrategyComponent:
        """The locals' own strategy."""
        inner = load_component("strategy", self.over)
        assert isinstance(inner, StrategyComponent), "strategies/ holds StrategyComponents only"
        return inner

    def check_setup(self, setup: Setup) -> None:
        """Messengers are copies of the locals' discriminators, and meet G0 in one network."""
        self.inner.check_setup(setup)
        same_networks(
            setup,
            [*self.locals(setup.config), GLOBAL],
            ("D", "G"),
            "strategy.sgan copies each local's networks",
        )

    def notes(self, plan: Plan) -> list[tuple[str, str]]:
        """Those of the locals' strategy."""
        return self.inner.notes(plan)

    def together(self, config: Config) -> list[list[str]]:
        """Those of the locals' strategy."""
        return self.inner.together(config)

    def follows(self, player: str) -> bool:
        """Who does in the locals' strategy."""
        return self.inner.follows(player)

    def waits_within(self, player: str) -> bool:
        """Who does in the locals' strategy."""
        return player != GLOBAL and self.inner.waits_within(player)

    @property
    def packs(self) -> bool:
        """Where the locals' strategy has whole pairs."""
        return self.inner.packs

    @property
    def swaps(self) -> bool:
        """Where the locals' strategy does."""
        return self.inner.swaps

    def readers(self, config: Config, player: str) -> int:
        """Among the locals; the global pair never waits."""
        return self.inner.readers(config, player)

    @property
    def elastic(self) -> bool:
        """Where the locals' strategy is."""
        return self.inner.elastic

    def needs_data(self, player: str) -> bool:
        """The global pair does, to train its messengers and D0 against real samples."""
        return player == GLOBAL or self.inner.needs_data(player)

    def comes_back_alone(self, player: str) -> bool:
        """A local, where its own strategy says so."""
        return player != GLOBAL and self.inner.comes_back_alone(player)

    def audience(self, config: Config) -> list[str]:
        """The global pair has a messenger for each local."""
        return [*self.inner.audience(config), GLOBAL]

    def answers(self, config: Config) -> list[str]:
        """Whoever does among the locals."""
        return self.inner.answers(config)

    def pinned(self, spec: Spec, config: Config) -> Spec:
        """Of the locals' strategy."""
        return {**spec, "over": self.inner.pinned(self.over, config)}

    def locals(self, config: Config) -> list[str]:
        """The locals' names."""
        return self.inner.locals(config)

    def players(self, config: Config) -> list[str]:
        """The locals (with their judge, over PMGAN) and the global pair."""
        return [*self.inner.players(config), GLOBAL]

    def build(self, name: str, setup: Setup, sharing: Sharing | None = None) -> Player:
        """A local that publishes, or the global pair."""
        parts = setup.parts(GLOBAL)
        sharing = self.sharing(parts)
        if name != GLOBAL:
            return self.inner.build(name, setup, sharing)
        deputies = setup.deputies or [DeputyHere(self.deputy(setup)) for _ in range(self.deputies)]
        return GlobalPair(
            parts, self, self.locals(setup.config), setup.config.pace, sharing, deputies
        )

    def deputy(self, setup: Setup) -> Crew:
        """A share of the messengers."""
        parts = setup.parts(GLOBAL)
        return Crew(parts, self, self.sharing(parts))

    def discriminator(self, config: Config, name: str, shape: tuple[int, ...]) -> nn.Module:
        """A local's is as its own strategy makes it."""
        if name == GLOBAL:
            return super().discriminator(config, name, shape)
        return self.inner.discriminator(config, name, shape)

    def sharing(self, parts: Parts) -> Sharing:
        """What each local publishes, and how often."""
        batches = self.messenger_lifetime * self.global_d_steps
        as_samples = batches * parts.batch_size * math.prod(parts.data.shape)
        samples = self.share_generators == "samples" or (
            self.share_generators == "auto" and as_samples < num_words(parts.generator)
        )
        return Sharing(
            every=self.messenger_lifetime,
            samples=batches if samples else 0,
            optimizer=self.messenger_optimizer == "clone",
            precision=self.publish,
        )

    def bytes_a_step(self, setup: Setup) -> float:
        """What the global pair pulls from each local, what its deputies get and answer, and what
        the locals send each other.
        """
        parts = setup.parts(GLOBAL)
        sharing = self.sharing(parts)
        pulled = setup.config.num_pairs * sharing.nbytes(parts) / sharing.every
        return (
            pulled + self.deputies * sum(self.deputy_bytes(parts)) + self.inner.bytes_a_step(setup)
        )

    def traffic(self, setup: Setup) -> list[str]:
        """A pull's, what locals and the object store hold of them, the deputies'; then that of the
        locals' strategy.
        """
        config, parts = setup.config, setup.parts(GLOBAL)
        sharing, rounds, store_mb = (
            self.sharing(parts),
            config.round_steps,
            config.resources.object_store_mb,
        )
        pull = sharing.nbytes(parts)
        held = config.num_pairs * pull * math.ceil((self.max_lead + rounds) / sharing.every)
        in_store = config.num_pairs * pull * math.ceil(rounds / sharing.every)
        lines = [
            (
                f"a pull         {megabytes(pull)} a local every {sharing.every} steps: D, and G as"
                f" {'samples' if sharing.samples else 'weights'}"
            ),
            f"held by locals at most {megabytes(held)} (max_lead {self.max_lead})",
            (
                f"object store   about {megabytes(in_store)} a round of {rounds} steps, of"
                f" {store_mb} MB"
            ),
        ]
        if self.deputies:
            there, back = (megabytes(b) for b in self.deputy_bytes(parts))
            lines.append(
                f"deputies       {self.deputies}: {there} to each, {back} back, at each of its"
                " steps"
            )
        if in_store > 0.7 * store_mb * 2**20:
            lines.append(
                "               more than 70 % of the store: lower round_steps or raise"
                " messenger_lifetime"
            )
        return lines + self.inner.traffic(setup)

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

    def deputy_bytes(self, parts: Parts) -> tuple[int, int]:
        """A step's to a deputy, and back: G0 and D0; gradients by the batch of G0 and by D0's
        weights.
        """
        d = num_words(parts.discriminator)
        return 4 * (num_words(parts.generator) + d), 4 * (
            parts.batch_size * math.prod(parts.data.shape) + d
        )

    def decide(self, ready: Sequence[str], progress: Progress, plan: Plan) -> Sequence[Order]:
        """Locals do what their own strategy says, at most `max_lead` ahead; the global pair follows
        the slowest of them.
        """
        done = progress.done
        at = done[GLOBAL]
        alone = replace(progress, done={p: s for p, s in done.items() if p != GLOBAL})
        orders: list[Order] = []
        for order in self.inner.decide([p for p in ready if p != GLOBAL], alone, plan):
            if isinstance(order, Train) and order.player not in (GLOBAL, JUDGE):
                keep = at + 1 if order.forget_before == 0 else min(order.forget_before, at + 1)
                steps = order.steps
                if plan.tempo == "lockstep":
                    steps = min(steps, at + self.max_lead - done[order.player])
                order = replace(order, steps=steps, forget_before=keep)
                if steps <= 0:
                    continue
            orders.append(order)
        frontier = min(steps for player, steps in done.items() if player not in (GLOBAL, JUDGE))
        stop = plan.next_stop(at)
        if plan.tempo == "lockstep":
            stop = min(stop, frontier)
        if GLOBAL in ready and stop > at and frontier > 0:  # 0: nothing is published yet
            orders.append(Train(GLOBAL, stop - at))
        return orders

    def stop_targets(self, done: Mapping[str, int], plan: Plan) -> dict[str, int]:
        """lockstep: all at the step of the one that is furthest, since published versions are not
        saved.
        """
        return dict.fromkeys(done, max(done.values())) if plan.tempo == "lockstep" else dict(done)
