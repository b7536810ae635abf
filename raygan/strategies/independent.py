"""N pairs that do not help each other: the baseline of all three papers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from raygan.gan.pair import Pair
from raygan.strategies.strategy import Plan, Setup, StrategyComponent, Train


class Independent(StrategyComponent):
    """Every pair trains alone; nothing is published."""

    def build(self, name: str, setup: Setup) -> Pair:
        """A pair that shares nothing."""
        return Pair(name, setup.parts(name))

    def decide(self, ready: Sequence[str], done: Mapping[str, int], plan: Plan) -> list[Train]:
        """Whoever is ready goes on to the end of its round."""
        return [Train(p, plan.next_stop(done[p]) - done[p]) for p in ready if done[p] < plan.steps]
