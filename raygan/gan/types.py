"""The few types that every layer speaks: what a loss, a network, a data set, a board and a player
are.

Protocols only; the real ones live in losses/, networks/, data/, controller/ and actors/.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple, Protocol

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from raygan.gan.weights import Publication

Shape = tuple[int, ...]
Report = dict[str, float]
State = dict[str, object]
"""A player's whole state, flat: name -> Tensor | int | float | str."""


def shape_of(value: object) -> str:
    """A tensor's shape, or what stands in its place; for a complaint.

    >>> shape_of(torch.zeros(2, 3)), shape_of([2, 3])
    ('(2, 3)', 'a list')
    """
    return str(tuple(value.shape)) if isinstance(value, Tensor) else f"a {type(value).__name__}"


class At(NamedTuple):
    """Which update of D this is, as far as its penalties depend on it."""

    update: int = 0
    """Its number, from the player's first."""
    gamma: float = 1.0
    """What the schedule makes of the penalties' weights now."""


NOW = At()


class Loss(Protocol):
    """What a pair needs of a loss; logits have shape (N,)."""

    @property
    def d_steps(self) -> int:
        """Updates of D for each update of G (I_D)."""

    @property
    def linear(self) -> bool:
        """Does every sample weigh the same in D's loss?"""

    def d_loss(self, real: Tensor, fake: Tensor) -> Tensor:
        """What D minimises, from its logits on real and on fake samples; a scalar."""

    def g_loss(self, fake: Tensor, real: Tensor | None = None) -> Tensor:
        """What G minimises, from D's logits on its samples, and on real ones where `needs_real`; a
        scalar.
        """

    @property
    def needs_real(self) -> bool:
        """Does G's loss compare its samples with real ones?"""

    @property
    def threshold(self) -> float | None:
        """The logit above which D takes a sample for real; None where there is none."""

    def penalty(
        self, d: nn.Module, real: Tensor, fake: Tensor, generator: torch.Generator, at: At = NOW
    ) -> Tensor | None:
        """Added to D's loss; None when the loss has none."""

    @property
    def alters_d(self) -> bool:
        """Does `after_d_step` do anything?"""

    def after_d_step(self, d: nn.Module) -> None:
        """Called after each update of D (weight clipping)."""


def g_loss_of(loss: Loss, fake: Tensor, real: Callable[[], Tensor]) -> Tensor:
    """G's loss; D's logits on real samples are asked for only where the loss needs them."""
    return loss.g_loss(fake, real()) if loss.needs_real else loss.g_loss(fake)


class Dataset(Protocol):
    """Real samples; `batch` is the sampling operator X_inf of SGAN's Algorithm 1: i.i.d. draws."""

    @property
    def shape(self) -> Shape:
        """Of one sample: (features,) or (channels, height, width)."""

    def batch(self, size: int, generator: torch.Generator, device: torch.device) -> Tensor:
        """`size` samples drawn independently with `generator` (a CPU generator); float32, (size,
        *shape).
        """

    def held_out_batch(self, size: int, generator: torch.Generator) -> Tensor:
        """At most `size` samples that nobody trains on; on the CPU."""


class Board(Protocol):
    """The index of what players have published; readers say which version they want."""

    def publish(self, publication: Publication) -> None:
        """Make a player's newest version readable."""

    def forget(self, player: str, before: int) -> None:
        """No reader will ask for versions of `player` below `before` any more."""

    def between(
        self, players: Sequence[str], after: int, upto: int
    ) -> dict[str, list[Publication]]:
        """Exactly the versions v with after < v <= upto, oldest first (lockstep)."""

    def newest(self, players: Sequence[str]) -> dict[str, Publication]:
        """The newest version of each player that has published (async)."""

    def peek(
        self, players: Sequence[str], have: Mapping[str, int], wait_s: float = 0.0
    ) -> dict[str, Publication]:
        """Publications newer than the versions in `have` that are at hand; waits at most `wait_s`
        for the first (async).
        """

    def progress(self, players: Sequence[str]) -> dict[str, int]:
        """Each player's newest version number; 0 before its first."""


class Player(Protocol):
    """Anything that trains and can be saved."""

    @property
    def name(self) -> str:
        """Stable within a run: "pair-03", "global"."""

    @property
    def step(self) -> int:
        """How many generator updates it has done."""

    @property
    def beats(self) -> int:
        """A count that moves while it works, for those who look whether it hangs."""

    def open(self, board: Board) -> None:
        """Called once, after a restore: publish what others need before they can begin."""

    def train(self, steps: int, board: Board) -> Report:
        """Do `steps` more steps; the report holds means over them."""

    def check(self) -> None:
        """Raises NonFiniteError when anything that it holds is NaN or infinite."""

    def generator_vector(self) -> npt.NDArray[np.float32]:
        """The generator to sample from (the moving average where there is one), flat and frozen."""

    def state(self) -> State:
        """Everything that `restore` needs; tensors are copies."""

    def restore(self, state: State) -> None:
        """Take up a state; raises CheckpointError when it is another architecture's."""

    @property
    def can_undo(self) -> bool:
        """May a round be undone while others go on by what they have read of it?"""

    def undo(self, state: State, board: Board) -> None:
        """Back to the state in which its round began; publish again what others go on by."""
