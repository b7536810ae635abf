"""Coverage by class: the share of generated samples at each class, by the nearest labelled held-out
sample.

In the space of pixels, or of points. It tells which class a sample is closest to, not whether it
looks like one: noise has a nearest class too, often one and the same. The ceiling says how well
real samples find their own class's share.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from raygan.data.base import Samples

CHUNK = 512
"""Samples whose distances are held at once."""
FAIR = 0.1
"""Of a class's share among the held-out samples: one that gets less is not covered."""
CANNOT = (
    "by class: share of samples whose nearest held-out sample is of that class; it does not tell"
    " whether they look like one"
)


@dataclass(frozen=True)
class Labelled:
    """Held-out samples (N, *shape) whose class (N,) is known."""

    real: Tensor
    labels: npt.NDArray[np.int64]
    classes: tuple[str, ...]

    @classmethod
    def of(cls, data: Samples, real: Tensor, seed: int) -> Labelled | None:
        """The classes of `real`, drawn by `seed` from the held-out part; None where nobody knows
        them, or a sample is a stack of several.
        """
        known = data.held_out_labels
        if known is None or data.stack > 1:
            return None
        # the permutation by which `held_out_batch` has drawn them: of the same length and seed
        order = torch.randperm(len(known), generator=torch.Generator().manual_seed(seed))
        return cls(real, known[order[: len(real)].numpy()], data.classes)

    def shares(self, fake: Tensor) -> npt.NDArray[np.float64]:
        """Of fake samples (N, *shape), (classes,), by the nearest held-out one."""
        return nearest_classes(fake, self.real, self.labels, len(self.classes))

    @property
    def fair(self) -> npt.NDArray[np.float64]:
        """The held-out samples' own, (classes,)."""
        return shares_of(self.labels, len(self.classes))

    def named(self, shares: Iterable[float]) -> dict[str, float]:
        """By the names of the classes."""
        return {n: round(float(s), 6) for n, s in zip(self.classes, shares, strict=True)}


def nearest_classes(
    fake: Tensor, real: Tensor, labels: npt.NDArray[np.int64], count: int
) -> npt.NDArray[np.float64]:
    """Shares (count,) of fake samples (N, *shape) by the class (M,) of the nearest of `real` (M,
    *shape).
    """
    flat, found = real.flatten(1).double(), np.zeros(count)
    # from their middle, in float64: cdist takes a matrix product, |a|^2 + |b|^2 - 2 a.b, which
    # loses what is small beside the distance to 0
    middle = flat.mean(0)
    flat = flat - middle
    for part in fake.flatten(1).split(CHUNK):
        nearest = torch.cdist(part.double() - middle, flat).argmin(1).numpy()
        found += np.bincount(labels[nearest], minlength=count)
    return found / len(fake)


def shares_of(labels: npt.NDArray[np.int64], count: int) -> npt.NDArray[np.float64]:
    """Of each class among the held-out samples."""
    out: npt.NDArray[np.float64] = np.bincount(labels, minlength=count) / len(labels)
    return out


def label_scores(found: npt.NDArray[np.float64], fair: npt.NDArray[np.float64]) -> dict[str, float]:
    """classes_covered: how many get at least a tenth of their held-out share; class_tv: half the L1
    distance of the shares.

    >>> label_scores(np.array([0.96, 0.04]), np.array([0.5, 0.5]))
    {'classes_covered': 1.0, 'class_tv': 0.46}
    """
    covered = (found >= FAIR * fair) & (fair > 0)
    return {
        "classes_covered": float(covered.sum()),
        "class_tv": round(float(np.abs(found - fair).sum() / 2), 6),
    }
