"""Weights of a mixture of generators, fitted by likelihood on held-out data; what each of them
gives of n samples.

w = argmax sum_x log sum_k w_k p_k(x)    EM; the objective is concave,
                                         so it ends at the best weights
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt
import torch

from raygan.metrics.density import best_bandwidth, kde_log_density

Points = npt.NDArray[np.floating]
ROUNDS = 500


def shares(n: int, weights: Sequence[float]) -> list[int]:
    """n split in proportion to the weights, by largest remainder: for scores, whose n is large.

    Of a small n the same ones get nothing each time: for samples there are `drawn_shares`.

    >>> shares(10, [1, 1, 1])
    [4, 3, 3]
    """
    exact = [n * w / sum(weights) for w in weights]
    out = [int(e) for e in exact]
    # the largest remainders get what is left; by number among equals
    for i in sorted(range(len(out)), key=lambda i: (out[i] - exact[i], i))[: n - sum(out)]:
        out[i] += 1
    return out


def drawn_shares(n: int, weights: Sequence[float], stream: torch.Generator) -> list[int]:
    """n split so that each is expected to get n * its weight, and gets that rounded down or up:
    systematic sampling, in an order that is drawn as well.

    Many small draws are one large one then, and a draw of n has as little variance as it can.

    >>> drawn_shares(8, [1, 1, 2], torch.Generator().manual_seed(0))
    [2, 2, 4]
    """
    order = torch.randperm(len(weights), generator=stream).numpy()
    start = float(torch.rand((), generator=stream, dtype=torch.float64))
    sums = np.cumsum(np.asarray(weights, float)[order])
    # each has a length of n * w on a line of length n; who has a point of start, start + 1, ..
    # within it gives a sample. The end is n itself, whatever the rounding of sums.
    ends = np.where(sums < sums[-1], np.minimum(np.floor(n * sums / sums[-1] + start), n), n)
    out = np.empty(len(weights), int)
    out[order] = np.diff(ends, prepend=0)
    return [int(count) for count in out]


def log_densities(samples: Mapping[str, Points], at: Points) -> npt.NDArray[np.float64]:
    """log p_k(at), (K, N): a kernel density over each generator's samples, one bandwidth (from
    held-out halves) a generator.
    """
    out = []
    for points in samples.values():
        # one half carries the density, the other chooses its width
        half = len(points) // 2
        out.append(kde_log_density(at, points[:half], best_bandwidth(points[:half], points[half:])))
    return np.stack(out)


def fit(log_p: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Weights (K,) that maximise the mean log-likelihood of a mixture, from log p_k(x), (K, N).

    >>> fit(np.log(np.array([[0.9, 0.9, 0.9, 0.1], [0.1, 0.1, 0.1, 0.9]]))).round(2).tolist()
    [0.81, 0.19]
    """
    weights = np.full(len(log_p), 1 / len(log_p))
    for _ in range(ROUNDS):
        joint = log_p + np.log(np.maximum(weights, 1e-300))[:, None]
        # E step: what each generator has of each point; its mean is the M step
        share = np.exp(joint - joint.max(0))
        weights = (share / share.sum(0)).mean(1)
    return weights


def log_likelihood(log_p: npt.NDArray[np.float64], weights: npt.NDArray[np.float64]) -> float:
    """Mean log-likelihood of the mixture, nats."""
    joint = log_p + np.log(np.maximum(weights, 1e-300))[:, None]
    top = joint.max(0)
    return float((top + np.log(np.exp(joint - top).sum(0))).mean())
