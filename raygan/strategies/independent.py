"""N pairs that do not help each other: the baseline of all three papers; with shared weights,
SGAN's N-SW locals.

share_weights: the locals have about half of their parameters in common: D's layers next to the
pixels, G's last layers (SGAN, section 4: 5-SW-WGAN, 5-SW-DRAGAN). The sharing pairs live in one
actor and take turns, a step each.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

from pydantic import Field
from torch import nn

from raygan.config import Config
from raygan.errors import ConfigError
from raygan.gan.pair import Pair, Sharing
from raygan.gan.trainer import Parts
from raygan.strategies.base import Plan, Progress, Setup, StrategyComponent, same_networks
from raygan.strategies.orders import Train


class Independent(StrategyComponent):
    """Every pair trains alone."""

    share_weights: bool = Field(
        False, description="N-SW: about half of the parameters in common, in one actor."
    )

    def check(self, config: Config) -> None:
        """Who shares weights takes turns."""
        if self.share_weights and config.pace == "async":
            raise ConfigError(
                "strategy.independent.share_weights = true: pairs take turns, step by step. Use"
                " --tempo lockstep."
            )

    def check_setup(self, setup: Setup) -> None:
        """Only like networks can share."""
        if self.share_weights:
            same_networks(
                setup,
                self.locals(setup.config),
                ("D", "G"),
                "strategy.independent.share_weights joins networks",
            )
            parts = setup.parts(self.locals(setup.config)[0])
            if not all(
                isinstance(n, nn.Sequential) for n in (parts.generator, parts.discriminator)
            ):
                raise ConfigError(
                    "strategy.independent.share_weights = true: network"
                    f" {setup.config.network['name']} is no plain stack of layers. Use mlp, dcgan"
                    " or text_cnn with one judge."
                )

    def together(self, config: Config) -> list[list[str]]:
        """All sharing pairs in one process."""
        return [self.locals(config)] if self.share_weights else []

    @property
    def isolated(self) -> bool:
        """But for layers in common."""
        return not self.share_weights

    @property
    def mingles(self) -> bool:
        """Layers in common are trained by all pairs."""
        return self.share_weights

    @property
    def elastic(self) -> bool:
        """Pairs that share layers live and leave together."""
        return not self.share_weights

    def build(self, name: str, setup: Setup, sharing: Sharing | None = None) -> Pair:
        """A pair that helps nobody, unless a global pair learns from it."""
        parts = setup.parts(name)
        return Pair(name, share(parts, setup.shared) if self.share_weights else parts, sharing)

    def bytes_a_step(self, setup: Setup) -> float:
        """Nothing."""
        return 0.0

    def traffic(self, setup: Setup) -> list[str]:
        """Nothing."""
        return []

    def decide(self, ready: Sequence[str], progress: Progress, plan: Plan) -> list[Train]:
        """Whoever is ready goes on to the end of its round; who shares weights, in turns."""
        done = progress.done
        if self.share_weights:
            # a step each, by number: layers in common are trained by one pair at a time, in an
            # order that a resumed run repeats
            turn = min(done, key=lambda p: (done[p], p))
            return [Train(turn, 1)] if len(ready) == len(done) and done[turn] < plan.steps else []
        return [Train(p, plan.next_stop(done[p]) - done[p]) for p in ready if done[p] < plan.steps]


def share(parts: Parts, common: dict[str, nn.Module]) -> Parts:
    """Put the first pair's layers in the place of this pair's: about half of the parameters of each
    network, from the pixels on.
    """
    d, g = cast(nn.Sequential, parts.discriminator), cast(nn.Sequential, parts.generator)
    # D from the pixels on, G backwards from them: what looks at pictures is shared, what decides is
    # not
    for i in half(list(d)):
        d[i] = common.setdefault(f"D.{i}", d[i])
    for i in half(list(g)[::-1]):
        g[-1 - i] = common.setdefault(f"G.{i}", g[-1 - i])
    return parts


def half(layers: Sequence[nn.Module]) -> list[int]:
    """Indices of the first layers that hold half of all parameters, or the closest to that.

    >>> half([nn.Linear(2, 2), nn.ReLU(), nn.Linear(2, 2), nn.Linear(2, 2), nn.Linear(2, 2)])
    [0, 1, 2]
    """
    sizes = [sum(p.numel() for p in layer.parameters()) for layer in layers]
    total = sum(sizes)
    cuts = range(1, len(sizes))
    best = min(cuts, key=lambda c: abs(sum(sizes[:c]) / total - 0.5))
    return list(range(best))
