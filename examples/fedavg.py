"""An own strategy with an own player: federated averaging. `raygan train --strategy
examples/fedavg.py --strategy.every 25`
"""

import numpy as np
from pydantic import Field

from raygan.gan.pair import Pair, Sharing
from raygan.gan.weights import unflatten
from raygan.strategies.base import StrategyComponent
from raygan.strategies.orders import Train


class FedPair(Pair):
    """Begins each period with the means of what all have published at the end of the one before."""

    def train(
        self, steps, board
    ):  # a round never crosses a period's end, where Pair.train has published D and G
        if self.step % self.sharing.every == 1:
            found = [
                p.arrays
                for (p,) in board.between(self.everybody, self.step - 1, self.step).values()
            ]
            for key, network in (("D", self.d), ("G", self.g)):
                unflatten(network, np.mean([arrays[key] for arrays in found], axis=0))
        return super().train(steps, board)


class FedAvg(StrategyComponent):
    """Means of the weights of all pairs every so many steps (FedGAN: Rasouli et al., 2020)."""

    every: int = Field(25, gt=1, description="Steps between two averages.")

    def build(
        self, name, setup, sharing=None
    ):  # publishes after steps 1, 1 + every, ...: there periods end
        pair = FedPair(name, setup.parts(name), Sharing(every=self.every))
        pair.everybody = self.locals(setup.config)
        return pair

    def decide(self, ready, progress, plan):
        done, last = progress.done, min(progress.done.values())
        ends = {
            p: min(plan.next_stop(done[p]), -(-done[p] // self.every) * self.every + 1)
            for p in ready
        }
        waits = {p for p in ready if done[p] % self.every == 1 and done[p] > last}  # for all
        return [
            Train(p, ends[p] - done[p], last) for p in ready if ends[p] > done[p] and p not in waits
        ]

    def stop_targets(
        self, done, plan
    ):  # all at one step: what was published is not in a checkpoint
        return dict.fromkeys(done, max(done.values()))
