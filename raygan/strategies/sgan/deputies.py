"""Opponents in other processes (`messenger_shards`): G0 and D0 go out, gradients come back.

    global pair  --Task: G0, D0, its batch-->  deputy: messengers' updates against G0 (lines 15-21)
                 <--Answer: d loss/d G0's batch, d loss/d D0--  summed by the global pair
                                                                (lines 22-31)

G0's batch travels: made anew it would be another one where G0's layers draw (dropout) or go by
buffers that each forward moves (spectral norm), and its gradient would be that of other samples.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from raygan.gan.trainer import Parts, Trainer
from raygan.gan.types import Board, State
from raygan.gan.weights import Vector, unflatten
from raygan.strategies.roles import GLOBAL
from raygan.strategies.sgan.local_generators import LocalGenerators
from raygan.strategies.sgan.messengers import Messengers
from raygan.strategies.sgan.opponents import Opponents, Prior

if TYPE_CHECKING:
    from raygan.strategies.sgan.settings import SganSettings


@dataclass(frozen=True)
class Task:
    """An iteration, for a deputy: where the global pair stands, how much each opponent counts."""

    step: int
    turn: int
    g: Vector
    d: Vector
    shares: dict[str, dict[str, float]]
    """side -> opponent -> weight / number of opponents; one that is met just now (async) counts
    from the next iteration on.
    """
    refresh: tuple[str, ...] = ()
    """async: whose copies are due."""
    x: NDArray[np.float32] | None = None
    """G0's batch, (N, *shape); None where G0 takes no step."""
    again: bool = False
    """The second, third, ... step of D0 in this iteration: D0 has changed, all else has been done.
    """


@dataclass(frozen=True)
class Answer:
    """What a deputy's opponents say: losses, and gradients of the weighted sums of them."""

    losses_g: dict[str, float]
    by_x: Vector | None
    """d loss / d G0's batch, (N, *shape): the global pair carries it on to G0's weights."""
    losses_d: dict[str, float]
    by_d: Vector
    """d loss / d D0's weights, flat."""
    versions: dict[str, int]
    """The version of each opponent's copy."""
    skipped: int = 0
    """Updates of messengers that were skipped for NaN."""


class Shard:
    """A deputy's share of the opponents, with copies of G0 and D0 to try them on."""

    def __init__(
        self,
        parts: Parts,
        settings: SganSettings,
        keep_generators: bool,
        prior_of: Callable[[str], Prior],
    ) -> None:
        self.pair = Trainer(GLOBAL, parts)
        self.opponents = Opponents(self.pair, settings, keep_generators, prior_of)
        self.messengers = Messengers(self.pair, settings, self.opponents)
        self.generators = LocalGenerators(self.pair, self.opponents, settings.global_d_steps)

    def have(self, names: Sequence[str]) -> None:
        """Its opponents from now on."""
        self.opponents.have(names)

    def read(self, after: int, upto: int, board: Board) -> dict[str, list[int]]:
        """lockstep: get what is published for these iterations; its versions."""
        names = list(self.opponents.by_name)
        return self.opponents.keep(board.between(names, after=after, upto=upto))

    def carry_out(self, task: Task, board: Board) -> Answer:
        """A deputy's part of an iteration."""
        self.pair.streams.take_turn(task.turn)
        # of its first opponent: two deputies must not draw the same for layers that draw (dropout)
        first = next(iter(self.opponents.by_name), "")
        purpose = f"layers/{first}/{'again' if task.again else 'first'}"
        with self.pair.streams.for_layers(task.step, purpose):
            unflatten(self.pair.d, task.d)
            return self._again(task) if task.again else self._first(task, board)

    def _again(self, task: Task) -> Answer:
        return Answer({}, None, self.generators.judge(task.shares["d"], True), self._by_d(), {})

    def _first(self, task: Task, board: Board) -> Answer:
        self.pair.step = task.step
        unflatten(self.pair.g, task.g)
        opponents = self.opponents
        old = [n for n in task.refresh if n in opponents.by_name]
        opponents.refresh(opponents.newer(board, old) if old else opponents.due())
        before = self.pair.bad_steps.total
        self.messengers.train()
        losses_g, by_x = self._by_x(task)
        losses_d = self.generators.judge(task.shares["d"])
        versions = {o.name: o.version for o in opponents.known}
        # the losses are here by now: the host has asked the device for those of G0 since
        self.pair.bad_steps.settle()
        skipped = self.pair.bad_steps.total - before
        return Answer(losses_g, by_x, losses_d, self._by_d(), versions, skipped)

    def _by_x(self, task: Task) -> tuple[dict[str, float], Vector | None]:
        """G0's losses against these messengers; the gradient of their weighted sum by its batch."""
        if task.x is None:
            return {}, None
        # a leaf, cut off from G0: the global pair goes the rest of the way with its own graph
        fake = torch.tensor(task.x, device=self.pair.device, requires_grad=True)
        total, losses = self.messengers.judge(fake, task.shares["g"])
        if total.requires_grad:
            total.backward()
        return losses, None if fake.grad is None else fake.grad.cpu().numpy()

    def _by_d(self) -> Vector:
        """D0's gradient, flat."""
        d = self.pair.d.parameters()
        parts = [torch.zeros_like(p) if p.grad is None else p.grad for p in d]
        return torch.cat([p.reshape(-1) for p in parts]).cpu().numpy()

    def state(self) -> State:
        """Of its opponents; G0 and D0 come with each task."""
        return self.opponents.state()

    def restore(self, state: State) -> None:
        """The inverse, of a state that may hold others' opponents too."""
        self.opponents.restore(state)


class Deputy(Protocol):
    """A shard somewhere else. What may take its time gives a function that waits for the result."""

    def have(self, names: Sequence[str]) -> None:
        """Shard.have."""

    def read(self, after: int, upto: int, board: Board) -> Callable[[], dict[str, list[int]]]:
        """Shard.read."""

    def carry_out(self, task: Task, board: Board) -> Callable[[], Answer]:
        """Shard.carry_out."""

    def state(self) -> State:
        """Shard.state."""

    def restore(self, state: State) -> None:
        """Shard.restore."""


class DeputyHere(Deputy):
    """A shard in this process, the inline executor's: all is done before the caller goes on."""

    def __init__(self, shard: Shard) -> None:
        self.shard = shard

    def have(self, names: Sequence[str]) -> None:
        """Shard.have, here."""
        self.shard.have(names)

    def read(self, after: int, upto: int, board: Board) -> Callable[[], dict[str, list[int]]]:
        """Shard.read, here."""
        found = self.shard.read(after, upto, board)
        return lambda: found

    def carry_out(self, task: Task, board: Board) -> Callable[[], Answer]:
        """Shard.carry_out, here."""
        answer = self.shard.carry_out(task, board)
        return lambda: answer

    def state(self) -> State:
        """Shard.state, here."""
        return self.shard.state()

    def restore(self, state: State) -> None:
        """Shard.restore, here."""
        self.shard.restore(state)
