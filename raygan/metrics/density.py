"""Scores over a kernel density estimate of the generated points: AdaGAN's coverage C, and the
log-likelihood.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

Points = npt.NDArray[np.floating]
BANDWIDTHS = np.geomspace(0.004, 1.0, 16)
"""Candidates, in units of the points' overall standard deviation."""
LEAST = 1500
"""Generated points that coverage C is defined on."""


CENTRES = 1000
"""Points that the density rests on; half as many choose its bandwidth."""
ROWS = 4096
"""Points that are looked at together."""


def kde_log_density(at: Points, centres: Points, bandwidth: float) -> npt.NDArray[np.float64]:
    """log p(at), (N,), of an isotropic Gaussian kernel density over `centres` (K, d)."""
    # what is held does not grow with the number of points
    parts = [at[i : i + ROWS] for i in range(0, len(at), ROWS)] or [at]
    density = [_log_density(_squared(part, centres), bandwidth, at.shape[1]) for part in parts]
    return np.concatenate(density)


def _squared(at: Points, centres: Points) -> npt.NDArray[np.float64]:
    """Squared distances (N, K) of points to centres, never below 0."""
    a, c = at.astype(np.float64), centres.astype(np.float64)
    # max(., 0): rounding may leave a little less than nothing
    squared = (a**2).sum(1)[:, None] + (c**2).sum(1)[None] - 2 * a @ c.T
    return np.asarray(np.maximum(squared, 0))


def _log_density(
    squared: npt.NDArray[np.float64], bandwidth: float, d: int
) -> npt.NDArray[np.float64]:
    """The same, from squared distances (N, K) of points of d dimensions."""
    exponent = -squared / (2 * bandwidth**2)
    # log-sum-exp: far from all centres every exponential is 0
    top = exponent.max(1)
    exponent -= top[:, None]
    # beside the largest, which is 1, e^-700 is nothing; smaller ones cost four times the time
    np.maximum(exponent, -700, out=exponent)
    norm = math.log(squared.shape[1]) + d * (math.log(bandwidth) + 0.5 * math.log(2 * math.pi))
    return np.asarray(top + np.log(np.exp(exponent).sum(1)) - norm)


def best_bandwidth(centres: Points, validation: Points) -> float:
    """The bandwidth under which `validation` is most likely, copies of centres left out; Scott's
    rule (1992) where all are copies.

    A copy is the likelier the narrower the kernel: it would choose the narrowest one.
    """
    scale = max(float(centres.std()), 1e-6)
    # a generator that repeats itself gives copies; by their bytes, since they are equal bit by bit
    taken = {row.tobytes() for row in centres}
    validation = validation[[row.tobytes() not in taken for row in validation]]
    d = centres.shape[1]
    if not len(validation):
        return scale * float(len(centres) ** (-1 / (d + 4)))
    squared = _squared(validation, centres)
    means = [_log_density(squared, scale * b, d).mean() for b in BANDWIDTHS]
    return scale * float(BANDWIDTHS[int(np.argmax(means))])


def density_scores(fake: Points, real: Points) -> dict[str, float]:
    """coverage_c and log_likelihood; of 1,500 (`LEAST`) generated points (N, d); no more are used.

    The density is a KDE on 1,000 (`CENTRES`) of them, its bandwidth chosen by the likelihood of 500
    more; of fewer points, two thirds and a third; NaN of fewer than two. coverage_c (AdaGAN,
    section 4.1): the share of real points where the density is above t, t = its 5th percentile at
    those 500; a perfect model has 0.95. log_likelihood: mean log-density of the real points, in
    nats.
    """
    if len(fake) < 2:
        return {"coverage_c": math.nan, "log_likelihood": math.nan}
    # the first ones, not drawn: samples are independent already
    first = min(CENTRES, len(fake) - len(fake) // 3 if len(fake) > 2 else 1)
    centres, validation = fake[:first], fake[first : first + CENTRES // 2]
    bandwidth = best_bandwidth(centres, validation)
    # of the model's own points: by definition 95 % of them are above
    threshold = np.percentile(kde_log_density(validation, centres, bandwidth), 5)
    at_real = kde_log_density(real, centres, bandwidth)
    return {
        "coverage_c": float((at_real > threshold).mean()),
        "log_likelihood": float(at_real.mean()),
    }
