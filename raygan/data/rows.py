"""Arrays that need not fit into memory: looked at a part at a time (`Rows`), and kept in a file
(`Stored`).

    a source --> Rows --map, map--> keep --> an array in memory, or a Stored in the cache
    (data/cache.py)

Both ways go through the same parts, so that a sum has the same bits. A file is read where samples
are asked for (pread), and not mapped: what was looked at does not stay with the process, and a
limit on its addresses (`ulimit -v`) does not count it.
"""

from __future__ import annotations

import math
import os
import weakref
from collections.abc import Callable, Iterable, Iterator
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from raygan.data.record import Array, Record
from raygan.data.room import check_room, room, spoken
from raygan.errors import DataError
from raygan.watching import WATCH

PART = 4 << 20
"""Bytes that are looked at together."""
LARGE = 32 << 20
"""Bytes from which on samples are kept in a file, where there is a place for it."""


def part_rows(shape: tuple[int, ...], dtype: np.dtype[Any]) -> int:
    """Samples that make a part.

    >>> part_rows((10**6, 2), np.dtype("f8")), part_rows((5, 10**9), np.dtype("u1"))
    (262144, 1)
    """
    return max(1, PART // max(1, math.prod(shape[1:]) * dtype.itemsize))


def regrouped(parts: Iterable[Array], size: int) -> Iterator[Array]:
    """The same rows, so many a part: a sum over parts has the bits of one over an array's.

    >>> [len(p) for p in regrouped(map(np.zeros, (1, 4, 2)), 3)]
    [3, 3, 1]
    """
    held: list[Array] = []
    for part in parts:
        held.append(part)
        if sum(map(len, held)) >= size:
            whole = np.concatenate(held)
            full = len(whole) // size * size
            yield from (whole[i : i + size] for i in range(0, full, size))
            held = [whole[full:]]
    if held and any(map(len, held)):
        yield np.concatenate(held)


class Stored:
    """Samples (N, ...) in a file. What is pickled is the path and which samples, not the samples:
    where the file is not there, or another one, `origin` is read again.
    """

    def __init__(
        self,
        path: Path,
        dtype: np.dtype[Any],
        shape: tuple[int, ...],
        offset: int = 0,
        which: Array | None = None,
    ) -> None:
        self.path, self.dtype, self.offset, self.which = path, dtype, offset, which
        self.count, self.sample = shape[0], tuple(shape[1:])
        """Of the file; `which` may be fewer."""
        self.stamp = stamp(path)
        self.origin: dict[str, Any] | None = None
        """The data set's name and settings, for a machine without the file."""
        self.sha256 = ""
        """Of all that the file holds (`split.fingerprint`)."""
        self.digest: Any = None
        """The hash behind it, to be gone on with."""
        self._open: int | None = None
        self._memory: Array | None = None

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_open": None, "_memory": None, "digest": None}

    def __len__(self) -> int:
        return self.count if self.which is None else len(self.which)

    @property
    def shape(self) -> tuple[int, ...]:
        """As an array's."""
        return (len(self), *self.sample)

    @property
    def ndim(self) -> int:
        """As an array's."""
        return 1 + len(self.sample)

    @property
    def row_bytes(self) -> int:
        """Of one sample."""
        return math.prod(self.sample) * self.dtype.itemsize

    @property
    def nbytes(self) -> int:
        """As an array's."""
        return len(self) * self.row_bytes

    def take(self, which: Array) -> Stored:
        """Some of them, in this order."""
        made = self._like(self.sample)
        small = np.uint32 if self.count < 1 << 32 else np.int64
        made.which = (which if self.which is None else self.which[which]).astype(small)
        return made

    def reshaped(self, sample: tuple[int, ...]) -> Stored:
        """Each sample in another shape."""
        return self._like(sample)

    def _like(self, sample: tuple[int, ...]) -> Stored:
        made = Stored.__new__(Stored)
        made.__dict__.update(self.__getstate__())
        made.sample = sample
        return made

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, int | np.integer):
            return self[np.array([index])][0]
        if not (isinstance(index, np.ndarray) and index.dtype.kind in "iu"):
            index = np.arange(len(self))[index]
        wanted = index if self.which is None else self.which[index]
        return self._read(wanted.astype(np.int64))

    def parts(self) -> Iterator[Array]:
        """All, a part at a time."""
        size = part_rows(self.shape, self.dtype)
        for at in range(0, len(self), size):
            yield self[np.arange(at, min(at + size, len(self)))]

    def _read(self, wanted: npt.NDArray[np.int64]) -> Array:
        file = self._file()
        if self._memory is not None:
            return self._memory[wanted].reshape(len(wanted), *self.sample)
        out = np.empty((len(wanted), *self.sample), self.dtype)
        flat, size = out.reshape(-1).view(np.uint8), self.row_bytes
        together = bool(len(wanted)) and bool((np.diff(wanted) == 1).all())
        reads = (
            [(0, int(wanted[0]), len(flat))]
            if together
            else [(i * size, int(w), size) for i, w in enumerate(wanted)]
        )
        for at, first, nbytes in reads:
            place, end = self.offset + first * size - at, at + nbytes
            while at < end:
                if not (got := os.preadv(file, [flat[at:end].data], place + at)):
                    raise DataError(
                        f"{self.path} has become shorter while it is trained on. Put it back, and"
                        " resume."
                    )
                at += got
        return out

    def _file(self) -> int:
        if self._open is None:
            if self._memory is None and stamp(self.path) != self.stamp:
                self._again()
            if self._memory is not None:
                return -1
            self._open = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC)
            weakref.finalize(self, os.close, self._open)
        return self._open

    def _again(self) -> None:
        """This machine has not this file: it reads the source itself."""
        from raygan.data.cache import again

        if self.origin is None:
            raise DataError(
                f"{self.path} is not there, or is another file than the run began with. Put it"
                " back."
            )
        found = again(self.origin, self.sha256)
        if isinstance(found, Stored):
            self.path, self.offset, self.stamp = found.path, found.offset, found.stamp
        else:
            self._memory = found


Samplings = Array | Stored


def stamp(path: Path) -> tuple[int, int] | None:
    """(bytes, when it was changed in ns); None where it is not there."""
    try:
        about = path.stat()
    except OSError:
        return None
    return about.st_size, about.st_mtime_ns


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
        """As an array's."""
        return len(self.shape)

    @property
    def nbytes(self) -> int:
        """As an array's."""
        return math.prod(self.shape) * self.dtype.itemsize

    def map(self, change: Callable[[Array], Array]) -> Rows:
        """Each part changed; `change` keeps the number of samples, and takes none as well."""
        like = change(np.empty((0, *self.shape[1:]), self.dtype))
        return Rows((len(self), *like.shape[1:]), like.dtype, lambda: map(change, self.parts()))

    def seen(self, view: Callable[[Array], Array]) -> Rows:
        """The same numbers in other places: what is in memory is not copied."""
        made = self.map(view)
        whole = view(self.whole) if isinstance(self.whole, np.ndarray) else None
        return Rows(made.shape, made.dtype, made.parts, whole)

    def reshaped(self, *sample: int) -> Rows:
        """Each sample in another shape."""
        made = self.seen(lambda part: part.reshape(len(part), *sample))
        whole = self.whole.reshaped(sample) if isinstance(self.whole, Stored) else made.whole
        return Rows(made.shape, made.dtype, made.parts, whole)


# ---------------------------------------------------------------------------------------------------------------
# keeping


class Place(Protocol):
    """Where large samples are kept (`cache.Shelf`)."""

    def write(self, rows: Rows, what: str) -> Stored | str:
        """The samples in a file, or why there is no room for one."""
        ...


PLACE: ContextVar[Place | None] = ContextVar("PLACE", default=None)
"""Set while a source is read; a context, so that readers stay functions of the source."""


def keep(what: str, rows: Rows, record: Record) -> Samplings:
    """All of it: in memory, or in a file where it is large. Raises DataError where there is room
    for neither.
    """
    if isinstance(rows.whole, Stored):
        return rows.whole
    if rows.whole is not None:
        return np.ascontiguousarray(rows.whole)
    place, why = PLACE.get(), ""
    if place is not None and rows.nbytes >= LARGE:
        if isinstance(stored := place.write(rows, what), Stored):
            return stored
        why = stored
        record.kept = f"not cached ({why}), read into memory"
    return in_memory(what, rows, why)


def in_memory(what: str, rows: Rows, why: str = "") -> Array:
    """One array. Raises DataError where there is no room for it."""
    if why and rows.nbytes > (most := room()):
        raise DataError(
            f"{what}: {spoken(rows.nbytes)} unpacked, this process may take {spoken(most)} more,"
            f" and there is no room for them in the cache ({why}). Set XDG_CACHE_HOME to a folder"
            " that has it."
        )
    check_room(what, rows.nbytes)
    out = np.empty(rows.shape, rows.dtype)
    at = 0
    for part in watched(what, rows):
        out[at : at + len(part)] = part
        at += len(part)
    return out[:at]


def watched(what: str, rows: Rows) -> Iterator[Array]:
    """The parts, told while they are read."""
    tell, done = WATCH.get() if rows.nbytes >= LARGE else None, 0
    for part in rows.parts():
        yield part
        done += len(part)
        if tell:
            tell(what, done, len(rows))
    if tell:
        tell(what, len(rows), len(rows))
