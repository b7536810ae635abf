"""Who has done what: the part of a controller's memory that decisions depend on. Kept the same by
the loop and by `verify`.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from raygan.controller.orders import Adopt, Done, Join, Order
from raygan.strategies.base import Progress
from raygan.strategies.orders import Swap, Train

OWN = "own/"
"""Before a report's key: said for the strategy (`gan.pair.Pair.own`)."""


@dataclass
class Ledger:
    """Steps, swaps and mean losses of each player, and who is idle since when."""

    done: dict[str, int]
    swapped: dict[str, int] = field(default_factory=dict)
    losses: dict[str, float] = field(default_factory=dict)
    loss_steps: dict[str, int] = field(default_factory=dict)
    """player -> steps of which its loss is the mean: those since the last meeting at its step."""
    own: dict[str, dict[str, float]] = field(default_factory=dict)
    """player -> what it said of itself last, of what is finite."""
    idle: dict[str, float] = field(default_factory=dict)
    """player -> clock reading at which it became ready."""
    in_flight: dict[str, int] = field(default_factory=dict)
    """player -> steps of the order that it is carrying out."""
    credit: dict[str, int] = field(default_factory=dict)
    """player -> steps that it was behind the slowest other as it joined."""
    held: dict[str, float] = field(default_factory=dict)
    """player -> clock reading since which it waits for slower ones."""
    held_s: dict[str, float] = field(default_factory=dict)
    """player -> seconds that it has waited so since its last report."""
    clock: Callable[[], float] = time.monotonic

    @classmethod
    def begin(
        cls, players: Sequence[str], steps: Mapping[str, int], extra: Mapping[str, Any]
    ) -> Ledger:
        """From a checkpoint's steps and `extra` (both empty for a new run); everybody is ready."""
        # what it kept of a pair that was retired since is nobody's
        kept: dict[str, Any] = {
            name: {p: value for p, value in extra.get(name, {}).items() if p in players}
            for name in ("swapped", "losses", "loss_steps", "own", "credit")
        }
        out = cls({p: steps.get(p, 0) for p in players}, **kept)
        out.idle = dict.fromkeys(players, out.clock())
        return out

    @property
    def progress(self) -> Progress:
        """What a strategy may look at."""
        now = self.clock()
        return Progress(
            self.done,
            self.swapped,
            self.losses,
            {p: now - since for p, since in self.idle.items()},
            self.own,
            self.credit,
        )

    def holds(self, players: Sequence[str]) -> None:
        """These have to wait for slower ones, at the moment, and nobody else."""
        now = self.clock()
        for player in [p for p in self.held if p not in players]:
            waited = now - self.held.pop(player)
            self.held_s[player] = self.held_s.get(player, 0.0) + waited
        self.held |= {p: now for p in players if p not in self.held}

    def ready(self, players: Sequence[str]) -> list[str]:
        """Those of `players` that are idle, in their fixed order."""
        return [p for p in players if p in self.idle]

    def submitted(self, order: Order) -> None:
        """Whoever takes part in a Train or a Swap is busy from now on."""
        if isinstance(order, Train):
            self.in_flight[order.player] = order.steps
        for player in (
            order.players
            if isinstance(order, Swap)
            else [order.player]
            if isinstance(order, Train)
            else []
        ):
            self.idle.pop(player, None)

    def carried_out(self, item: Done) -> None:
        """Note what a done Train or Adopt means; a Swap is only half a swap."""
        if isinstance(item.order, Train):
            self.in_flight.pop(item.order.player, None)
            steps = steps_done(item.order.steps, item.result)
            self.done[item.order.player] += steps
            if math.isfinite(loss := item.result.get("loss_d", math.nan)):
                self._count(item.order.player, loss, steps)
            if own := own_of(item.result):
                self.own[item.order.player] = own
            self.idle[item.order.player] = self.clock()
        elif isinstance(item.order, Join):
            self.joined(item.order.player, int(item.result))
        elif isinstance(item.order, Adopt):
            # only now: between Swap and Adopt half of it is done, and nobody may train on either
            # side
            for player in item.order.swap.players:
                self.swapped[player] = self.done[player]
                self.idle[player] = self.clock()
            # also of one that had nobody to swap with there: ranks are over the same steps
            step = item.order.swap.step
            self.loss_steps = {p: n for p, n in self.loss_steps.items() if self.done[p] != step}

    def _count(self, player: str, loss: float, steps: int) -> None:
        """A round's mean loss into the mean since the last meeting: how a period was cut into
        rounds is nothing that a decision may hang on.
        """
        before = self.loss_steps.get(player, 0)
        total = before + steps
        mean = (self.losses[player] * before + loss * steps) / total if before and total else loss
        self.losses[player], self.loss_steps[player] = mean, total

    def joined(self, player: str, step: int) -> None:
        """A new member, or one that comes back; its next swap is the next."""
        # a joiner is not waited for until it has made up for what it was behind as it came: else
        # all would stand still for it (pace.py)
        slowest = min((s + self.credit.get(p, 0) for p, s in self.done.items()), default=step)
        self.credit[player] = max(0, slowest - step)
        self.done[player] = self.swapped[player] = step
        self.loss_steps.pop(player, None)
        self.idle[player] = self.clock()

    def left(self, player: str) -> None:
        """A player is gone: nothing of it counts any more."""
        for record in (self.done, self.swapped, self.losses, self.own, self.idle):
            record.pop(player, None)
        for record in (self.in_flight, self.loss_steps, self.credit, self.held, self.held_s):
            record.pop(player, None)

    @property
    def furthest(self) -> int:
        """The furthest step that anybody has done or was told to do."""
        return max(done + self.in_flight.get(player, 0) for player, done in self.done.items())

    def extra(self) -> dict[str, Any]:
        """What a checkpoint has to keep of this."""
        credit = {p: steps for p, steps in self.credit.items() if steps}
        kept = {"swapped": dict(self.swapped), "losses": dict(self.losses)}
        if self.loss_steps:
            kept["loss_steps"] = dict(self.loss_steps)
        if self.own:
            kept["own"] = dict(self.own)
        return kept | ({"credit": credit} if credit else {})


def own_of(report: Mapping[str, float]) -> dict[str, float]:
    """What a player says of itself in a report, of what is finite.

    >>> own_of({"loss_d": 0.5, "own/distance": 0.1})
    {'distance': 0.1}
    """
    return {
        key.removeprefix(OWN): value
        for key, value in report.items()
        if key.startswith(OWN) and math.isfinite(value)
    }


def steps_done(ordered: int, report: Mapping[str, float]) -> int:
    """Of a round that may end early (async)."""
    return int(report.get("steps_done", ordered))
