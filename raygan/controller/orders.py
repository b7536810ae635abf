"""What a controller asks of an executor, and what it gets back.

    controller --Train | Save | Evaluate | Swap, then Adopt--> executor --Done--> controller

Orders to one player are carried out in the order in which they were submitted. A swap has two
halves with the journal record, its one commit point, between them:

    Swap    each giver hands over a copy of its network; nobody has changed yet
                (a death here: nothing has happened)
    record  the controller appends it to the journal, fsynced
    Adopt   each taker takes up what the record says
                (a death here: the run goes back to its last checkpoint, which lies on one side of
                the record)
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import numpy.typing as npt

from raygan.config import Config
from raygan.errors import PlayerDied
from raygan.strategies.orders import Swap, Train

# the matchmaker reads cards, and does without PyTorch (decision 34)
if TYPE_CHECKING:
    from raygan.controller.rounds import Round
    from raygan.gan.parcels import Parcel


@dataclass(frozen=True)
class Save:
    """Hand over the whole state (bytes of `gan.bundle.pack`) for the checkpoint of `step`."""

    player: str
    step: int
    at: int
    """The player's own step, which differs where a stopped run's players are not at one step."""


@dataclass(frozen=True)
class Evaluate:
    """Score the player's generator as it is now; carried out elsewhere, so that the player does not
    wait.
    """

    player: str
    step: int
    members: tuple[str, ...] = ()
    """Whose samples make the mixture at this step."""


@dataclass(frozen=True)
class Join:
    """A player that comes while the others go on: with fresh networks, counting its steps from
    `step`; or with its state.
    """

    player: str
    step: int
    state: bytes | None = field(default=None, repr=False)
    home: tuple[str, ...] = ()
    """Players whose process it shares, where they are on their way back together."""


@dataclass(frozen=True)
class Adopt:
    """The second half of a recorded swap."""

    swap: Swap


@dataclass(frozen=True)
class Card:
    """What the journal says about a network on its way; the network itself goes from actor to
    actor.
    """

    identity: str
    step: int
    nbytes: int
    fingerprint: str

    @classmethod
    def of(cls, parcel: Parcel) -> Card:
        """The card that the journal keeps of a parcel."""
        return cls(parcel.identity, parcel.step, parcel.nbytes, parcel.fingerprint)


Order = Train | Swap | Adopt | Save | Evaluate | Join


@dataclass(frozen=True)
class Scored:
    """What an evaluation gives: rows of numbers, and some samples to look at, by whose they are."""

    rows: list[dict[str, Any]]
    samples: dict[str, npt.NDArray[np.generic]] = field(default_factory=dict)
    spread: float = 1.0
    """Standard deviation of the single generator's samples, in units of the real data's."""
    occupied: list[float] = field(default_factory=list)
    """Its share of samples at each mode or class, where the data has some."""
    near: float = 1.0
    """Share of the held-out points that its samples come near (`Suite.near`)."""
    missing: str = ""
    """Why there is no score, where it was tried and given up."""
    failed: dict[str, str] = field(default_factory=dict)
    """Users' own metrics that gave none, and why."""
    by_part: dict[str, dict[str, Any]] = field(default_factory=dict)
    """At the last step, where nobody holds the whole: who -> coverage of each part, and of each of
    its classes (`Suite.parts`, `classes`).
    """


@dataclass(frozen=True)
class Done:
    """An order carried out. `result`: Train -> Report, Save -> bytes, Evaluate -> Scored, Swap ->
    {giver: Card}.
    """

    order: Order
    result: Any
    seconds: float
    round: Round | None = None
    """As a Train order went, where that is recorded."""


class Executor(Protocol):
    """Hosts players and carries out orders."""

    def start(self, players: Sequence[str], states: Mapping[str, bytes], epoch: int = 0) -> None:
        """Make the players, each from its state where there is one; again after a failure, under
        the journal's next epoch.
        """

    def submit(self, order: Order) -> None:
        """Take an order; does not wait."""

    def configure(self, config: Config, listeners: Sequence[str] = ()) -> None:
        """The run's config with its members as they are now; these players count on them."""

    def no_room(self, players: int) -> str | None:
        """Why so many more players could not begin; None: they can."""

    def remove(self, player: str) -> None:
        """Free a player that has left or died; orders that it has not carried out are dropped."""

    def wait(self, timeout_s: float) -> list[Done]:
        """What was carried out since the last call; waits up to `timeout_s` for something. Raises
        PlayerDied.
        """

    def last_move(self) -> float:
        """When anybody at work was seen to get on last, by the monotonic clock."""

    def mishaps(self) -> list[PlayerDied]:
        """What befell whom that is mended already, since the last call: of helpers that nobody
        needs to train.
        """

    def leaving(self) -> dict[str, str]:
        """Players whose machine has given notice -> what it said; "" -> of the machine of this
        process.
        """

    def close(self) -> None:
        """Free all that was started; the run is over."""

    def info(self) -> dict[str, Any]:
        """Where things run, for run.json."""
