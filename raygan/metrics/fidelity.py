"""FID, KID, precision, recall, density and coverage of two sets of features (N, F). Their names need the extractor's."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Features = npt.NDArray[np.float64]


def fid(real: Features, fake: Features) -> float:
    """Frechet distance of two Gaussians (Heusel et al., 2017): |m - m'|^2 + Tr(C + C' - 2 (C C')^1/2).

    Tr (C C')^1/2 is the sum of the roots of the eigenvalues of C^1/2 C' C^1/2, which is symmetric.
    """
    c_real, c_fake = (np.atleast_2d(np.cov(x, rowvar=False)) for x in (real, fake))
    values, vectors = np.linalg.eigh(c_real)
    root = (vectors * np.sqrt(np.clip(values, 0, None))) @ vectors.T
    cross = np.sqrt(np.clip(np.linalg.eigvalsh(root @ c_fake @ root), 0, None)).sum()
    shift = ((real.mean(0) - fake.mean(0)) ** 2).sum()
    return float(shift + np.trace(c_real) + np.trace(c_fake) - 2 * cross)


def kid(real: Features, fake: Features) -> float:
    """Unbiased MMD^2 with the kernel (x.y / F + 1)^3 (Binkowski et al., 2018), over all points at once."""

    def kernel(a: Features, b: Features) -> Features:
        return np.asarray((a @ b.T / a.shape[1] + 1) ** 3)

    def within(a: Features) -> float:
        k = kernel(a, a)
        return float((k.sum() - np.trace(k)) / (len(a) * (len(a) - 1)))

    return within(real) + within(fake) - 2 * float(kernel(real, fake).mean())


def prdc(real: Features, fake: Features, nearest: int = 5) -> dict[str, float]:
    """precision, recall (Kynkaanniemi et al., 2019), density, coverage (Naeem et al., 2020) with k = `nearest`."""
    r_real, r_fake = _radii(real, nearest), _radii(fake, nearest)
    cross = _distances(real, fake)
    return {
        "precision": float((cross < r_real[:, None]).any(0).mean()),
        "recall": float((cross < r_fake[None]).any(1).mean()),
        "density": float((cross < r_real[:, None]).sum(0).mean() / nearest),
        "coverage": float((cross.min(1) < r_real).mean()),
    }


def _radii(x: Features, nearest: int) -> Features:
    return np.asarray(np.partition(_distances(x, x), nearest, axis=1)[:, nearest])  # the 0th is the point itself


def _distances(a: Features, b: Features) -> Features:
    squared = (a**2).sum(1)[:, None] + (b**2).sum(1)[None] - 2 * a @ b.T
    return np.asarray(np.sqrt(np.maximum(squared, 0)))
