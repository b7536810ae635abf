"""async: two that have both trained a period since their last swap are a couple as soon as both are
ready; who finds nobody goes on alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from raygan.strategies.base import Plan, Progress
from raygan.strategies.meetings import Points
from raygan.strategies.orders import Order, Swap, Train


@dataclass(frozen=True)
class Ready:
    """Those who wait for an order, beside all others."""

    players: Sequence[str]
    progress: Progress
    plan: Plan
    points: Points
    max_wait: float
    """Seconds that one waits for another."""

    def orders(self, swap: Callable[[int, str, str], Swap]) -> list[Order]:
        """Couples swap, who is not due trains on; `swap`: of a step and the two."""
        return [*self._met(swap), *self._on_their_way()]

    def _met(self, swap: Callable[[int, str, str], Swap]) -> Iterator[Order]:
        done, waited = self.progress.done, self.progress.waited
        due = [p for p in self.players if self.is_due(p)]
        # the longest wait first; by name among equals, so that the order of arrivals does not
        # matter
        due.sort(key=lambda p: (-waited.get(p, 0.0), p))
        while due:
            first = due.pop(0)
            # a swap never crosses a checkpoint: both sides of a saved cut must hold the same
            # discriminators
            mates = [p for p in due if self._interval(p) == self._interval(first)]
            if mates:
                due.remove(mates[0])
                # two that have met are at different steps: the record stands at the later one
                yield swap(max(done[first], done[mates[0]]), first, mates[0])
            elif waited.get(first, 0.0) >= self.max_wait or not self._hope(first):
                yield Train(first, self.plan.next_stop(done[first]) - done[first], missed=True)

    def _on_their_way(self) -> Iterator[Order]:
        done, plan = self.progress.done, self.plan
        for p in self.players:
            if not self.is_due(p) and done[p] < plan.steps:
                since = self.progress.swapped.get(p, 0)
                to_swap = max(since + self.points.period, self.points.warmup)
                stop = min(plan.next_stop(done[p]), to_swap if to_swap > done[p] else plan.steps)
                yield Train(p, stop - done[p])

    def is_due(self, player: str) -> bool:
        """Has it trained a period since it last swapped?"""
        at = self.progress.done[player]
        return (
            # not at the end: a network that is swapped there is never trained by its new partner
            0 < at < self.plan.steps
            and at >= self.points.warmup
            and at - self.progress.swapped.get(player, 0) >= self.points.period
        )

    def _interval(self, player: str) -> int:
        """Between which two checkpoints it stands."""
        return self.progress.done[player] // self.plan.checkpoint_every

    def _hope(self, player: str) -> bool:
        """May anybody who is still training come within this checkpoint interval?"""
        return any(
            p not in self.players and self._interval(p) <= self._interval(player)
            for p in self.progress.done
            if p != player
        )
