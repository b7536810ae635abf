"""The strategy that a config has chosen, made and checked once; what follows from it about data and
processes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache

from raygan.config import Config
from raygan.data.base import Samples
from raygan.data.reading import read
from raygan.errors import ConfigError, RayganError, did_you_mean
from raygan.losses.base import LossComponent
from raygan.own.names import label
from raygan.strategies.base.component import StrategyComponent
from raygan.strategies.base.members import pair_name
from raygan.strategies.orders import Order, Train
from raygan.strategies.partition import parts_of, with_parts
from raygan.strategies.sources import component_of, sources_of


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
    # shared layers first: those cannot be split, packs can
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


def generating(config: Config) -> list[str]:
    """The pairs that have a generator, whose samples make the mixture: a federated run's sites have
    none.
    """
    strategy = strategy_of(config)
    with_g = set(strategy.scored(config))
    return [p for p in strategy.locals(config) if p in with_g]


def mixed(config: Config) -> bool:
    """Is there a mixture to be scored?"""
    return len(generating(config)) > 1


def load_data(config: Config) -> Samples:
    """The config's data set, with what is known of parts that are cut from it; pairs' own SOURCEs
    are not looked at.
    """
    data = read(component_of(config), config.seed)
    # pairs with SOURCEs of their own are read where they live; only an outline is needed here
    if component_of(config).partition == "shared" or sources_of(config):
        return data
    # of members to come as well: a joiner's part must not depend on when it joins
    pairs, parts = with_data(config), int(parts_of(config))
    to_come = [pair_name(i) for i in range(max(config.ids) + 1, parts)] if pairs else []
    return with_parts(config, [*pairs, *to_come], data)


def threshold_of(config: Config) -> float | None:
    """The logit above which a D with this loss takes a sample for real; None: there is none."""
    loss = config.component("loss")
    assert isinstance(loss, LossComponent), "losses/ holds LossComponents only"
    return loss.threshold


def check_parts(strategy: StrategyComponent, config: Config) -> None:
    """Raises ConfigError for a partition where somebody who is no pair needs real samples, and for
    pairs that have no part.
    """
    component = component_of(config)
    rule = component.partition
    if rule == "shared":
        return
    pairs = strategy.locals(config)
    told = rule if isinstance(rule, str) else "{pair: SOURCE}"
    for player in strategy.players(config):
        if player not in pairs and strategy.needs_data(player):
            raise ConfigError(
                f"data.partition = {told}: {player} of strategy {label(strategy.name)} needs real"
                " samples, and has no part of its own. Use --strategy federated, gap or"
                " independent, or data.partition shared."
            )
    if isinstance(rule, str):
        parts = component.partition_parts or config.num_pairs
        if (most := max(config.ids)) >= parts:
            raise ConfigError(
                f"data.partition = {told}: there are {parts} parts, and none for pair {most}. Start"
                " a new run."
            )
    else:
        _check_sources(rule, pairs, component.partition_parts or 0, config)


def _check_sources(
    rule: Mapping[str, object], pairs: Sequence[str], parts: int, config: Config
) -> None:
    """Raises ConfigError for a SOURCE of nobody, and for a pair that has none."""
    to_come = [pair_name(i) for i in range(parts)]
    for pair in rule:
        if pair not in pairs and pair not in to_come and not config.members:  # else it has left
            raise ConfigError(
                f"data.partition: no pair named {pair!r}. {did_you_mean(pair, pairs)} For pairs"
                " that join later set data.partition_parts to how many there will be."
            )
    if missing := [p for p in pairs if p not in rule]:
        raise ConfigError(
            f"data.partition: no SOURCE for {missing[0]}: num_pairs = {config.num_pairs}, and"
            f" {len(rule)} have one. Add it, or set num_pairs."
        )


def checked(
    strategy: StrategyComponent, orders: Sequence[Order], players: Sequence[str]
) -> Sequence[Order]:
    """The orders, all of which are for players of the run. Raises RayganError."""
    for order in orders:
        named = (
            [order.player]
            # a swap names its players twice: those who take, and those whose network is taken
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
