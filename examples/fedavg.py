"""Federated averaging, an own strategy: `raygan train --strategy examples/fedavg.py`."""

import numpy as np
from pydantic import Field

from raygan.gan.pair import Pair, Sharing
from raygan.gan.weights import unflatten
from raygan.strategies.base import StrategyComponent
from raygan.strategies.orders import Train


class FedPair(Pair):
    """Begins each period with the means of what all have published at the end of the one before."""

    def train(self, steps, board):  # never past a period's end, where Pair.train has published
        if self.step % self.sharing.every == 1:
            versions = board.between(self.everybody, self.step - 1, self.step).values()
            for key, network in (("D", self.d), ("G", self.g)):
                unflatten(network, np.mean([p.arrays[key] for (p,) in versions], axis=0))
        return super().train(steps, board)


class FedAvg(StrategyComponent):
    """Means of the weights of all pairs every so many steps (FedGAN: Rasouli et al., 2020)."""

    every: int = Field(25, gt=1, description="Steps between two averages.")

    def build(self, name, setup, sharing=None):  # publishes after steps 1, 1 + every, ...
        pair = FedPair(name, setup.parts(name), Sharing(every=self.every))
        pair.everybody = self.locals(setup.config)
        return pair

    def decide(self, ready, progress, plan):
        done, last = progress.done, min(progress.done.values())
        go = [p for p in ready if done[p] % self.every != 1 or done[p] == last]  # others wait
        period = {p: -(-done[p] // self.every) * self.every + 1 for p in go}
        ends = {p: min(plan.next_stop(done[p]), period[p]) for p in go}
        return [Train(p, end - done[p], last) for p, end in ends.items() if end > done[p]]

    def stop_targets(self, done, plan):  # one step: what was published is not in a checkpoint
        return dict.fromkeys(done, max(done.values()))
