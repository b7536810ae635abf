"""What a failure leads to: decided here from the run's state, carried out by the loop.

underway(death)    async: those of one process come back, the others never stop
                       -> Revive ... | nobody
together(failure)  everybody goes back to the newest checkpoint, or the run ends
                       -> Restart | Retire | Stop

`newest` reads the newest checkpoint that is whole, and names those that were passed over.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from raygan.controller.checkpoint import Checkpoint
from raygan.controller.state import RunState, with_members
from raygan.errors import ConfigError, NonFiniteError, PlayerDied
from raygan.strategies.base import strategy_of
from raygan.strategies.roles import number_of

Newest = Callable[[], tuple[Checkpoint | None, list[str]]]


@dataclass(frozen=True)
class Revive:
    """A player leaves, and joins again at `step`, from its state `raw`; None: begun anew."""

    player: str
    step: int
    raw: bytes | None
    saved: int | None
    """Its step in the newest checkpoint, if it is there."""
    problems: tuple[str, ...] = ()


@dataclass(frozen=True)
class Restart:
    """Everybody from this checkpoint; None: from the beginning."""

    checkpoint: Checkpoint | None
    problems: tuple[str, ...] = ()


@dataclass(frozen=True)
class Retire:
    """The others go on from this checkpoint, which is without `player`."""

    player: str
    checkpoint: Checkpoint | None
    problems: tuple[str, ...] = ()


@dataclass(frozen=True)
class Stop:
    """The run ends: because of the failure, or where there are problems because no checkpoint is
    whole.
    """

    problems: tuple[str, ...] = ()


def underway(state: RunState, death: PlayerDied, newest: Newest) -> list[Revive]:
    """async: bring all that lived in the process back from their parts of the last checkpoint; []
    where that cannot be.
    """
    if not may_return(state, death.home, death.kind):
        return []
    checkpoint, problems = newest()
    if checkpoint is None and problems:
        # nor can they be begun anew: what they were is lost
        return []
    out = list[Revive]()
    for player in death.home:
        raw = checkpoint.parts.get(player) if checkpoint else None
        step = checkpoint.steps[player] if checkpoint and raw is not None else 0
        out.append(Revive(player, step, raw, None if raw is None else step, tuple(problems)))
    return out


def together(
    state: RunState, failure: PlayerDied | NonFiniteError, action: str, newest: Newest
) -> Restart | Retire | Stop:
    """`action`: what `Failures` has decided."""
    if action == "stop":
        return Stop()
    checkpoint, problems = newest()
    if checkpoint is None and problems:
        # a checkpoint was committed and none can be read: never another beginning
        return Stop(tuple(problems))
    if action == "without":
        return Retire(failure.player, without(checkpoint, failure.player), tuple(problems))
    return Restart(checkpoint, tuple(problems))


def can_spare(state: RunState, *players: str) -> bool:
    """Is there a run without these players?"""
    config, strategy = state.config, state.strategy
    if not strategy.elastic or not set(players) <= {*strategy.locals(config), *state.away}:
        return False
    left = [i for i in config.ids if i not in map(number_of, players)]
    if not left:
        return False
    try:
        strategy_of(with_members(config, strategy, left))
    except ConfigError:
        return False
    return True


def may_return(state: RunState, players: Sequence[str], kind: str) -> bool:
    """May those of one process be taken out and come back, while the others go on?"""
    return (
        state.plan.tempo == "async"
        # a run that stops, or halts for a notice, waits for all of its members: none may leave now
        and state.stop_signal is None and not state.leaving and can_spare(state, *players)
        and all(state.strategy.comes_back_alone(player) for player in players)
        and getattr(state.config.failures, kind) == "restart"
        and not state.failures.spent(kind, state.failures.counts[kind] + 1)
    )  # fmt: skip


def without(checkpoint: Checkpoint | None, player: str) -> Checkpoint | None:
    """The checkpoint of all others."""
    if checkpoint is None:
        return None
    members = [i for i in checkpoint.extra["members"] if i != number_of(player)]
    parts = {p: raw for p, raw in checkpoint.parts.items() if p != player}
    return replace(checkpoint, parts=parts, extra={**checkpoint.extra, "members": members})
