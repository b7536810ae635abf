"""Which network each player holds, as swaps have given them; where a run goes back to a checkpoint,
so does this.

swap --> given: player -> (its step, birth name of what it was given), the newest last
restart, resume --> what was given after the checkpoint's own swaps is taken again
checkpoint --> what nobody can go back to any more is forgotten
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from typing import Any

Row = Mapping[str, Any]
BACK = ("restart", "resume")
"""Kinds of events after which a run is as it was at a checkpoint."""
CHECKPOINTS = 8
"""A run goes back by so many at most: what was given before these is not told apart any more."""


class Holds:
    """Of one run, from its events in order."""

    def __init__(self) -> None:
        self._given: dict[str, list[tuple[int, str]]] = {}
        self._checkpoints: deque[int] = deque(maxlen=CHECKPOINTS)

    @property
    def now(self) -> dict[str, str]:
        """player -> birth name; who was never given one is not named."""
        return {player: given[-1][1] for player, given in self._given.items()}

    def take(self, event: Row) -> None:
        """The next one, of any kind."""
        if event["kind"] == "swap":
            for move, at in zip(event["moves"], steps_of(event), strict=True):
                self._given.setdefault(move["player"], []).append((at, move["identity"]))
        elif event["kind"] in BACK:
            stays = kept_by(event)
            for player, given in self._given.items():
                while given and not stays(player, given[-1][0]):
                    given.pop()
            self._given = {player: given for player, given in self._given.items() if given}
        elif event["kind"] == "checkpoint":
            self._checkpoints.append(event["step"])
            self._forget(self._checkpoints[0])

    def _forget(self, before: int) -> None:
        # the newest of them stays: it is what a player holds since
        for given in self._given.values():
            old = sum(at <= before for at, _ in given)
            del given[: max(0, old - 1)]

    def dump(self) -> dict[str, Any]:
        """What is known, as JSON; `read` is the inverse."""
        return {"given": self._given, "checkpoints": [*self._checkpoints]}

    @classmethod
    def read(cls, told: Row) -> Holds:
        """What `dump` has written. Raises ValueError, KeyError, TypeError or AttributeError for
        anything else.
        """
        out = cls()
        for player, given in told["given"].items():
            out._given[player] = [(int(at), str(name)) for at, name in given]
            if not given:
                raise ValueError(player)
        out._checkpoints.extend(map(int, told["checkpoints"]))
        return out


def steps_of(swap: Row) -> list[int]:
    """Each mover's own step; the swap's where a line does not tell it (of an older release, or not
    of raygan at all).
    """
    told = [move.get("at") for move in swap["moves"]]
    return [at if isinstance(at, int) else int(swap["step"]) for at in told]


def kept_by(back: Row) -> Callable[[str, int], bool]:
    """Is what a player was given at its step still there, after the run has gone back?"""
    swapped, step = back.get("swapped"), back["step"]
    if not isinstance(swapped, Mapping):
        return lambda _, at: at <= step
    steps = {player: at for player, at in swapped.items() if isinstance(at, int)}
    return lambda player, at: at <= steps.get(player, -1)
