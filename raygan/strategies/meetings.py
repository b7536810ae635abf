"""lockstep: points of a run at which all pairs meet, and what each does until the next."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from raygan.strategies.base import Plan, Progress
from raygan.strategies.orders import Order, Swap, Train


@dataclass(frozen=True)
class Points:
    """Multiples of a period, past a warm-up; in updates."""

    period: int
    warmup: int

    def after(self, step: int) -> int:
        """The first one after `step`.

        >>> Points(25, 60).after(0), Points(25, 60).after(75)
        (75, 100)
        """
        later = (step // self.period + 1) * self.period
        return max(later, -(-self.warmup // self.period) * self.period)

    def count(self, steps: int) -> int:
        """Of a run of so many steps; none is at its last one, after which nobody trains.

        >>> Points(25, 60).count(100), Points(25, 60).count(101)
        (1, 2)
        """
        return max(0, (steps - 1 - self.after(0)) // self.period + 1)


def is_point(step: int, steps: int, following: Callable[[int], int]) -> bool:
    """Do all meet at this step? Not at the last one, after which nobody trains."""
    return 0 < step < steps and following(step - 1) == step


def no_meeting(first: int, steps: int, what: str, lower: str) -> list[tuple[str, str]]:
    """The warning of a first meeting that comes after the run; [] of another one."""
    if first < steps:
        return []
    text = f"{what}: the first would be at update {first} of {steps}. Lower {lower}, or raise steps"
    return [("W105 no-swap", text)]


def over_the_worst(ranked: Sequence[str], count: int) -> dict[str, str]:
    """Each of the `count` worst -> who takes its place, of those that are ranked best first.

    >>> over_the_worst(["a", "b", "c", "d"], 2)
    {'d': 'a', 'c': 'b'}
    """
    return dict(zip(ranked[::-1][:count], ranked[:count], strict=True))


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
    done, met = progress.done, progress.swapped

    def at_its_point(p: str) -> bool:
        """It stands at a point, and has not met there. A joiner counts as one that has."""
        return is_point(done[p], plan.steps, following) and met.get(p, 0) < done[p]

    def alone_at(step: int, one: str) -> bool:
        """All others have met, or joined, at this very point."""
        return all(met.get(p, 0) == step for p in done if p != one)

    waiting = [p for p in ready if at_its_point(p)]
    if len(waiting) == 1 and alone_at(done[waiting[0]], waiting[0]):
        waiting = []
    # only where all have come and stand at one step: half a meeting would be another matching
    if len(waiting) > 1 and len(ready) == len(done) and len(set(done.values())) == 1:
        return [meet(done[waiting[0]])]
    # who waits at a point gets no order; all others go on, at most to their next point
    orders: list[Order] = []
    for p in ready:
        stop = min(plan.next_stop(done[p]), following(done[p]), plan.steps)
        if p not in waiting and stop > done[p]:
            orders.append(Train(p, stop - done[p]))
    return orders
