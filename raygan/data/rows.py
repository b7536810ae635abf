"""Arrays that need not fit into memory, looked at a part at a time.

    a source --> Rows --map, map--> keep (keeping.py) --> an array in memory,
                                                          or a Stored in the cache

Both ways go through the same parts, so that a sum has the same bits.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from raygan.data.record import Array
from raygan.data.stored import Samplings, Stored, part_rows


def regrouped(parts: Iterable[Array], size: int) -> Iterator[Array]:
    """The same rows, so many a part: a sum over parts has the bits of one over an array's.

    >>> [len(p) for p in regrouped(map(np.zeros, (1, 4, 2)), 3)]
    [3, 3, 1]
    """
    held: list[Array] = []
    for part in parts:
        held.append(part)
        # whole parts only: the last ones wait for more
        if sum(map(len, held)) >= size:
            whole = np.concatenate(held)
            full = len(whole) // size * size
            yield from (whole[i : i + size] for i in range(0, full, size))
            held = [whole[full:]]
    if held and any(map(len, held)):
        yield np.concatenate(held)


@dataclass(frozen=True)
class Rows:
    """Samples (N, ...) a part at a time, each time from the first on."""

    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    parts: Callable[[], Iterable[Array]]
    whole: Samplings | None = None
    """They themselves, where they are at hand as they are."""

    @staticmethod
    def of(array: Samplings | Rows) -> Rows:
        """Of what an array, a file or already Rows hold."""
        if isinstance(array, Rows):
            return array
        if isinstance(array, Stored):
            return Rows(array.shape, array.dtype, array.parts, array)
        if array.ndim == 0:
            return Rows((), array.dtype, lambda: [array.reshape(1)], array)
        size = part_rows(array.shape, array.dtype)
        return Rows(
            array.shape,
            array.dtype,
            lambda: (array[i : i + size] for i in range(0, len(array), size)),
            array,
        )

    def __len__(self) -> int:
        return self.shape[0]

    @property
    def ndim(self) -> int:
        """The number of axes, as an array has it."""
        return len(self.shape)

    @property
    def nbytes(self) -> int:
        """Bytes of all rows once they are read."""
        return math.prod(self.shape) * self.dtype.itemsize

    def map(self, change: Callable[[Array], Array]) -> Rows:
        """Each part changed; `change` keeps the number of samples, and takes none as well."""
        # asked with no samples: what comes out in shape and type, before anything is read
        like = change(np.empty((0, *self.shape[1:]), self.dtype))
        return Rows((len(self), *like.shape[1:]), like.dtype, lambda: map(change, self.parts()))

    def seen(self, view: Callable[[Array], Array]) -> Rows:
        """The same numbers in other places: what is in memory is not copied."""
        made = self.map(view)
        # a view of what is in memory costs nothing, and `keep` takes it as it is
        whole = view(self.whole) if isinstance(self.whole, np.ndarray) else None
        return Rows(made.shape, made.dtype, made.parts, whole)

    def reshaped(self, *sample: int) -> Rows:
        """Each sample in another shape."""
        made = self.seen(lambda part: part.reshape(len(part), *sample))
        whole = self.whole.reshaped(sample) if isinstance(self.whole, Stored) else made.whole
        return Rows(made.shape, made.dtype, made.parts, whole)


def extremes(*arrays: Samplings) -> tuple[Array, Array]:
    """(smallest, largest) of each number of a sample, looked at a part at a time."""
    parts = (part for array in arrays for part in Rows.of(array).parts())
    first = next(parts)
    low, high = first.min(0), first.max(0)
    # two samples, whatever the number of parts: a part of large pictures is one picture
    for part in parts:
        low, high = np.minimum(low, part.min(0)), np.maximum(high, part.max(0))
    return low, high
