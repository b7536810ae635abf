"""Steps left out since a loss was not finite: counted, and too many in a row end a player."""

from __future__ import annotations

import math
from collections.abc import Mapping

from torch import Tensor

from raygan.errors import NonFiniteError
from raygan.gan.later import Value, number, read

WAIT = 128
"""Steps after which losses on a device are looked at, however long the round is: a run that has
nothing but NaN ends."""


class BadSteps:
    """Counts skipped steps; raises once too many came in a row.

    Losses that nobody has looked at wait, until the round ends or as many as `WAIT` are there.
    """

    def __init__(self, player: str, limit: int) -> None:
        self.player = player
        self.limit = limit
        self.total = 0
        self.in_a_row = 0
        self.waiting: list[tuple[int | None, dict[str, Value]]] = []
        """(step, its losses), in their order; None: of networks beside the player's own."""

    def also(self, *losses: Value) -> None:
        """Count skipped updates of networks beside the player's own, which end nothing."""
        self._take(None, {str(i): value for i, value in enumerate(losses)})

    def note(self, step: int, **losses: Value) -> None:
        """Record one step's losses. Raises NonFiniteError after `limit` bad steps in a row."""
        self._take(step, losses)

    def _take(self, step: int | None, losses: dict[str, Value]) -> None:
        # a new list: a copy of these counts, to go back to, holds the old one
        self.waiting = [*self.waiting, (step, losses)]
        unseen = any(isinstance(value, Tensor) for value in losses.values())
        if not unseen or len(self.waiting) > WAIT:
            self.settle()

    def values(self) -> list[Value]:
        """Those that wait, to be read with others."""
        return [value for _, losses in self.waiting for value in losses.values()]

    def settle(self, found: Mapping[int, float] | None = None) -> None:
        """Count those that wait; `found`: they are among these (`later.read`)."""
        found = read(self.values()) if found is None else found
        # first: who is told of too many begins anew
        rows, self.waiting = self.waiting, []
        for step, losses in rows:
            self._count(step, {name: number(value, found) for name, value in losses.items()})

    def _count(self, step: int | None, losses: Mapping[str, float]) -> None:
        bad = [f"{k}={v}" for k, v in losses.items() if not math.isfinite(v)]
        if step is None:
            self.total += len(bad)
            return
        # in a row only: one that comes now and then is the price of a large rate, and is counted
        if not bad:
            self.in_a_row = 0
            return
        self.total += 1
        self.in_a_row += 1
        if self.in_a_row >= self.limit:
            raise NonFiniteError(
                self.player,
                f"{', '.join(bad)} at step {step}, the {self.in_a_row}th skipped step in a row"
                " (pair.max_bad_steps). Lower pair.lr_g and pair.lr_d, or set pair.clip_grad_d,"
                " and resume from the last checkpoint.",
            )
