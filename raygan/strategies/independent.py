"""N pairs that do not help each other: the baseline of all three papers."""

from __future__ import annotations

from collections.abc import Sequence

from raygan.gan.pair import Pair, Sharing
from raygan.strategies.strategy import Plan, Progress, Setup, StrategyComponent, Train


class Independent(StrategyComponent):
    """Every pair trains alone; nothing is published."""

    def build(self, name: str, setup: Setup, sharing: Sharing | None = None) -> Pair:
        """A pair that helps nobody, unless a global pair learns from it."""
        return Pair(name, setup.parts(name), sharing)

    def decide(self, ready: Sequence[str], progress: Progress, plan: Plan) -> list[Train]:
        """Whoever is ready goes on to the end of its round."""
        done = progress.done
        return [Train(p, plan.next_stop(done[p]) - done[p]) for p in ready if done[p] < plan.steps]
