"""An own strategy: discriminators travel round a ring. `raygan train --strategy
examples/ring_gap.py --num-pairs 4`
"""

from collections.abc import Sequence
from dataclasses import replace

from raygan.strategies.base import Plan, Progress
from raygan.strategies.gap import Gap
from raygan.strategies.orders import Order, Swap


class RingGap(Gap):
    """GAP whose partners are no random matching: each pair takes over the discriminator of the pair
    before it.
    """

    def decide(self, ready: Sequence[str], progress: Progress, plan: Plan) -> list[Order]:
        """GAP's orders, with other swaps; the journal and the lineage follow by themselves."""
        return [
            self._round(o) if isinstance(o, Swap) else o
            for o in super().decide(ready, progress, plan)
        ]

    def _round(self, swap: Swap) -> Swap:
        players = sorted(swap.players)
        return replace(swap, takes=tuple((p, players[i - 1]) for i, p in enumerate(players)))
