"""The energy distance (Szekely and Rizzo, 2013): how far samples are from real points, without a
label, a classifier or a discriminator.

    D(X, Y) = 2 E|X - Y| - E|X - X'| - E|Y - Y'|      >= 0, and 0 only where X and Y are alike
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

ROWS = 512
"""Points whose distances to all others are held at once."""


def energy_distance(x: Tensor, y: Tensor) -> float:
    """Of samples x (N, *shape) and y (M, *shape), in the unit of their numbers; infinite where a
    number is not finite. A point's distance to itself counts: of as many samples, biases are alike.
    """
    a, b = (t.detach().cpu().double().flatten(1) for t in (x, y))
    value = 2 * mean_distance(a, b) - mean_distance(a, a) - mean_distance(b, b)
    return value if math.isfinite(value) else math.inf


def mean_distance(a: Tensor, b: Tensor) -> float:
    """Of points a (N, d) to points b (M, d), Euclidean."""
    exact = "donot_use_mm_for_euclid_dist"  # the quick way loses small distances to rounding
    sums = [torch.cdist(part, b, compute_mode=exact).sum() for part in a.split(ROWS)]
    return float(torch.stack(sums).sum()) / (len(a) * len(b))
