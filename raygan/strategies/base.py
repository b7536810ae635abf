"""What strategies share: orders, the plan that they decide by, and how a player is built from a
config.

decide(ready, progress, plan) -> [Train("pair-00", 50), Swap(...), ...]    a pure function of the history: no cluster
"""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Literal, cast

import torch
from torch import nn

from raygan.config import Component, Config, Spec, Tempo
from raygan.data.base import Samples
from raygan.errors import ConfigError, RayganError
from raygan.gan.pair import Parts, Sharing
from raygan.gan.random_streams import Streams
from raygan.gan.types import Loss, Player
from raygan.gan.weights import num_words, signature
from raygan.losses.base import LossComponent
from raygan.networks.base import NetworkComponent
from raygan.own.names import label
from raygan.strategies.orders import Order, Train
from raygan.strategies.partition import (
    check_parts,
    component_of,
    parts_of,
    read,
    sources_of,
    unlike,
    with_parts,
)
from raygan.strategies.roles import Role


def pair_name(index: int) -> str:
    """
    >>> pair_name(3)
    'pair-03'
    """
    return f"pair-{index:02d}"


@dataclass(frozen=True)
class Progress:
    """What has happened so far, as far as decisions depend on it."""

    done: Mapping[str, int]
    """Steps of each player."""
    swapped: Mapping[str, int] = field(default_factory=dict)
    """Each player's own step at its last swap."""
    losses: Mapping[str, float] = field(default_factory=dict)
    """loss_d of each player's last round."""
    waited: Mapping[str, float] = field(default_factory=dict)
    """Seconds that each ready player has been ready (async only)."""
    own: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    """What each player said of itself at its last round's end (`own/NAME` of its report), finite."""
    credit: Mapping[str, int] = field(default_factory=dict)
    """Steps that a player which joined was behind then; nobody waits for these (`controller/pace.py`)."""


@dataclass(frozen=True)
class Plan:
    """How far, and where everybody stops for a moment."""

    steps: int
    tempo: Tempo
    round_steps: int
    evaluate_every: int
    checkpoint_every: int
    seed: int = 0
    epoch_steps: float = 0.0
    """Updates that an epoch takes: training samples / batch size."""
    max_ahead: int | None = None
    """async: steps that a player may be ahead of the slowest (`controller/pace.py`); None: any number."""
    unlike: str | None = None
    """What gives pairs unlike data (`data.partition`); None where it does not."""

    @classmethod
    def of(cls, config: Config, samples: int) -> Plan:
        """The plan of a config over a training set of so many samples."""
        return cls(
            config.steps,
            config.pace,
            config.round_steps,
            config.evaluation.every_steps,
            config.checkpoint.every_steps,
            config.seed,
            samples / config.batch_size,
            config.max_ahead,
            unlike(config),
        )

    def next_stop(self, step: int) -> int:
        """The first step after `step` at which a round ends.

        >>> Plan(1000, "lockstep", 50, 120, 500).next_stop(100)
        120
        """
        return min(
            self.steps,
            *(
                (step // n + 1) * n
                for n in (self.round_steps, self.evaluate_every, self.checkpoint_every)
            ),
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
    shared: dict[str, nn.Module] = field(default_factory=dict, compare=False)
    """Layers that several players of this process have in common."""
    deputies: Sequence[Any] = field(default=(), compare=False)
    """Other processes that do a part of a player's work."""
    own: Mapping[str, Samples] = field(default_factory=dict, compare=False)
    """The parts of the pairs that live in this process, where pairs do not share all samples."""

    @property
    def num_samples(self) -> int:
        """Training samples that an epoch takes: all, or on the average of the parts."""
        counts = [part.train for part in self.data.parts.values()]
        return round(sum(counts) / len(counts)) if counts else len(self.data.train)

    def parts(self, name: str) -> Parts:
        """Networks, loss and streams of one player; raises ConfigError where they do not fit the
        data.
        """
        c = self.config.of(name)
        network, loss = cast(NetworkComponent, c.component("network")), c.component("loss")
        assert isinstance(loss, LossComponent), "losses/ holds LossComponents only"
        check_judges(network, loss, c.pair.feature_matching)
        streams = Streams(c.seed, name, self.device)
        return Parts(
            generator=network.generator(self.data.shape, streams.at("init-g", device="cpu")),
            discriminator=network.discriminator(
                self.data.shape, streams.at("init-d", device="cpu")
            ),
            z_dim=network.z_dim,
            loss=cast(Loss, loss),
            data=self.own.get(name, self.data),
            batch_size=c.batch_size,
            config=c.pair,
            total_steps=c.steps,
            streams=streams,
        )

    def classifier(self, name: str, classes: int) -> nn.Module:
        """A classifier like the player's discriminator, with `classes` logits (N, classes)."""
        network = cast(NetworkComponent, self.config.of(name).component("network"))
        stream = Streams(self.config.seed, name, self.device).at("init-c", device="cpu")
        return network.classifier(self.data.shape, classes, stream)


def check_judges(network: NetworkComponent, loss: LossComponent, feature_matching: float) -> None:
    """Raises ConfigError where a loss and a discriminator of one or several parts do not belong
    together.
    """
    if network.judges == 1 and loss.num_judges == 1:
        return
    if loss.r1 or loss.r2:
        raise ConfigError(
            "loss.r1, loss.r2: R1 and R2 take one discriminator. Set them to 0, or loss"
            f" {loss.name}'s own."
        )
    wanted = {1: "one", 2: "two", None: "several"}[loss.num_judges]
    if network.judges < 2 if loss.num_judges is None else network.judges != loss.num_judges:
        use = "loss gman" if loss.num_judges == 1 else "network.judges 2"
        raise ConfigError(
            f"network.judges = {network.judges}: loss {loss.name} is made for {wanted} of them. Set"
            f" {use}, or change both."
        )
    if feature_matching:
        raise ConfigError(
            "pair.feature_matching: takes one discriminator. Set it to 0, or network.judges to 1."
        )


def megabytes(count: float) -> str:
    """
    >>> megabytes(2_500_000)
    '2.5 MB'
    """
    return f"{count / 1e6:.1f} MB" if count >= 100_000 else f"{count / 1e3:.1f} kB"


class StrategyComponent(Component):
    """One paper: who plays, and what to do when players are ready."""

    def together(self, config: Config) -> list[list[str]]:
        """Players that must live in one process."""
        return []

    @property
    def packs(self) -> bool:
        """Are the locals whole pairs, several of which can be one batched model?"""
        return True

    @property
    def deputies(self) -> int:
        """Processes beside the players' own that work for one of them (`Setup.deputies`)."""
        return 0

    def deputy(self, setup: Setup) -> Any:
        """What such a process holds."""
        raise NotImplementedError(f"{self.name} has no deputies")

    @property
    def ranks(self) -> bool:
        """Do its members tell their distance to held-out data (`own/distance`)?"""
        return False

    @property
    def swaps(self) -> bool:
        """Does it ever order a Swap? Then there is a matchmaker."""
        return False

    def readers(self, config: Config, player: str) -> int:
        """The most players that wait at once for what this one publishes (Board.peek)."""
        return 1

    @property
    def elastic(self) -> bool:
        """May members join and leave while the run goes on?"""
        return True

    def follows(self, player: str) -> bool:
        """Are its steps the slowest one's, so that nobody can be ahead of it?"""
        return False

    def comes_back_alone(self, player: str) -> bool:
        """async: may this player go on from its own part of a checkpoint while the others are
        further? Not where it holds what another one had then.
        """
        return self.elastic

    def audience(self, config: Config) -> list[str]:
        """Players that have to be told who the members are (their `set_members`)."""
        return []

    def needs_data(self, player: str) -> bool:
        """Does this player train on real samples? One that is no pair has no part of them
        (`data.partition`).
        """
        return True

    def answers(self, config: Config) -> list[str]:
        """async: players for whose answer others wait within a round; a run that is to stop has
        these go on until nobody does.
        """
        return []

    def pinned(self, spec: Spec, config: Config) -> Spec:
        """The strategy's settings with what must not follow the number of members, once that
        changes.
        """
        return spec

    def check(self, config: Config) -> None:
        """Raises ConfigError where this strategy and the rest of the config contradict each other."""

    def check_setup(self, setup: Setup) -> None:
        """Raises ConfigError where the networks that the config builds contradict this strategy;
        before anything starts.
        """

    def notes(self, plan: Plan) -> list[tuple[str, str]]:
        """Named warnings about a run that works but does not do what one would expect: (name,
        text).
        """
        return []

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
        loss = cast(LossComponent, config.component("loss"))
        return config.num_pairs * float(loss.d_steps)

    def waits_within(self, player: str) -> bool:
        """async: does it wait for all others of these within its rounds? Then these keep within
        `max_ahead` of each other by that, and nobody holds one of them for another.
        """
        return False

    @property
    def isolated(self) -> bool:
        """Do its pairs never hear of each other? Then they are a control group for those that do."""
        return False

    def lag_bound(self, config: Config) -> int | None:
        """Steps that the main player's copies of the others may be behind, on the mean; None: not
        told.
        """
        return None

    def shortened(self, steps: int) -> StrategyComponent:
        """Itself with everything that it does from time to time done within so few steps, for
        `raygan verify`.
        """
        return self

    def apart(self, config: Config) -> str | None:
        """A player that learns from the others without a trace in them; None where there is none.
        `raygan verify` tries it.
        """
        return None

    def locals(self, config: Config) -> list[str]:
        """The pairs' names."""
        return [pair_name(i) for i in config.ids]

    def players(self, config: Config) -> list[str]:
        """All players' names, in a fixed order."""
        return self.locals(config)

    def roles(self, config: Config) -> dict[str, Role]:
        """What each player is. One that is no local is taken for neither a pair nor a generator,
        unless a strategy says so.
        """
        pairs = set(self.locals(config))
        return {
            p: Role() if p in pairs else Role(pair=False, scored=False)
            for p in self.players(config)
        }

    def scored(self, config: Config) -> list[str]:
        """The players that have a generator."""
        return [p for p, role in self.roles(config).items() if role.scored]

    @property
    def deputised(self) -> str | None:
        """The player that deputies work for."""
        return None

    @abstractmethod
    def build(self, name: str, setup: Setup, sharing: Sharing | None = None) -> Player:
        """Make a player, in the process that will host it; `sharing`: what a local publishes for a
        global pair.
        """

    def discriminator(self, config: Config, name: str, shape: tuple[int, ...]) -> nn.Module:
        """A player's D, untrained: to load a checkpoint into."""
        network = cast(NetworkComponent, config.of(name).component("network"))
        return network.discriminator(shape, Streams(0, "unused").at("init"))

    @abstractmethod
    def decide(self, ready: Sequence[str], progress: Progress, plan: Plan) -> Sequence[Order]:
        """Orders for the players in `ready`, given what has happened."""

    def stop_targets(self, done: Mapping[str, int], plan: Plan) -> dict[str, int]:
        """A consistent cut near `done`: where each player should stop so that a checkpoint can be
        taken.
        """
        return dict(done)


def checked(
    strategy: StrategyComponent, orders: Sequence[Order], players: Sequence[str]
) -> Sequence[Order]:
    """The orders, all of which are for players of the run. Raises RayganError."""
    for order in orders:
        named = (
            [order.player]
            if isinstance(order, Train)
            else [p for take in order.takes for p in take]
        )
        if strangers := sorted(set(named) - set(players)):
            raise RayganError(
                f"strategy {label(strategy.name)} orders {strangers[0]}, who is no player of this"
                f" run, in {order}. Mend its decide()."
            )
    return orders


def idle_for_ever(
    strategy: StrategyComponent, behind: Mapping[str, int], steps: int
) -> RayganError:
    """What to raise where nobody works and the strategy orders nothing, before the players `behind`
    have come to their end.
    """
    return RayganError(
        f"strategy {label(strategy.name)} orders nobody, at steps {dict(behind)} of {steps}. Mend"
        " its decide(), or report this as a defect where it is raygan's own."
    )


class The:
    """A config as a key: this object, which is frozen and stays alive with the key."""

    def __init__(self, config: Config) -> None:
        self.config = config

    def __hash__(self) -> int:
        return id(self.config)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, The) and other.config is self.config


REMEMBERED = 8
"""Configs whose answers are kept: a run has one, and another for each change of its members."""


def strategy_of(config: Config) -> StrategyComponent:
    """The config's strategy, made and checked against the rest of it once. Raises ConfigError."""
    return _strategy(The(config))


@lru_cache(REMEMBERED)
def _strategy(of: The) -> StrategyComponent:
    strategy = of.config.component("strategy")
    assert isinstance(strategy, StrategyComponent), "strategies/ holds StrategyComponents only"
    strategy.check(of.config)
    check_parts(strategy, of.config)
    return strategy


def homes(config: Config, players: Sequence[str]) -> list[list[str]]:
    """Who lives with whom, an actor each: pairs that share layers, and `resources.pairs_per_actor`
    pairs with numbers that follow each other; everybody else alone.
    """
    return [list(home) for home in _homes(The(config), tuple(players))]


@lru_cache(REMEMBERED)
def _homes(of: The, players: tuple[str, ...]) -> tuple[tuple[str, ...], ...]:
    config = of.config
    strategy, size = strategy_of(config), config.resources.pairs_per_actor
    size = (
        1 if size == "auto" or not strategy.packs else size
    )  # auto, not settled yet: no more actors than this
    where = {p: f"shared-{i}" for i, group in enumerate(strategy.together(config)) for p in group}
    for player in strategy.locals(config):
        where.setdefault(
            player, f"pack-{int(player.rpartition('-')[2]) // size}" if size > 1 else player
        )
    found: dict[str, list[str]] = {}
    for player in players:
        found.setdefault(where.get(player, player), []).append(player)
    return tuple(map(tuple, found.values()))


def num_processes(config: Config) -> int:
    """Actors that take a share of the cluster: homes and deputies."""
    strategy = strategy_of(config)
    return len(homes(config, strategy.players(config))) + strategy.deputies


def with_data(config: Config) -> list[str]:
    """The pairs that train on real samples, and have a part of them each where these are not
    shared.
    """
    strategy = strategy_of(config)
    return [p for p in strategy.locals(config) if strategy.needs_data(p)]


def load_data(config: Config) -> Samples:
    """The config's data set, with what is known of parts that are cut from it; pairs' own SOURCEs
    are not looked at.
    """
    data = read(component_of(config), config.seed)
    if component_of(config).partition == "shared" or sources_of(config):
        return data
    pairs, parts = with_data(config), int(parts_of(config))
    to_come = [pair_name(i) for i in range(max(config.ids) + 1, parts)] if pairs else []
    return with_parts(config, [*pairs, *to_come], data)


def is_critic(config: Config) -> bool:
    """Are the logits of a D with this loss scores without a threshold?"""
    return bool(getattr(config.component("loss"), "critic", False))


def same_networks(
    setup: Setup, players: Sequence[str], which: Sequence[Literal["D", "G"]], why: str
) -> None:
    """Raises ConfigError when the players' networks are not all of one shape; `why` tells who needs
    that.
    """
    seen: dict[str, tuple[str, str]] = {}
    for player in players:
        parts = setup.parts(player)
        for kind in which:
            network = parts.discriminator if kind == "D" else parts.generator
            first = seen.setdefault(kind, (player, signature(network)))
            if first[1] != signature(network):
                raise ConfigError(
                    f"{why}: {kind} of {player} ({num_words(network):,} numbers) is not of the"
                    f" shape of {first[0]}'s. Give `pairs` networks with the same {kind}, or use"
                    " --strategy independent."
                )
