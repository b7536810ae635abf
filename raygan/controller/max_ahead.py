"""async: nobody runs away from the others.

strategy.decide --> orders --> paced --> orders that end at most `max_ahead` steps ahead of the
                                         slowest, and who has to wait for that

What a player learns from is what the others are by then. One on a machine to itself would use up
its steps against networks that have made a twentieth of theirs. Called by whoever asks a strategy
for orders (`loop.py`, `turns.py`); in lockstep strategies see to it themselves.

Those that wait for each other within their rounds (`strategy.waits_within`) are not held for each
other here as well: the first would wait outside for the last, which waits inside for the first's
next step. They keep to the bound themselves. For all others they are one body, as far as the first
of them: whoever waited for the last would be waited for by the first.
So these may be twice the bound ahead of the last.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace

from raygan.strategies.base import Plan, Progress, StrategyComponent
from raygan.strategies.orders import Order, Train


def positions(strategy: StrategyComponent, progress: Progress, plan: Plan) -> dict[str, int]:
    """Where each player stands that is not at its end: its steps, and what it was behind as it came
    (a joiner is not waited for until it has made up for that).
    """
    credit = progress.credit
    return {
        p: steps + credit.get(p, 0)
        for p, steps in progress.done.items()
        if steps < plan.steps and not strategy.follows(p)
    }


def paced(
    strategy: StrategyComponent, orders: Sequence[Order], progress: Progress, plan: Plan
) -> tuple[list[Order], list[str]]:
    """The orders within the bound, and the players that wait for the slowest instead. The slowest
    itself never does.
    """
    if plan.tempo == "lockstep" or plan.max_ahead is None or strategy.isolated:
        return list(orders), []
    at = positions(strategy, progress, plan)
    inside = {p for p in at if strategy.waits_within(p)}
    slowest_outside = min((s for p, s in at.items() if p not in inside), default=sys.maxsize)
    # those inside hold each other: the first of them says how far all of them may come
    first_inside = max((at[p] for p in inside), default=sys.maxsize)
    out, waiting = list[Order](), list[str]()
    for order in orders:
        if isinstance(order, Train) and order.player in at:
            other = min(slowest_outside, first_inside)
            waits_for = slowest_outside if order.player in inside else other
            if (room := waits_for + plan.max_ahead - at[order.player]) <= 0:
                waiting.append(order.player)
                continue
            order = replace(order, steps=min(order.steps, room))
        out.append(order)
    return out, waiting


def up_to(orders: Sequence[Order], done: Mapping[str, int], ends: Mapping[str, int]) -> list[Order]:
    """The orders, with nobody going past its end; swaps as they are.

    >>> up_to([Train("a", 5), Train("b", 5)], {"a": 4, "b": 6}, {"a": 6, "b": 6})
    [Train(player='a', steps=2, forget_before=0, missed=False)]
    """
    out = list[Order]()
    for order in orders:
        if isinstance(order, Train):
            if (left := ends[order.player] - done[order.player]) <= 0:
                continue
            order = replace(order, steps=min(order.steps, left))
        out.append(order)
    return out
