"""lockstep: points of a run at which all pairs meet, and what each does until the next."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from raygan.strategies.base import Plan, Progress
from raygan.strategies.orders import Order, Swap, Train


def meet_or_train(
    ready: Sequence[str],
    progress: Progress,
    plan: Plan,
    following: Callable[[int], int],
    meet: Callable[[int], Swap],
) -> list[Order]:
    """`meet(step)` where all stand at a meeting point; else whoever need not wait for one trains.

    following: the first meeting point after a step; there is none at the end, after which nobody
    trains.
    """
    done = progress.done

    def is_point(step: int) -> bool:
        return 0 < step < plan.steps and following(step - 1) == step

    waiting = [p for p in ready if is_point(done[p]) and progress.swapped.get(p, 0) < done[p]]
    if len(waiting) == 1 and all(
        progress.swapped.get(p, 0) == done[waiting[0]] for p in done if p != waiting[0]
    ):
        waiting = []  # all others have met, or joined, at this very point
    if len(waiting) > 1 and len(ready) == len(done) and len(set(done.values())) == 1:
        return [meet(done[waiting[0]])]
    orders: list[Order] = []
    for p in ready:
        stop = min(plan.next_stop(done[p]), following(done[p]), plan.steps)
        if p not in waiting and stop > done[p]:
            orders.append(Train(p, stop - done[p]))
    return orders
