"""PMGAN's balance term: how much each generator is to avoid the others (Xiao, Rajasekaran, 2019,
section 3.2).

    w_k = softmax_k(J^D)    d_k = sigmoid(J_k^D)    c_k = J_k^C                (eq. 3)
    beta_k = w_k exp(-(c_k / d_k - lambda)), renormalised by a softmax over k  (eq. 4)

Taken literally, eq. 4 overflows or gives one generator everything, and its renormalisation cancels
lambda. `bounded` keeps what the text wants of it and stays finite: mean e^lambda (scale K), so that
lambda = 0 starts at the paper's beta = 1.

Both weigh by what C and D say at this moment, and compete for ever: a generator that has its modes
for itself is still pushed. `learned` makes it a constraint: overlap_k <= target, with beta_k as its
multiplier, so that competition ends where modes are divided.
"""

from __future__ import annotations

import math
from typing import Literal

import numpy as np
import numpy.typing as npt

Values = npt.NDArray[np.float64]
Balance = Literal["bounded", "paper", "constant", "learned", "off"]
CLIP = 4.0
MOST = 10.0
"""Of a multiplier: an overlap that cannot go (more generators than modes) raises it no further."""


def signal(j_d: Values, j_c: Values) -> Values:
    """log w_k - clip(c_k / d_k, +-4), (K,): large for a generator that is near the data and
    overlaps with another.

    j_d: E log D(x) + E log(1 - D(G_k)) <= 0; high means that generator k is bad. j_c: E log
    softmax_k(C(G_k)) <= 0; low means that C takes k's samples for somebody else's.
    """
    log_w = j_d - _log_sum_exp(j_d)
    d = 1 / (1 + np.exp(-np.clip(j_d, -60, 60)))
    return np.asarray(log_w - np.clip(j_c / d, -CLIP, CLIP))


def softmax(values: Values) -> Values:
    """The softmax of values (K,): (K,), which sums to 1."""
    return np.asarray(np.exp(values - _log_sum_exp(values)))


def dual_ascent(multipliers: Values, j_c: Values, target: float, rate: float) -> Values:
    """A step up the dual of min J_k^D subject to overlap_k <= target, (K,) each: the multiplier
    beta_k grows by rate (overlap_k - target), within 0 .. 10 (`MOST`).

    overlap_k = 1 - exp(J_k^C) is how sure C is, in the geometric mean, that a sample of k is
    somebody else's: 0 where modes are divided, 1 - 1/K where all are alike.

    >>> dual_ascent(np.array([1.0, 0.0]), np.log([0.5, 1.0]), 0.1, 0.5).tolist()
    [1.2, 0.0]
    """
    # min(., 0): J^C is a mean of logarithms of probabilities, above 0 by rounding only
    overlap = 1 - np.exp(np.minimum(j_c, 0.0))
    return np.clip(multipliers + rate * (overlap - target), 0.0, MOST)


def beta(
    j_d: Values, j_c: Values, balance: Balance = "bounded", diversity: float = 0.0,
    decay: float = 0.0, step: int = 0, scale: Literal["K", "1"] = "K",
    multipliers: Values | None = None,
) -> Values:  # fmt: skip
    """beta_k of each generator, (K,), always finite.

    diversity: lambda. decay: alpha of exp(-alpha step). multipliers: those of `dual_ascent`, for
    balance = "learned".

    >>> beta(np.array([-1.0, -1.0]), np.array([-0.5, -0.5])).round(3).tolist()
    [1.0, 1.0]
    """
    shrink = math.exp(-decay * step)
    if balance == "off":
        return np.zeros(len(j_d))
    if balance == "constant":
        return np.full(len(j_d), math.exp(diversity) * shrink)
    if balance == "paper":
        log_w = j_d - _log_sum_exp(j_d)
        d = 1 / (1 + np.exp(-np.clip(j_d, -60, 60)))
        # clipped to what exp can hold: else infinity, and NaN from the softmax over it
        literal = np.exp(np.clip(log_w - (j_c / np.maximum(d, 1e-12) - diversity), -700, 700))
        return softmax(literal) * shrink
    if balance == "learned":
        assert multipliers is not None, "its state is the judge's"
        return multipliers * shrink
    # of K generators that are alike each gets 1: the sum is K, whatever their number
    share = softmax(signal(j_d, j_c))
    return np.asarray((len(j_d) if scale == "K" else 1) * math.exp(diversity) * share * shrink)


def _log_sum_exp(values: Values) -> float:
    top = float(values.max())
    return top + math.log(float(np.exp(values - top).sum()))
