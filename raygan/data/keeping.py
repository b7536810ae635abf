"""Where samples stay that were read: in memory, or in a file where they are many (`cache.py`)."""

from __future__ import annotations

from collections.abc import Iterator
from contextvars import ContextVar
from typing import Protocol

import numpy as np

from raygan.data.free_memory import check_room, room, size_text
from raygan.data.record import Array, Record
from raygan.data.rows import Rows
from raygan.data.stored import Samplings, Stored
from raygan.errors import DataError
from raygan.watching import WATCH

LARGE = 32 << 20
"""Bytes from which on samples are kept in a file, where there is a place for it."""


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
    # what is in memory already is not written anywhere
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
            f"{what}: {size_text(rows.nbytes)} unpacked, this process may take {size_text(most)}"
            f" more, and there is no room for them in the cache ({why}). Set XDG_CACHE_HOME to a"
            " folder that has it."
        )
    check_room(what, rows.nbytes)  # before it is taken: a process that is killed tells nothing
    out = np.empty(rows.shape, rows.dtype)
    at = 0
    for part in watched(what, rows):
        out[at : at + len(part)] = part
        at += len(part)
    # a source may hold fewer samples than it said: pictures that were left out
    return out[:at]


def watched(what: str, rows: Rows) -> Iterator[Array]:
    """The parts, told while they are read."""
    # only of what takes a while
    tell, done = WATCH.get() if rows.nbytes >= LARGE else None, 0
    for part in rows.parts():
        yield part
        done += len(part)
        if tell:
            tell(what, done, len(rows))
    if tell:
        tell(what, len(rows), len(rows))
