"""How many modes of a synthetic mixture are there, and how good are the points?

Always say the number of points and the mixture's radius and std beside these numbers (Modes.text):
uniform noise over the 25-mode grid captures 22 "modes" of 25 by the usual rule, and none by
modes@10%.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from raygan.data.base import Modes

Points = npt.NDArray[np.floating]
RADIUS = 3.0
"""Standard deviations around a mean within which a point is of high quality."""


def mode_counts(points: Points, modes: Modes, radius_std: float = RADIUS) -> npt.NDArray[np.int64]:
    """High-quality points at each mode, (M,): a point belongs to the nearest mean, and counts
    within 3 std of it.
    """
    nearest, good = assigned(points, modes, radius_std)
    return np.bincount(nearest[good], minlength=len(modes.means))


def assigned(
    points: Points, modes: Modes, radius_std: float = RADIUS
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.bool_]]:
    """The nearest mode of each point, (N,), and whether the point is of high quality, (N,)."""
    # in float64: a distance at the edge of 3 std must not depend on where the mixture lies
    distance = np.linalg.norm(points[:, None, :].astype(np.float64) - modes.means[None], axis=2)
    nearest = distance.argmin(1)
    return nearest, distance[np.arange(len(points)), nearest] <= radius_std * modes.std


def width(points: Points, modes: Modes) -> float:
    """Spread of the high-quality points within their modes over that of the data: 1 for real data.

    The root of their mean square distance from their own mode's centre (of the points, not of the
    data: a narrow mode that is off is narrow), over that of a Gaussian cut off at 3 std. Near 0: a
    point a mode, whatever high_quality says; 1.5: uniform in the disc, as noise is. It cannot tell
    how the points lie within a mode, nor anything of points that are not near one. NaN where no
    mode has two points.
    """
    nearest, good = assigned(points, modes)
    squares, free = 0.0, 0
    for mode in np.unique(nearest[good]):
        mine = points[good & (nearest == mode)].astype(np.float64)
        squares += float(((mine - mine.mean(0)) ** 2).sum())
        # a degree of freedom a mode, since each is measured from its own centre
        free += len(mine) - 1
    if not free:
        return float("nan")
    return float(np.sqrt(squares / (2 * free) / kept_variance(RADIUS))) / modes.std


def kept_variance(radius: float) -> float:
    """Of each coordinate of a Gaussian N(0, I) in two dimensions that is cut off at this radius.

    >>> round(kept_variance(3.0), 4)
    0.9494
    """
    tail = math.exp(-(radius**2) / 2)
    return 1 - tail * radius**2 / 2 / (1 - tail)


def mode_scores(points: Points, modes: Modes) -> dict[str, float]:
    """modes, modes@10%, high_quality, width and reverse_kl of points (N, 2).

    modes: with at least one high-quality point (PacGAN: out of 2,500). modes@10%: with at least 10
    % of a fair share of all N points. reverse_kl: of the histogram of the high-quality points
    against uniform, in nats. width: of these points within their modes, real data 1.
    """
    counts = mode_counts(points, modes)
    fair = len(points) / len(modes.means)
    good = int(counts.sum())
    return {
        "modes": float((counts > 0).sum()),
        "modes@10%": float((counts >= 0.1 * fair).sum()),
        "high_quality": good / len(points),
        "width": width(points, modes),
        "reverse_kl": kl_to_uniform(counts) if good else float("nan"),
    }


def kl_to_uniform(counts: npt.NDArray[np.int64]) -> float:
    """KL(counts / n || uniform) in nats; its floor for n uniform draws over M cells is about (M -
    1) / 2n.

    >>> kl_to_uniform(np.array([5, 5]))
    0.0
    """
    p = counts / counts.sum()
    # 0 log 0 = 0
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
        # C(m, n) / C(N, n) as a running product: no large factorials
        share = share * np.clip(missed - n + 1, 0, None) / (total - n + 1)
        out[n - 1] = share.mean()
    return out
