"""Federated averaging, an own strategy: `raygan train --strategy examples/fedavg.py`."""

from pydantic import Field

from raygan.gan.means import mean
from raygan.gan.pair import Pair, Sharing
from raygan.gan.weights import unflatten
from raygan.strategies.base import StrategyComponent
from raygan.strategies.orders import Train


class FedPair(Pair):
    """Begins each period with the means of what all have published at the end of the one before."""

    def train(self, steps, board):  # never past a period's end, where Pair.train has published
        if self.step % self.sharing.every == 1:
            told = [p for (p,) in board.between(self.all, self.step - 1, self.step).values()]
            unflatten(self.d, mean(self.d, [p.arrays["D"] for p in told]))
            unflatten(self.g, mean(self.g, [p.arrays["G"] for p in told]))
        return super().train(steps, board)


class FedAvg(StrategyComponent):
    """Means of the weights of all pairs every so many steps (FedGAN: Rasouli et al., 2020)."""

    every: int = Field(25, gt=1, description="Steps between two averages.")

    def build(self, name, setup, sharing=None):  # publishes after steps 1, 1 + every, ...
        pair = FedPair(name, setup.parts(name, begins_as="pair-00"), Sharing(every=self.every))
        pair.all = self.locals(setup.config)
        return pair

    def decide(self, ready, progress, plan):
        done, last, every = progress.done, min(progress.done.values()), self.every
        go = [p for p in ready if done[p] % every != 1 or done[p] == last]  # others wait
        steps = {p: min(plan.next_stop(n := done[p]) - n, every - (n - 1) % every) for p in go}
        return [Train(p, n, last) for p, n in steps.items() if n > 0]

    def stop_targets(self, done, plan):  # one step: what was published is not in a checkpoint
        return dict.fromkeys(done, max(done.values()))
