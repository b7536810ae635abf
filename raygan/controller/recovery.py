"""What a failure leads to: decided here from the run's state, carried out by the loop.

underway(death)    async: those of one process come back, the others never stop      Revive ... | nobody
together(failure)  everybody goes back to the newest checkpoint, or the run ends     Restart | Retire | Stop

`newest` reads the newest checkpoint that is whole, and names those that were passed over.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from raygan.controller.checkpoint import Checkpoint
from raygan.controller.state import RunState, number_of
from raygan.errors import NonFiniteError, PlayerDied

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
    if not state.may_return(death.home, death.kind):
        return []
    checkpoint, problems = newest()
    if checkpoint is None and problems:
        return []  # nor can they be begun anew: what they were is lost
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
        return Stop(tuple(problems))
    if action == "without":
        return Retire(failure.player, without(checkpoint, failure.player), tuple(problems))
    return Restart(checkpoint, tuple(problems))


def without(checkpoint: Checkpoint | None, player: str) -> Checkpoint | None:
    """The checkpoint of all others."""
    if checkpoint is None:
        return None
    members = [i for i in checkpoint.extra["members"] if i != number_of(player)]
    parts = {p: raw for p, raw in checkpoint.parts.items() if p != player}
    return replace(checkpoint, parts=parts, extra={**checkpoint.extra, "members": members})
