"""FID, KID, precision, recall, density and coverage of two sets of features (N, F). Their names
need the extractor's.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

Features = npt.NDArray[np.float64]
Labels = npt.NDArray[np.int64]
BLOCK = 1 << 22
"""Pairs of samples at a time: 32 MiB of distances."""
ROUNDED = 1e-9
"""Of both squared norms: of what is left of them half the digits are lost."""
FEW = 20
"""Pairs a row that are mended one by one."""
NEAREST = 5
"""k of prdc."""


def fid(real: Features, fake: Features) -> float:
    """Frechet distance of two Gaussians (Heusel et al., 2017): |m - m'|^2 + Tr(C + C' - 2 (C
    C')^1/2).

    NaN of fewer than two samples. Tr (C C')^1/2 is the sum of the roots of the eigenvalues of C^1/2
    C' C^1/2, which is symmetric.
    """
    if min(len(real), len(fake)) < 2:
        return math.nan
    c_real, c_fake = (np.atleast_2d(np.cov(x, rowvar=False)) for x in (real, fake))
    # symmetric matrices throughout: scipy's sqrtm of C C' may be complex by rounding
    values, vectors = np.linalg.eigh(c_real)
    root = (vectors * np.sqrt(np.clip(values, 0, None))) @ vectors.T
    cross = np.sqrt(np.clip(np.linalg.eigvalsh(root @ c_fake @ root), 0, None)).sum()
    shift = ((real.mean(0) - fake.mean(0)) ** 2).sum()
    return float(shift + np.trace(c_real) + np.trace(c_fake) - 2 * cross)


def kid(real: Features, fake: Features) -> float:
    """Unbiased MMD^2 with the kernel (x.y / F + 1)^3 (Binkowski et al., 2018), over all points at
    once; NaN of fewer than two.
    """
    if min(len(real), len(fake)) < 2:
        return math.nan

    def total(a: Features, b: Features) -> float:
        return float(sum(_kernel(a[rows], b).sum() for rows in _blocks(a, b)))

    def within(a: Features) -> float:
        # a point's kernel with itself left out: that is what makes it unbiased
        own = (((a**2).sum(1) / a.shape[1] + 1) ** 3).sum()
        return float((total(a, a) - own) / (len(a) * (len(a) - 1)))

    return within(real) + within(fake) - 2 * total(real, fake) / (len(real) * len(fake))


def _kernel(a: Features, b: Features) -> Features:
    return np.asarray((a @ b.T / a.shape[1] + 1) ** 3)


def prdc(real: Features, fake: Features, nearest: int = NEAREST) -> dict[str, float]:
    """precision, recall (Kynkaanniemi et al., 2019), density, coverage (Naeem et al., 2020) with k
    = `nearest`.

    Where there are no more samples than that, k is all of them but one (`neighbours`); NaN of fewer
    than two. Density and coverage are of a continuum: of rows that repeat k times the
    neighbourhood is a point, inside of which nothing lies, and both are 0 there.
    """
    return rates(asked(real, fake, nearest), len(fake))


def asked(
    real: Features, fake: Features, nearest: int = NEAREST, labels: Labels | None = None,
    classes: Sequence[str] = (),
) -> list[Met]:  # fmt: skip
    """What all real samples say, of these `labels` (M,) among `classes`; [] of fewer than two."""
    nearest = neighbours(len(real), len(fake), nearest)
    if nearest < 1:
        return []
    return [met(real, fake, reach(fake, nearest), nearest, labels, classes)]


@dataclass(frozen=True)
class Met:
    """What real samples say of generated ones: counts, and a bit for each of these."""

    real: int
    recalled: int
    """Of them: those within the ball of a generated one."""
    covered: int
    """Those with a generated one in their own ball."""
    around: int
    """Over the generated ones, the balls of real ones that each lies in."""
    nearest: int
    """k of these balls."""
    precise: npt.NDArray[np.bool_]
    """(N,), which of the generated ones lie in a ball."""
    classes: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    """Class -> (its real samples, those that are covered); {} without classes."""


def met(
    real: Features, fake: Features, r_fake: Features, nearest: int, labels: Labels | None = None,
    classes: Sequence[str] = (),
) -> Met:  # fmt: skip
    """The balls of `real` (M, F) and `fake` (N, F) reach to their kth neighbour among their own
    kind: k = `nearest` of the real ones, and the radii (N,) of the others. labels: (M,), of the
    real ones among `classes`.
    """
    n_real, n_fake = (real**2).sum(1), (fake**2).sum(1)
    r_real = _radii(real, n_real, nearest)
    around = np.zeros(len(fake))  # for each fake sample, the real ones whose ball it lies in
    precise = np.zeros(len(fake), bool)
    recalled, covered = 0, np.zeros(len(real), bool)
    for rows in _blocks(real, fake):
        # some rows at a time, so that memory does not grow with the square of the samples
        cross = _distances(real[rows], n_real[rows], fake, n_fake)
        around += (cross < r_real[rows, None]).sum(0)
        # with the edge (eq. 2 there): copies of a row that repeats are as good as it
        precise |= (cross <= r_real[rows, None]).any(0)
        recalled += int((cross <= r_fake[None]).any(1).sum())
        covered[rows] = cross.min(1) < r_real[rows]
    each = dict[str, tuple[int, int]]()
    if labels is not None and nearest:  # one sample has no neighbourhood that could be covered
        mine = {name: labels == i for i, name in enumerate(classes)}
        each = {n: (int(of.sum()), int(covered[of].sum())) for n, of in mine.items() if of.any()}
    return Met(len(real), recalled, int(covered.sum()), int(around.sum()), nearest, precise, each)


def rates(parts: Sequence[Met], count: int) -> dict[str, float]:
    """precision, recall, density and coverage of `count` samples, from what each part of the real
    ones says; NaN without any.
    """
    if not parts:
        return dict.fromkeys(("precision", "recall", "density", "coverage"), math.nan)
    real = sum(part.real for part in parts)
    # a part of one sample has no neighbourhood
    around = [part for part in parts if part.nearest]
    return {
        "precision": float(np.any([part.precise for part in parts], axis=0).mean()),
        "recall": sum(part.recalled for part in parts) / real,
        "density": sum(part.around / count / part.nearest for part in around),
        "coverage": sum(part.covered for part in around) / sum(part.real for part in around)
        if around
        else math.nan,
    }


def reach(x: Features, nearest: int) -> Features:
    """Radii (N,) of samples' balls: to the `nearest`th neighbour of each among its own kind."""
    return _radii(x, (x**2).sum(1), nearest)


def neighbours(n_real: int, n_fake: int, nearest: int = NEAREST) -> int:
    """k of prdc: `nearest`, or what there is.

    >>> neighbours(1000, 1000), neighbours(1000, 4), neighbours(1, 9)
    (5, 3, 0)
    """
    return min(nearest, n_real - 1, n_fake - 1)


def near(real: Features, fake: Features, neighbour: int = 10, least: float = 0.15) -> float:
    """Share of real points with a fake one as near as their own `neighbour`th is, or nearer than
    `least` of their spread.
    """
    n_real, n_fake = (real**2).sum(1), (fake**2).sum(1)
    k = min(neighbour, len(real) - 1)
    spread = float(np.sqrt(real.var(0).sum()))
    # not below `least`: where real points lie close, a good sample need not hit their very gap
    reach = np.maximum(_radii(real, n_real, k), least * spread)
    return float((_distances(real, n_real, fake, n_fake).min(1) <= reach).mean())


def _radii(x: Features, norms: Features, nearest: int) -> Features:
    """Distance to the `nearest`th neighbour; the 0th is the point itself."""
    return np.concatenate([
        np.partition(_distances(x[rows], norms[rows], x, norms), nearest, axis=1)[:, nearest].copy()
        for rows in _blocks(x, x)
    ])  # fmt: skip


def _blocks(a: Features, b: Features) -> Iterator[slice]:
    """Rows of a at a time, so that what is held of all pairs does not grow with the square of their
    number.
    """
    size = max(1, BLOCK // len(b))
    return (slice(at, at + size) for at in range(0, len(a), size))


def _mend(
    squared: Features, a: Features, a_norms: Features, b: Features, b_norms: Features
) -> None:
    """Small ones anew from the differences, where rounding has left too little; 0 is of copies."""
    near = squared <= ROUNDED * (a_norms[:, None] + b_norms[None])
    if near.sum() > FEW * len(a):
        # a generator that has collapsed: its samples lie on a few points, or about one
        points, which = np.unique(b, axis=0, return_inverse=True)
        if 2 * len(points) < len(b):
            first = np.unique(which, return_index=True)[1]
            of_points = squared[:, first]
            _mend(of_points, a, a_norms, points, b_norms[first])
            squared[:] = of_points[:, which.reshape(-1)]
            return
        squared[near], near = _about(b[near.sum(0).argmax()], near, a, b)
    size = max(1, BLOCK // a.shape[1])
    # row by row: one sample far away leaves the others' as they are
    for row, x, those in zip(squared, a, near, strict=True):
        found = np.flatnonzero(those)
        for at in range(0, len(found), size):
            some = found[at : at + size]
            row[some] = ((x - b[some]) ** 2).sum(1)


def _about(
    centre: Features, near: npt.NDArray[np.bool_], a: Features, b: Features
) -> tuple[Features, npt.NDArray[np.bool_]]:
    """The squared distances of these pairs, which lie about one point, by a product of what they
    are apart from it; and where that leaves too little as well.
    """
    mine, its = a - centre, b - centre
    here, there = (mine**2).sum(1), (its**2).sum(1)
    found = np.maximum(here[:, None] + there[None] - 2 * mine @ its.T, 0)
    return found[near], near & (found <= ROUNDED * (here[:, None] + there[None]))


def _distances(a: Features, a_norms: Features, b: Features, b_norms: Features) -> Features:
    """(len(a), len(b)); the norms are squared."""
    # |a|^2 + |b|^2 - 2 a.b, in place: one matrix product, and no second array of its size
    squared = a @ b.T
    squared *= -2
    squared += a_norms[:, None]
    squared += b_norms[None]
    _mend(squared, a, a_norms, b, b_norms)
    return np.asarray(np.sqrt(np.maximum(squared, 0, out=squared), out=squared))
