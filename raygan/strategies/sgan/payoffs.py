"""How much each opponent counts in the steps of G0 and of D0 (Chavdarova and Fleuret, 2018, section
6): all the same, or more where that network loses to it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Literal

from raygan.gan.types import State

if TYPE_CHECKING:
    from raygan.strategies.sgan.settings import SganSettings

Side = Literal["g", "d"]
Shares = dict[str, dict[str, float]]
"""side -> opponent -> what it counts, summing to 1."""
FOLLOW = 0.1
"""Of a loss that is new, in the moving average of those against an opponent."""


class Payoffs:
    """The losses of G0 ("g") and of D0 ("d") against each opponent, on the moving average."""

    def __init__(self, settings: SganSettings) -> None:
        self.weighted = settings.opponents == "payoff"
        self.temperature = settings.payoff_temperature
        self.of: dict[Side, dict[str, float]] = {"g": {}, "d": {}}

    def set_members(self, names: Sequence[str]) -> None:
        """A new one begins at 0, as all did."""
        self.of = {side: {n: of.get(n, 0.0) for n in names} for side, of in self.of.items()}

    def shares(self, met: Sequence[str]) -> Shares:
        """The same for each opponent that was met, or a softmax over how much is lost to it."""
        if not self.weighted:
            return {side: dict.fromkeys(met, 1.0 / max(1, len(met))) for side in self.of}
        weights = {
            side: payoff_weights({n: of[n] for n in met}, self.temperature)
            for side, of in self.of.items()
        }
        return {
            side: {n: w / len(met) for n, w in by_name.items()} for side, by_name in weights.items()
        }

    def note(self, side: Side, losses: Mapping[str, float], shares: Mapping[str, float]) -> float:
        """Follow the losses of a step; their mean, weighted by the shares."""
        for name in shares if self.weighted else ():
            if math.isfinite(losses[name]):
                self.of[side][name] += FOLLOW * (losses[name] - self.of[side][name])
        return sum(share * losses[n] for n, share in shares.items())

    def state(self) -> State:
        """By side and opponent."""
        return {
            f"payoff.{side}.{n}": value for side, of in self.of.items() for n, value in of.items()
        }

    def restore(self, state: State) -> None:
        """The inverse."""
        for side, of in self.of.items():
            for n in of:
                of[n] = float(str(state.get(f"payoff.{side}.{n}", 0.0)))


def payoff_weights(payoff: Mapping[str, float], temperature: float) -> dict[str, float]:
    """N * softmax(payoff / temperature): mean 1, larger for the opponents that are lost against.

    >>> payoff_weights({"a": 1.0, "b": 1.0}, 1.0)
    {'a': 1.0, 'b': 1.0}
    """
    top = max(payoff.values(), default=0.0)
    e = {n: math.exp((v - top) / temperature) for n, v in payoff.items()}
    return {n: len(e) * v / sum(e.values()) for n, v in e.items()}
