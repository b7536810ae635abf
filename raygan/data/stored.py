"""Samples in a file: read where they are asked for.

By pread, and not mapped: what was looked at does not stay with the process, and a limit on its
addresses (`ulimit -v`) does not count it.
"""

from __future__ import annotations

import math
import os
import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from raygan.data.record import Array
from raygan.errors import DataError

PART = 4 << 20
"""Bytes that are looked at together."""


def part_rows(shape: tuple[int, ...], dtype: np.dtype[Any]) -> int:
    """Samples that make a part.

    >>> part_rows((10**6, 2), np.dtype("f8")), part_rows((5, 10**9), np.dtype("u1"))
    (262144, 1)
    """
    return max(1, PART // max(1, math.prod(shape[1:]) * dtype.itemsize))


class Origin(Protocol):
    """A source that can be read again (`cache.Source`): what this file was made from."""

    def again(self, sha256: str) -> Samplings:
        """The same samples, as this machine reads them. Raises DataError where they are others."""


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
        # as it is now: another process compares, and reads the source where the file is another one
        self.stamp = stamp(path)
        self.origin: Origin | None = None
        """Where a machine without the file finds the samples."""
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
        """The shape (N, ...), as an array has it."""
        return (len(self), *self.sample)

    @property
    def ndim(self) -> int:
        """The number of axes, as an array has it."""
        return 1 + len(self.sample)

    @property
    def nbytes(self) -> int:
        """Bytes of all samples, were they in memory."""
        return math.prod(self.shape) * self.dtype.itemsize

    def take(self, which: Array) -> Stored:
        """Some of them, in this order."""
        made = self.reshaped(self.sample)
        # 4 bytes a sample travel to each player, not 8
        small = np.uint32 if self.count < 1 << 32 else np.int64
        made.which = (which if self.which is None else self.which[which]).astype(small)
        return made

    def reshaped(self, sample: tuple[int, ...]) -> Stored:
        """Each sample in another shape."""
        # not by the constructor, which would ask the file again
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
        if not fill(out.reshape(-1).view(np.uint8), file, self.offset, wanted):
            raise DataError(
                f"{self.path} has become shorter while it is trained on. Put it back, and resume."
            )
        return out

    def _file(self) -> int:
        """Open; -1 where the samples are in memory."""
        if self._open is not None or self._memory is not None:
            return -1 if self._open is None else self._open
        if stamp(self.path) != self.stamp:
            # this machine has not this file: it reads the source itself
            if self.origin is None:
                raise DataError(
                    f"{self.path} is not there, or is another file than the run began with. Put it"
                    " back."
                )
            # by its hash: the same path on another machine may hold other data
            found = self.origin.again(self.sha256)
            if not isinstance(found, Stored):
                self._memory = found
                return -1
            self.path, self.offset, self.stamp = found.path, found.offset, found.stamp
        # opened at the first read, once a process: what is pickled has no file of its own
        self._open = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC)
        weakref.finalize(self, os.close, self._open)
        return self._open


def fill(
    flat: npt.NDArray[np.uint8], file: int, offset: int, wanted: npt.NDArray[np.int64]
) -> bool:
    """Read these rows, each len(flat) / len(wanted) bytes, from `offset` on; False where the file
    ends before.
    """
    if not len(wanted):
        return True
    size = len(flat) // len(wanted)
    # one read where the samples follow each other, as when all are looked at; else one each
    together = bool((np.diff(wanted) == 1).all())
    reads = (
        [(0, int(wanted[0]), len(flat))]
        if together
        else [(i * size, int(w), size) for i, w in enumerate(wanted)]
    )
    # the kernel may give less than was asked for: then the rest, until all is here
    for at, first, nbytes in reads:
        place, end = offset + first * size - at, at + nbytes
        while at < end:
            if not (got := os.preadv(file, [flat[at:end].data], place + at)):
                return False
            at += got
    return True


Samplings = Array | Stored


def stamp(path: Path) -> tuple[int, int] | None:
    """(bytes, when it was changed in ns); None where it is not there."""
    try:
        about = path.stat()
    except OSError:
        return None
    return about.st_size, about.st_mtime_ns
