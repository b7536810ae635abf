"""Who is to be a member: of which numbers a request is carried out, and which cannot be.

Numbers are never given twice: whoever leaves takes its number along,
whoever joins gets the next one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from raygan.controller.state import RunState, with_members
from raygan.errors import ConfigError
from raygan.strategies.base import pair_name, strategy_of
from raygan.strategies.partition import parts_of
from raygan.strategies.roles import number_of
from raygan.strategies.sources import sources_of


@dataclass(frozen=True)
class Target:
    """What a request comes to."""

    members: tuple[int, ...]
    leaving: list[str]
    joining: list[str]

    @property
    def changes(self) -> bool:
        """Has anybody to come or to go?"""
        return bool(self.leaving or self.joining)


def target(state: RunState, pairs: int, at: int, decided: Sequence[int] | None = None) -> Target:
    """Who leaves and who joins. at: the step at which that is to be, 0 in async; decided: numbers
    of the members, where the request was taken up before. Raises ConfigError where that cannot be.
    """
    refuse(state, pairs, at)
    gone = {number_of(p) for p in state.failures.degraded if p in state.roles}
    # else the run has gone on without one of them
    still = decided and not gone & set(decided)
    members = tuple(decided or ()) if still else numbers(state, pairs)
    after = with_members(state.config, state.strategy, members)
    # strategy_of checks what only it knows, as the number of classes
    players = strategy_of(after).players(after)
    leaving = [p for p in state.players if p not in players]
    return Target(members, leaving, [p for p in players if p not in state.players])


def numbers(state: RunState, pairs: int) -> tuple[int, ...]:
    """Of so many members: the first of those that are there, and new ones. Raises ConfigError."""
    ids = list(state.config.ids)
    ever = max([*ids, *(int(n) for n in state.totals.seen)])
    new = [ever + 1 + i for i in range(pairs - len(ids))]
    sources = sources_of(state.config)
    if lacking := [n for n in new if sources and pair_name(n) not in sources]:
        raise ConfigError(
            f"--pairs {pairs}: data.partition gives no part to a pair that joins: no SOURCE for"
            f" {pair_name(lacking[0])}. Start a new run that has one for it, with"
            " data.partition_parts = how many pairs there will be."
        )
    if new and max(new) >= parts_of(state.config):
        raise ConfigError(
            f"--pairs {pairs}: data.partition gives no part to a pair that joins. Start a new"
            " run, with data.partition_parts for those to come."
        )
    return (*ids[:pairs], *new)


def refuse(state: RunState, pairs: int, at: int) -> None:
    """Raises ConfigError where members cannot change, or not into so many."""
    strategy, end = state.strategy, state.plan.steps
    if not strategy.elastic:
        raise ConfigError(
            f"strategy {strategy.name} with shared weights: its members are fixed while it"
            " runs. Set share_weights to false."
        )
    if pairs < 1:
        raise ConfigError(f"--pairs {pairs}: at least 1 must stay.")
    if any(state.done[p] >= end for p in state.players) or at >= end:
        raise ConfigError("the run is at its end. `raygan resume RUN --steps +1000` first.")


def too_late(state: RunState) -> bool:
    """Have all stopped by now who would have to do with a newcomer?"""
    listeners = state.strategy.audience(state.config) or state.strategy.locals(state.config)
    return all(state.done[p] >= state.plan.steps for p in listeners)
