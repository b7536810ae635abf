"""FedGAN (Rasouli et al., 2020): every K steps all pairs go on from the mean of what was published.
raygan train --preset ring8-gap --strategy ./examples/fedgan.py --strategy.every 20"""

import numpy as np
from pydantic import Field

from raygan.gan.pair import Pair, Sharing
from raygan.gan.weights import flatten, unflatten
from raygan.strategies.independent import Independent
from raygan.strategies.orders import Train


class FedGan(Independent):
    every: int = Field(20, gt=0, description="Steps between two means; versions 1, 1 + every, ... are published.")
    packs = elastic = property(lambda self: False)  # pairs with a train of their own; a mean takes all of them

    def build(self, name, setup, sharing=None):
        pair = FedPair(name, setup.parts(name), Sharing(self.every))
        pair.players = self.locals(setup.config)
        return pair

    def decide(self, ready: list[str], progress, plan) -> list[Train]:
        # to the next published version, where everybody waits for the slowest
        last = min(progress.done.values())
        stop = {p: (s - 1) // self.every * self.every + self.every + 1 if s else 1 for p, s in progress.done.items()}
        free = [p for p in ready if progress.done[p] < plan.steps and stop[p] == min(stop.values())]
        return [Train(p, min(stop[p], plan.next_stop(s)) - s, last) for p in free for s in [progress.done[p]]]


class FedPair(Pair):
    players: list[str]

    def train(self, steps, board):
        if self.sharing.due(self.step) and self.step:
            others = board.between([p for p in self.players if p != self.name], self.step - 1, self.step)
            for key, net in (("D", self.d), ("G", self.g)):
                theirs = {p: v[0].arrays[key] for p, v in others.items()} | {self.name: flatten(net)}
                unflatten(net, np.mean([theirs[p] for p in self.players], axis=0, dtype=np.float32))
        return super().train(steps, board)
