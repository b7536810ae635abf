"""async: nobody runs away from the others.

strategy.decide --> orders --> paced --> orders that end at most `max_ahead` steps ahead of the slowest,
                                         and who has to wait for that

What a player learns from is what the others are by then. One on a machine to itself would use up its
steps against networks that have made a twentieth of theirs. Called by whoever asks a strategy for
orders (`loop.py`, `turns.py`); in lockstep strategies see to it themselves.
"""

from __future__ import annotations

from collections.abc import Sequence
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
    end = min(at.values(), default=plan.steps) + plan.max_ahead
    out, waiting = list[Order](), list[str]()
    for order in orders:
        if isinstance(order, Train) and order.player in at:
            if (room := end - at[order.player]) <= 0:
                waiting.append(order.player)
                continue
            order = replace(order, steps=min(order.steps, room))
        out.append(order)
    return out, waiting
