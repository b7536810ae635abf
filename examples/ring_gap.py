"""Ring-GAP: every K updates each pair takes its neighbour's discriminator.

raygan train --preset ring8-gap --strategy ./examples/ring_gap.py --strategy.swap-every 20
"""

from collections.abc import Sequence

from raygan.strategies.gap import Gap
from raygan.strategies.orders import Order, Swap
from raygan.strategies.strategy import Plan, Progress


class RingGap(Gap):
    """GAP's settings and tempo; in lockstep another matching: a rotation in the place of random couples."""

    def decide(self, ready: Sequence[str], progress: Progress, plan: Plan) -> list[Order]:
        """As GAP, with the neighbours' networks."""
        return [
            self.rotated(o) if isinstance(o, Swap) and plan.tempo == "lockstep" else o
            for o in super().decide(ready, progress, plan)
        ]

    def rotated(self, swap: Swap) -> Swap:
        """pair-00 takes pair-01's, the last one the first one's."""
        names = sorted(swap.players)
        takes = tuple(zip(names, names[1:] + names[:1], strict=True))
        return Swap(swap.step, takes, swap.what, swap.carry)
