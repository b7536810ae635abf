"""How many modes of a synthetic mixture are there, and how good are the points?

Always say the number of points and the mixture's radius and std beside these numbers (Modes.text):
uniform noise over the 25-mode grid captures 22 "modes" of 25 by the usual rule, and none by
modes@10%.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from raygan.data.base import Modes

Points = npt.NDArray[np.floating]


def mode_counts(points: Points, modes: Modes, radius_std: float = 3.0) -> npt.NDArray[np.int64]:
    """High-quality points at each mode, (M,): a point belongs to the nearest mean, and counts
    within 3 std of it.
    """
    distance = np.linalg.norm(points[:, None, :].astype(np.float64) - modes.means[None], axis=2)
    nearest = distance.argmin(1)
    good = distance[np.arange(len(points)), nearest] <= radius_std * modes.std
    return np.bincount(nearest[good], minlength=len(modes.means))


def mode_scores(points: Points, modes: Modes) -> dict[str, float]:
    """modes, modes@10%, high_quality and reverse_kl of points (N, 2).

    modes: with at least one high-quality point (PacGAN: out of 2,500). modes@10%: with at least 10
    % of a fair share of all N points. reverse_kl: of the histogram of the high-quality points
    against uniform, in nats.
    """
    counts = mode_counts(points, modes)
    fair = len(points) / len(modes.means)
    good = int(counts.sum())
    return {
        "modes": float((counts > 0).sum()),
        "modes@10%": float((counts >= 0.1 * fair).sum()),
        "high_quality": good / len(points),
        "reverse_kl": kl_to_uniform(counts) if good else float("nan"),
    }


def kl_to_uniform(counts: npt.NDArray[np.int64]) -> float:
    """KL(counts / n || uniform) in nats; its floor for n uniform draws over M cells is about (M -
    1) / 2n.

    >>> kl_to_uniform(np.array([5, 5]))
    0.0
    """
    p = counts / counts.sum()
    p = p[p > 0]
    return float((p * np.log(p * len(counts))).sum())


def uncovered_by_union(counts: npt.NDArray[np.int64], fair: float) -> npt.NDArray[np.float64]:
    """SGAN, Fig. 2d: share of modes that none of n generators covers, for n = 1 .. N, averaged over
    all subsets.

    counts: (N, M) high-quality points of each generator at each mode; a mode is covered by at least
    10 % of a fair share (`fair` points). Exact: a mode missed by m of N generators is missed by a
    random n-subset with C(m, n) / C(N, n).

    >>> uncovered_by_union(np.array([[9, 0], [0, 9]]), 10.0)
    array([0.5, 0. ])
    """
    missed = (counts < 0.1 * fair).sum(0)  # (M,) generators that miss each mode
    total = len(counts)
    out = np.empty(total)
    share = np.ones(len(missed))
    for n in range(1, total + 1):
        share = share * np.clip(missed - n + 1, 0, None) / (total - n + 1)
        out[n - 1] = share.mean()
    return out
