"""Federated averaging: every so many steps all pairs go on from the means of their weights (FedGAN:
Rasouli, Sun, Rajagopal, 2020).

    D_n, G_n begin as D_1, G_1
    period of `every` steps, each pair alone on its part    -->  D_n, G_n published at its end
    D = sum_n pi_n D_n, G = sum_n pi_n G_n                  <--  read by all, at the beginning of
                                                                 the next

pi_n is the part's share of all samples. Optimizers and moving averages stay each pair's own. All
begin with the same weights, as in the paper: the mean of N networks that were drawn apart is one of
1 / sqrt(N) their size, Fourier frequencies included (`begin: apart`, for comparison).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar, Literal

from pydantic import Field
from torch import nn

from raygan.config import Config
from raygan.errors import ConfigError
from raygan.gan.means import mean
from raygan.gan.pair import Pair, Sharing
from raygan.gan.trainer import Parts
from raygan.gan.types import Board, Report
from raygan.gan.weights import Publication, Vector, unflatten
from raygan.strategies.base import (
    Plan,
    Progress,
    Setup,
    StrategyComponent,
    megabytes,
    same_networks,
)
from raygan.strategies.meetings import no_meeting
from raygan.strategies.orders import Train
from raygan.strategies.partition import counts


class FedPair(Pair):
    """Begins each period with the means of what all have published at the end of the one before."""

    def __init__(
        self, name: str, parts: Parts, sharing: Sharing, counts: Mapping[str, float]
    ) -> None:
        super().__init__(name, parts, sharing)
        self.counts = counts
        """Training samples of each pair."""

    def train(self, steps: int, board: Board) -> Report:
        """Do `steps` steps; a round never crosses a period's end, where D and G were published."""
        # versions 1, 1 + every, ... are published: the mean is taken up at the step after, by each
        # by itself
        if self.step % self.sharing.every == 1:
            found = board.between(list(self.counts), self.step - 1, self.step)
            told = {n: p for n, (p,) in found.items()}
            for key, network in (("D", self.d), ("G", self.g)):
                unflatten(network, mean_of(network, told, self.counts, key))
        return super().train(steps, board)


def mean_of(
    network: nn.Module, told: Mapping[str, Publication], counts: Mapping[str, float], key: str
) -> Vector:
    """sum_n pi_n w_n over the networks of this key, like `network`."""
    # in the order of the pairs, in float64 within: a sum has the same bits in each of them
    return mean(network, [p.arrays[key] for p in told.values()], [counts[n] for n in told])


class Fedavg(StrategyComponent):
    """Means of the weights of all pairs every so many steps."""

    every: int = Field(25, gt=1, description="Steps between two averages.")
    begin: Literal["together", "apart"] = Field(
        "together",
        description=(
            "First weights; together: all pairs have the first one's, as in the paper; apart: each"
            " its own, and the first mean is smaller by the root of their number."
        ),
    )

    # everybody's networks are in everybody's mean, and read by the others alone between two rounds
    elastic: ClassVar[bool] = False
    publishes: ClassVar[bool] = False
    packs: ClassVar[bool] = False
    mingles: ClassVar[bool] = True

    def check(self, config: Config) -> None:
        """All come to a period's end before anybody goes on."""
        if config.pace == "async":
            raise ConfigError(
                "tempo = async: strategy fedavg waits for all at the end of a period. Use --tempo"
                " lockstep."
            )

    def check_setup(self, setup: Setup) -> None:
        """Means are of like networks."""
        same_networks(
            setup, self.locals(setup.config), ("D", "G"), "strategy.fedavg takes means of networks"
        )

    def notes(self, plan: Plan) -> list[tuple[str, str]]:
        """A period that is longer than the run."""
        # the mean after step 1 is of networks that have learnt nothing
        return no_meeting(self.every + 1, plan.steps, "no mean will be taken", "strategy.every")

    def build(self, name: str, setup: Setup, sharing: Sharing | None = None) -> FedPair:
        """It publishes after steps 1, 1 + every, ...: there periods end."""
        pairs = self.locals(setup.config)
        parts = setup.parts(name, begins_as=pairs[0] if self.begin == "together" else "")
        return FedPair(name, parts, Sharing(every=self.every), counts(setup.data, pairs))

    def bytes_a_step(self, setup: Setup) -> float:
        """Each pair's D and G, to all others."""
        n = setup.config.num_pairs
        return n * (n - 1) * self._published(setup) / self.every

    def traffic(self, setup: Setup) -> list[str]:
        """A period's."""
        sent = megabytes(self._published(setup))
        return [
            f"leaves a pair  {sent} every {self.every} steps, to each other pair: its D and its G"
        ]

    def _published(self, setup: Setup) -> float:
        return Sharing(every=self.every).nbytes(setup.parts(self.locals(setup.config)[0]))

    def shortened(self, steps: int) -> Fedavg:
        """Five averages."""
        return self.model_copy(update={"every": max(2, steps // 5)})

    def decide(self, ready: Sequence[str], progress: Progress, plan: Plan) -> list[Train]:
        """Everybody to the end of its round or period; there all wait for the last."""
        done, last = progress.done, min(progress.done.values())
        ends = {
            p: min(plan.next_stop(done[p]), -(-done[p] // self.every) * self.every + 1)
            for p in ready
        }
        waits = {p for p in ready if done[p] % self.every == 1 and done[p] > last}
        return [
            Train(p, ends[p] - done[p], last) for p in ready if ends[p] > done[p] and p not in waits
        ]

    def stop_targets(self, done: Mapping[str, int], plan: Plan) -> dict[str, int]:
        """All at one step: what was published is not in a checkpoint."""
        return dict.fromkeys(done, max(done.values()))
