"""PMGAN: K generators share one discriminator D and one K-way classifier C (Xiao, Rajasekaran,
2019, section 3).

    generator k --slot k: samples, version, checksum--> judge: D step on the mixture,
                                                        C step, beta_k          (Fig. 1)
                <--D and C (or d loss / d samples), beta_k--                    (eq. 2-4)
    G_k minimises  g_loss(D(x)) + beta_k CE(C(x), k)

The K slots are the board's shelves `gen-03/slot`: each holds one frozen object, replaced as a whole
by the next.

lockstep: the judge's step i uses slot version i of every generator, then every generator's step i
          uses the judge's version i + 1. Bit for bit the same everywhere.
async:    a generator takes the newest D, C and beta that have reached it, and waits for newer ones
          only where it is `max_lag` steps ahead of the judge's updates; the judge steps whenever
          slots are fresh. Every lag is reported, and every wait.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cache, partial
from typing import ClassVar, cast

from torch import nn

from raygan.config import Config, Spec
from raygan.errors import ConfigError
from raygan.gan.pair import Sharing
from raygan.gan.random_streams import Streams
from raygan.gan.types import Loss, Player
from raygan.losses.base import LossComponent
from raygan.networks.base import NetworkComponent
from raygan.strategies.base import Plan, Progress, Setup, same_networks
from raygan.strategies.orders import Order, Train
from raygan.strategies.pmgan import costs
from raygan.strategies.pmgan.generator import Generator
from raygan.strategies.pmgan.judge import Judge
from raygan.strategies.pmgan.networks import RealOrNot, WhichOne
from raygan.strategies.pmgan.settings import PmganSettings
from raygan.strategies.pmgan.slots import share_of
from raygan.strategies.roles import JUDGE, Role


def generator_name(index: int) -> str:
    """
    >>> generator_name(3)
    'gen-03'
    """
    return f"gen-{index:02d}"


OF_THE_JUDGE = dict.fromkeys(
    ("input_noise", "input_noise_steps"), "all samples that the judge's D sees have the run's"
)
"""Settings of `pair` that no generator has of its own, and why."""


def loss_of(config: Config, generator: str) -> Loss:
    """A generator's own, which `pairs` may give it; also of one that is still to come."""
    return cast(Loss, config.of(generator).component("loss"))


class Pmgan(PmganSettings):
    """Settings of the judge and of the balance; the generators' loss is the run's (reverse_kl is
    the paper's).
    """

    # a generator alone is no pair, and the judge is one batched model already
    packs: ClassVar[bool] = False
    unread: ClassVar[Mapping[str, str]] = {
        "feature_matching": "generators see no real samples whose features they could match",
        "data_order": "only the judge reads real samples",
    }

    def roles(self, config: Config) -> dict[str, Role]:
        """The judge has no generator, and is the discriminator of all the others."""
        return {**super().roles(config), JUDGE: Role(pair=False, scored=False, judges=True)}

    def needs_data(self, player: str) -> bool:
        """The judge; generators learn from its word on their samples."""
        return player == JUDGE

    def comes_back_alone(self, player: str) -> bool:
        """A generator."""
        return player != JUDGE

    def answers(self, config: Config) -> list[str]:
        """A generator waits for the judge's."""
        return [JUDGE]

    def audience(self, config: Config) -> list[str]:
        """Whose slots count is the judge's to know."""
        return [JUDGE]

    def pinned(self, spec: Spec, config: Config) -> Spec:
        """The classifier keeps its size."""
        return {**spec, "classes": self.num_classes(config)}

    def check(self, config: Config) -> None:
        """Every generator needs a class of its own, for life; what a generator learns from is the
        judge's word on its samples.
        """
        # each may have a loss of its own (`pairs`)
        for player in [*self.locals(config), JUDGE]:
            loss = config.of(player).component("loss")
            if isinstance(loss, LossComponent) and loss.needs_real:
                raise ConfigError(
                    f"loss {loss.name}: it pairs each generated sample with a real one, and PMGAN's"
                    " generators see no data. Use non_saturating, reverse_kl or hinge with"
                    " strategy pmgan, or this loss with independent, gap or sgan."
                )
        if config.pace == "async" and not self.max_lag:
            raise ConfigError(
                "strategy.pmgan.max_lag = 0: no generator would be ahead of the judge's answers."
                " Use --max-ahead 0 (lockstep, bit for bit)."
            )
        # by the highest number, not by how many there are: a number that has left is never given
        # again
        if max(config.ids) >= self.num_classes(config):
            raise ConfigError(
                f"num_pairs = {max(config.ids) + 1}: the classifier has {self.num_classes(config)}"
                " classes, one for each generator that ever takes part. Raise strategy.classes"
                " (before the run starts) or lower num_pairs."
            )

    def check_new(self, config: Config) -> None:
        """Also noise of a generator's own, in place of the run's."""
        super().check_new(config)
        for player in self.locals(config):
            own = config.of(player).pair
            for name, why in OF_THE_JUDGE.items():
                if (value := getattr(own, name)) != getattr(config.pair, name):
                    raise ConfigError(
                        f"pairs.pair.{name} = {value!r}: changes nothing with strategy pmgan:"
                        f" {why}. Leave it out, or set pair.{name}."
                    )

    def check_setup(self, setup: Setup) -> None:
        """Generators may differ; the judge's D must fit in all of them when its weights travel."""
        if self.feedback == "weights":
            same_networks(
                setup,
                [*self.locals(setup.config), JUDGE],
                ["D"],
                "strategy.pmgan sends D's weights",
            )

    def readers(self, config: Config, player: str) -> int:
        """async: of the judge, all generators that ever take part."""
        return self.num_classes(config) if player == JUDGE and config.pace == "async" else 1

    def bytes_a_step(self, setup: Setup) -> float:
        """A slot and an answer a generator."""
        return costs.bytes_a_step(self, setup)

    def traffic(self, setup: Setup) -> list[str]:
        """A slot's and an answer's."""
        return costs.traffic(self, setup)

    def d_updates(self, config: Config) -> float:
        """The judge's one update has a batch of each generator, and counts as K."""
        return float(config.num_pairs)

    def locals(self, config: Config) -> list[str]:
        """The generators' names."""
        return [generator_name(i) for i in config.ids]

    def follows(self, player: str) -> bool:
        """The judge counts by the slowest generator."""
        return player == JUDGE

    def waits_within(self, player: str) -> bool:
        """Generators do, at the judge, where it waits for all slots."""
        return self.judge_update == "all_fresh" and player != JUDGE

    def players(self, config: Config) -> list[str]:
        """K generators and the judge."""
        return [*self.locals(config), JUDGE]

    def build(self, name: str, setup: Setup, sharing: Sharing | None = None) -> Player:
        """A generator, or the judge."""
        parts = setup.parts(name)
        classes = self.num_classes(setup.config)
        classifier = setup.classifier(name, classes + self.joint)
        if self.joint:
            # one network, seen in two ways: its optimizer is one as well (`Judge.opt_c`)
            parts, classifier = (
                replace(parts, discriminator=RealOrNot(classifier)),
                WhichOne(classifier),
            )
        if name == JUDGE:
            generators, tempo = self.locals(setup.config), setup.config.pace
            losses = cache(partial(loss_of, setup.config))
            return Judge(parts, classifier, classes, self, generators, tempo, losses)
        # what D sees is under one noise, whosever it is
        noise = {name: getattr(setup.config.pair, name) for name in OF_THE_JUDGE}
        parts = replace(parts, config=parts.config.model_copy(update=noise))
        if self.generator_batch == "share":
            parts = replace(parts, batch_size=share_of(parts.batch_size, classes))
        config = setup.config
        members = len(self.locals(config))
        return Generator(
            name, parts, classifier, self.within(config), config.pace, members, sharing
        )

    def within(self, config: Config) -> Pmgan:
        """With a lag that keeps generators within `max_ahead` of each other where they bound
        themselves: the slowest is at most one step behind the judge's updates.
        """
        # where the judge takes what is fresh nobody is bounded by it, and `max_ahead` is the
        # controller's to keep
        if not self.waits_within(generator_name(0)):
            return self
        return self.model_copy(update={"max_lag": min(self.max_lag, config.max_ahead - 1)})

    def discriminator(self, config: Config, name: str, shape: tuple[int, ...]) -> nn.Module:
        """That of the judge may be a part of its classifier."""
        if not self.joint:
            return super().discriminator(config, name, shape)
        # with its classifier's head: the weights of a checkpoint are those of the (K+1)-way network
        network = cast(NetworkComponent, config.of(name).component("network"))
        return RealOrNot(
            network.classifier(shape, self.num_classes(config) + 1, Streams(0, "unused").at("init"))
        )

    def decide(self, ready: Sequence[str], progress: Progress, plan: Plan) -> list[Order]:
        """lockstep: judge and generators in turn, a step each. async: everybody to the end of its
        round.
        """
        done = progress.done
        at = done[JUDGE]
        slowest = min(steps for p, steps in done.items() if p != JUDGE)
        orders: list[Order] = []
        for p in ready:
            # the judge goes on for one that came back late
            if plan.tempo == "async" and done[p] >= plan.steps:
                stop = done[p] + 1 if p == JUDGE and slowest < plan.steps else done[p]
            elif plan.tempo == "async":
                stop = plan.next_stop(done[p])
            elif p == JUDGE:
                # the judge's step i takes slots i of all; a generator's step i the answer i + 1
                stop = min(at + 1, plan.steps) if slowest >= at else at
            else:
                stop = min(done[p] + 1, at)
            if stop > done[p]:
                orders.append(
                    Train(p, stop - done[p], forget_before=slowest + 1 if p == JUDGE else at)
                )
        return orders

    def stop_targets(self, done: Mapping[str, int], plan: Plan) -> dict[str, int]:
        """lockstep: all at the step of the one that is furthest."""
        return dict.fromkeys(done, max(done.values())) if plan.tempo == "lockstep" else dict(done)
