"""Settings: how they are drawn, and what is made of a better member's (Jaderberg et al., 2017,
section 3.2: perturb and resample).

Each is a share of what the config says: {"lr_g": 2.5} trains G with 2.5 times `pair.lr_g`.
"""

from __future__ import annotations

import math
import random
from collections.abc import Mapping

from raygan.gan.random_streams import derive_seed

Ranges = Mapping[str, tuple[float, float]]
BETAS = ("beta1", "beta2")
"""Settings whose share is one of 1 - beta, the weight of the newest gradient."""


def drawn(ranges: Ranges, seed: int, player: str) -> dict[str, float]:
    """With which a member begins: log-uniform, a function of (seed, player).

    >>> drawn({"lr_g": (2.0, 2.0)}, 0, "pair-00")
    {'lr_g': 2.0}
    """
    stream = random.Random(derive_seed(seed, player, "settings"))
    return {name: log_uniform(*ends, stream) for name, ends in ranges.items()}


def shortened(beta: float, share: float) -> float:
    """Adam's beta whose 1 - beta is this share of the configured one's; 0 where that is above 1.

    >>> shortened(0.9, 0.5), shortened(0.9, 20.0)
    (0.95, 0.0)
    """
    return max(0.0, 1 - (1 - beta) * share)


def explored(
    settings: Mapping[str, float],
    ranges: Ranges,
    factor: float,
    resample: float,
    address: tuple[int, str, int],
) -> dict[str, float]:
    """A better member's settings, each times or divided by `factor` within its range, or with
    probability `resample` drawn anew; a function of them and of address = (seed, player, step).

    >>> explored({"lr_g": 1.0}, {"lr_g": (0.1, 10.0)}, 1.0, 0.0, (0, "pair-00", 50))
    {'lr_g': 1.0}
    """
    seed, player, step = address
    # a function of the address: what the journal says again after a resume is what is drawn again
    stream = random.Random(derive_seed(seed, player, "explore", step))
    return {
        name: log_uniform(low, high, stream)
        if stream.random() < resample
        else min(high, max(low, settings[name] * stream.choice((factor, 1 / factor))))
        for name, (low, high) in ranges.items()
    }


def log_uniform(low: float, high: float, stream: random.Random) -> float:
    """A number from low to high whose logarithm is uniform."""
    # exp(log(x)) may leave the range by rounding
    return min(high, max(low, math.exp(stream.uniform(math.log(low), math.log(high)))))
