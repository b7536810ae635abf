"""Text: Jensen-Shannon divergence between the n-grams of generated and of real sentences (Gulrajani
et al., 2017).
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

Indices = npt.NDArray[np.generic]
ORDERS = (1, 2, 3, 4)


def ngrams(rows: Indices, n: int) -> Counter[bytes]:
    """Counts of all n-grams of indices (N, length)."""
    # an n-gram as n bytes: characters are fewer than 256
    small = np.ascontiguousarray(rows.astype(np.uint8))
    windows = np.lib.stride_tricks.sliding_window_view(small, n, axis=1).reshape(-1, n)
    values, counts = np.unique(windows, axis=0, return_counts=True)
    return Counter({v.tobytes(): int(c) for v, c in zip(values, counts, strict=True)})


def jensen_shannon(a: Counter[bytes], b: Counter[bytes]) -> float:
    """In nats: 0 for equal distributions, log 2 for disjoint ones.

    >>> round(jensen_shannon(Counter({b"a": 1}), Counter({b"b": 1})), 4)
    0.6931
    """
    total_a, total_b = a.total(), b.total()
    out = 0.0
    for key in a.keys() | b.keys():
        p, q = a[key] / total_a, b[key] / total_b
        # never 0, as one of the two is not: no smoothing is needed
        m = (p + q) / 2
        out += 0.5 * ((p * math.log(p / m) if p else 0.0) + (q * math.log(q / m) if q else 0.0))
    return out


def ngram_scores(fake: Indices, real: Indices, orders: Sequence[int] = ORDERS) -> dict[str, float]:
    """js1 .. js4 of indices (N, length); depends on the number of sentences, so the protocol names
    it.
    """
    return {f"js{n}": jensen_shannon(ngrams(fake, n), ngrams(real, n)) for n in orders}
