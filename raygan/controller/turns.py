"""Turns of training, whoever drives them: orders go out, what was carried out comes back, and the
ledger knows both.

decided     what the strategy wants of those who are ready, and who has to wait
give_out    it goes to the executor
turns       all of it, to the end, without a run folder: `verify`, `plan`, `raygan.testing`

`Controller`, which has one around it, calls the first two.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from raygan.controller.ledger import Ledger
from raygan.controller.max_ahead import paced
from raygan.controller.orders import Adopt, Done, Executor
from raygan.strategies.base import Plan, StrategyComponent, checked, idle_for_ever
from raygan.strategies.orders import Order, Swap


def decided(
    strategy: StrategyComponent, ready: Sequence[str], ledger: Ledger, plan: Plan
) -> Sequence[Order]:
    """Orders for `ready`, none beyond `max_ahead`; the ledger knows whom that holds."""
    progress = ledger.progress
    orders, waiting = paced(strategy, strategy.decide(ready, progress, plan), progress, plan)
    ledger.holds(waiting)
    return orders


def give_out(
    strategy: StrategyComponent, orders: Sequence[Order], ledger: Ledger, executor: Executor
) -> Sequence[Order]:
    """Submit what a strategy has decided; -> the same.

    Raises RayganError of orders that cannot be.
    """
    for order in checked(strategy, orders, list(ledger.done)):
        ledger.submitted(order)
        executor.submit(order)
    return orders


def turns(
    strategy: StrategyComponent,
    plan: Plan,
    ledger: Ledger,
    executor: Executor,
    playing: Sequence[str],
) -> Iterator[Done]:
    """Each order of `playing` that was carried out, until everybody in the ledger has come to
    `plan.steps`.

    Swaps are adopted at once: nothing is recorded. Raises RayganError where a strategy orders
    nobody for ever.
    """
    while behind := {p: s for p, s in ledger.done.items() if s < plan.steps}:
        orders = decided(strategy, ledger.ready(playing), ledger, plan)
        if not orders and len(ledger.idle) == len(ledger.done):
            raise idle_for_ever(strategy, behind, plan.steps)
        give_out(strategy, orders, ledger, executor)
        for item in executor.wait(timeout_s=0.5):
            ledger.carried_out(item)
            # nothing is recorded here: the second half follows at once
            if isinstance(item.order, Swap):
                executor.submit(Adopt(item.order))
            yield item
