"""How far samples are from real points without a label, a classifier or a discriminator; this ranks
the members of a population.

    energy       H = (2 E|X - Y| - E|X - X'| - E|Y - Y'|) / 2 E|X - Y|
                 in [0, 1] (Szekely and Rizzo, 2013)
    neighbours   (1 - precision) + (1 - near) + H
                 in [0, 3]

precision: share of samples among real ones (Kynkaanniemi et al., 2019); near: share of real points
with a sample by them (`fidelity.near`). H alone hardly sees samples between modes: of 1,000 of the
ring of 8 it cannot tell 65 % at the modes from 85 % (half a standard deviation apart). Where no
sample is near a real point the others are 1, and H goes on. Density and coverage in their place
prefer wide modes to good samples.
"""

from __future__ import annotations

import math
from typing import Literal

import torch
from torch import Tensor

from raygan.metrics.fidelity import near, prdc

ROWS = 512
"""Points whose distances to all others are held at once."""
LEAST = 0.05
"""A real point counts as near to a sample that is no further than so much of the real spread."""
Rule = Literal["neighbours", "energy"]


def distance(x: Tensor, y: Tensor, by: Rule) -> float:
    """From samples x (N, *shape) to real points y (M, *shape), on the CPU, two of each at least;
    infinite where a number is not finite.
    """
    a, b = (t.detach().double().flatten(1) for t in (x, y))
    value = energy_coefficient(a, b)
    if by == "neighbours" and math.isfinite(value):
        real, fake = b.numpy(), a.numpy()
        # both shares as what is missing of 1: less is better in all three
        value += 2 - prdc(real, fake)["precision"] - near(real, fake, least=LEAST)
    return value if math.isfinite(value) else math.inf


def energy_coefficient(a: Tensor, b: Tensor) -> float:
    """H of points (N, d) and (M, d); 0 where all are one point. A point's distance to itself
    counts: of as many samples, biases are alike.
    """
    # all pairs, a point with itself included (a V-statistic): it is never negative
    between = 2 * mean_distance(a, b)
    return 1 - (mean_distance(a, a) + mean_distance(b, b)) / between if between else 0.0


def mean_distance(a: Tensor, b: Tensor) -> float:
    """Of points a (N, d) to points b (M, d), Euclidean."""
    exact = "donot_use_mm_for_euclid_dist"  # the quick way loses small distances to rounding
    sums = [torch.cdist(part, b, compute_mode=exact).sum() for part in a.split(ROWS)]
    return float(torch.stack(sums).sum()) / (len(a) * len(b))
