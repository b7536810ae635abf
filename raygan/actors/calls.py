"""Orders on their way to actors: which call carries which.

Train         held until its actor trains nobody; then one call with all that it is to train, so
              that pairs of one actor train at once, as one batched model where that can be
all others    a call each, at once; Ray keeps the order of calls to one actor
"""

from __future__ import annotations

import time
from typing import Any

import ray

from raygan.actors.replies import Replies
from raygan.actors.worker_group import BOARD, MATCHMAKER, WorkerGroup
from raygan.controller.orders import Adopt, Done, Evaluate, Join, Order
from raygan.strategies.orders import Swap, Train


class Calls:
    """Of one run; `clear`ed for each attempt."""

    def __init__(self, workers: WorkerGroup, replies: Replies) -> None:
        self.workers = workers
        self.replies = replies
        self.pending: dict[Any, tuple[list[Order], float]] = {}
        """Call -> its orders, and when it was sent."""
        self._held: dict[Any, list[Train]] = {}
        """Actor -> what it is to train, once it is free for all of that."""

    def clear(self) -> None:
        """What is under way is waited for no more."""
        self.pending.clear()
        self._held.clear()

    def add(self, order: Order, reference: Any) -> None:
        """A call that was sent."""
        self.pending[reference] = [order], time.perf_counter()

    def train(self, order: Train) -> None:
        """At once where the player lives alone, else with the next `send`."""
        actor = self.workers.actors[order.player]
        self._held.setdefault(actor, []).append(order)
        if not self.workers.along(order.player):
            self._send(actor)

    def send_of(self, player: str) -> None:
        """What its actor is to train goes now, before what is asked of it next: a part of a
        checkpoint is taken behind the round that was ordered before it.
        """
        if (actor := self.workers.actors[player]) in self._held:
            self._send(actor)

    def send(self) -> None:
        """To each actor that trains nobody now, all that it is to train."""
        busy = {self.workers.actors.get(player) for player in self.training}
        for actor in [a for a in self._held if a not in busy]:
            self._send(actor)

    def _send(self, actor: Any) -> None:
        orders: list[Order] = [*self._held.pop(actor)]
        self.pending[actor.train.remote(orders)] = orders, time.perf_counter()

    @property
    def training(self) -> set[str]:
        """Players that are at a round."""
        sent = [order for orders, _ in self.pending.values() for order in orders]
        return {order.player for order in sent if isinstance(order, Train)}

    def ready(self, others: list[Any], timeout_s: float) -> list[Any]:
        """Calls that have returned; waits up to `timeout_s` for the first, or one of `others`."""
        # one wait for all kinds: the driver sleeps until anything comes
        awaited = [*self.pending, *others]
        found, _ = ray.wait(awaited, num_returns=1, timeout=timeout_s) if awaited else ([], [])
        # that tells of one; all that have come are one turn of the driver's loop
        if found and len(self.pending) > 1:
            found, _ = ray.wait(list(self.pending), num_returns=len(self.pending), timeout=0)
        return [reference for reference in found if reference in self.pending]

    def result(self, reference: Any) -> list[Done]:
        """What came of a call's orders, but of players that have left meanwhile. Raises PlayerDied,
        or the error that an order met; the call is over in any case.
        """
        orders, began = self.pending.pop(reference)
        result = self.replies.of(reference, carrier(orders[0]))
        seconds = time.perf_counter() - began
        if not isinstance(orders[0], Train):
            return [Done(orders[0], result, seconds)]
        done = [
            Done(o, report, seconds, as_it_went)
            for o, (report, as_it_went) in zip(orders, result, strict=True)
        ]
        return [
            d
            for d in done
            # Train orders, all of them: they have a player
            if d.order.player in self.workers.actors  # type: ignore[union-attr]
        ]

    def drop(self, player: str) -> None:
        """It lives here no more: what is held for it is not sent, and calls that nobody is left of
        are not waited for.
        """
        there = {*self.workers.actors, BOARD}
        held = {a: [o for o in of if o.player != player] for a, of in self._held.items()}
        self._held = {actor: orders for actor, orders in held.items() if orders}
        self.pending = {
            reference: (orders, began)
            for reference, (orders, began) in self.pending.items()
            # a swap is the matchmaker's, which stays
            if any(getattr(order, "player", BOARD) in there for order in orders)
        }


def carrier(order: Order) -> str:
    """Whose call carries the order out."""
    if isinstance(order, Swap | Adopt):
        return MATCHMAKER
    if isinstance(order, Join):
        return order.player
    assert not isinstance(order, Evaluate), "scores are the evaluator's business (scoring.py)"
    return order.player
