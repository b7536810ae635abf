"""What a controller asks of an executor, and what it gets back.

    controller --Train | Save | Evaluate--> executor --Done--> controller

Orders to one player are carried out in the order in which they were submitted.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from raygan.strategies.strategy import Train


@dataclass(frozen=True)
class Save:
    """Hand over the whole state (bytes of `gan.bundle.pack`) for the checkpoint of `step`."""

    player: str
    step: int
    at: int
    """The player's own step, which differs where a stopped run's players are not at one step."""


@dataclass(frozen=True)
class Evaluate:
    """Score the player's generator as it is now; carried out elsewhere, so that the player does not wait."""

    player: str
    step: int


Order = Train | Save | Evaluate


@dataclass(frozen=True)
class Scored:
    """What an evaluation gives: rows of numbers, and some samples to look at, by who they are of."""

    rows: list[dict[str, Any]]
    samples: dict[str, npt.NDArray[np.generic]] = field(default_factory=dict)


@dataclass(frozen=True)
class Done:
    """An order carried out. `result`: Train -> Report, Save -> bytes, Evaluate -> Scored."""

    order: Order
    result: Any
    seconds: float


class Executor(Protocol):
    """Hosts players and carries out orders."""

    def start(self, players: Sequence[str], states: Mapping[str, bytes]) -> None:
        """Make the players, each from its state where there is one."""

    def submit(self, order: Order) -> None:
        """Take an order; does not wait."""

    def wait(self, timeout_s: float) -> list[Done]:
        """What was carried out since the last call; waits up to `timeout_s` for something. Raises PlayerDied."""

    def close(self) -> None:
        """Free everything."""

    def info(self) -> dict[str, Any]:
        """Where things run, for run.json."""
