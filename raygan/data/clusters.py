"""Parts that are unlike on purpose (`data.partition: clusters`): k-means on points or pixels, where
one place may see all samples.

centres    k-means++ and Lloyd's iterations over FITTED training samples,
           the best of STARTS by the squared distances
labels     of every sample: the nearest centre
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from raygan.data.partition import Index

if TYPE_CHECKING:
    from raygan.data.record import Array
    from raygan.data.stored import Samplings

Points = npt.NDArray[np.float32]
FITTED, STARTS, ROUNDS, CHUNK = 4000, 10, 50, 10_000


def clusters(samples: Sequence[Samplings], count: int, seed: int) -> list[Index]:
    """The cluster (N,) of each sample, for each of these arrays (N, *shape); `count` of them, which
    the first array alone decides.
    """
    rng = np.random.default_rng([seed, count])
    first = samples[0]
    # some thousands tell where the centres lie; every sample gets its label all the same
    chosen = np.sort(rng.permutation(len(first))[:FITTED])
    points = _flat(np.asarray(first[chosen]))
    # from one start Lloyd's iterations may end with two centres in one clump
    found = [lloyd(points, count, rng) for _ in range(STARTS)]
    centres = min(found, key=lambda of: of[1])[0]
    return [_labels(of, centres) for of in samples]


def lloyd(points: Points, count: int, rng: np.random.Generator) -> tuple[Points, float]:
    """(centres (count, features), mean squared distance to the nearest of them) of one start."""
    centres = points[[rng.integers(len(points))]]
    while len(centres) < count:  # k-means++: the further away, the likelier
        far = squares(points, centres).min(1)
        weights = far / far.sum() if far.sum() > 0 else np.full(len(points), 1 / len(points))
        centres = np.concatenate([centres, points[[rng.choice(len(points), p=weights)]]])
    for _ in range(ROUNDS):
        labels = squares(points, centres).argmin(1)
        means = [
            # a centre that has lost all its points stays where it was
            points[labels == k].mean(0) if (labels == k).any() else c
            for k, c in enumerate(centres)
        ]
        before, centres = centres, np.stack(means)
        # nobody has changed sides: nothing will move any more
        if np.array_equal(before, centres):
            break
    return centres, float(squares(points, centres).min(1).mean())


def squares(points: Points, centres: Points) -> npt.NDArray[np.float64]:
    """Squared distances of points (N, F) to centres (K, F): (N, K), never below 0."""
    x, c = points.astype(np.float64), centres.astype(np.float64)
    out = (x * x).sum(1)[:, None] - 2 * x @ c.T + (c * c).sum(1)
    positive: npt.NDArray[np.float64] = np.maximum(out, 0.0)
    return positive


def _flat(samples: Array) -> Points:
    return samples.reshape(len(samples), -1).astype(np.float32)


def _labels(samples: Samplings, centres: Points) -> Index:
    found = [
        squares(_flat(np.asarray(samples[i : i + CHUNK])), centres).argmin(1)
        for i in range(0, len(samples), CHUNK)
    ]
    return np.concatenate(found).astype(np.int64)
