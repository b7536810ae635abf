"""Is the first or the last column of points their label? Asked where no name tells what columns
are: tables without names, arrays of rows.

whole numbers of few kinds beside fractions, no other column like them     x, y, cluster
1, 2, .. or 0, 1, .. as often as each other, and without them the rows     784 bytes and a digit
are square pictures
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from raygan.data.layout import FEW_COLUMNS, SURE
from raygan.data.questions import COLUMNS, ask
from raygan.data.record import Array
from raygan.data.rows import Rows

KINDS = 100
"""Classes that data sets have; a column of more is a measure."""
FEW_KINDS = 30
"""Beside fractions, where nothing else tells."""
EACH = 3
"""Rows that a kind has at least, on average."""
LEAST = 0.2
"""Of its equal share that each class has: counts have many of some and few of others."""
ALIKE = 0.1
"""Share of the other columns: where more are like it, it is one of them."""
LOOKED_AT = 2000
"""Rows that tell what the other columns are."""
BYTE = 255
SAVE_APART = "Save it apart, and set data.labels to it"
"""What an array's user can do about it."""
LEAVE_OUT = "Leave column {at} out"
"""Of one that is not in a file."""


@dataclass(frozen=True)
class Kinds:
    """A column of whole numbers, of which there are few."""

    values: npt.NDArray[np.float64]
    counts: npt.NDArray[np.int64]

    @property
    def few(self) -> bool:
        """May it be classes beside fractions?"""
        return 1 < len(self.values) <= FEW_KINDS and self.counts.sum() >= EACH * len(self.values)

    @property
    def counted(self) -> bool:
        """Is it 0, 1, 2, .. or 1, 2, 3, .., as often as each other?"""
        low, high = self.values[0], self.values[-1]
        full = low in (0, 1) and high - low + 1 == len(self.values) > 1
        return bool(full and self.counts.min() >= LEAST * self.counts.sum() / len(self.values))


def check_ends(where: str, rows: Rows, how: str) -> None:
    """Asks (`questions.Doubt`) where the first or last column of points (N, columns) may be their
    label. `how`: what is to be set, with its number.
    """
    count = rows.shape[1] if rows.ndim == 2 else 0
    # of two columns one is no more the other's label than its value
    if count < 3 or not len(rows) or not (ends := kinds_at(rows, (0, count - 1))):
        return
    first = next(iter(rows.parts()))[:LOOKED_AT]
    inner = [kinds_of(first[:, i]) for i in range(1, count - 1)]
    # the surest first: classes are fewer than what else is counted
    for at, found in sorted(ends.items(), key=lambda end: len(end[1].values)):
        if told := beside_fractions(found, inner, first) or beside_pictures(found, inner, first):
            place = "first" if at == 0 else "last"
            some = ", ".join(f"{v:g}" for v in found.values[:4])
            more = ", ..." if len(found.values) > 4 else ""
            ask(
                COLUMNS,
                f"{where} holds {rows.dtype} of shape {rows.shape}: its {place} column ({some}"
                f"{more}) is labels beside {told}, by the look of it, but not for certain."
                f" {how.format(at=at)}, or data.layout: points, which trains on it.",
            )


def beside_fractions(found: Kinds, inner: list[Kinds | None], first: Array) -> str:
    """What the others are; "" where it is no label beside them."""
    few = [len(k.values) for k in inner if k is not None and k.few]
    if not found.few or len(few) > ALIKE * len(inner) or len(found.values) in few:
        return ""
    return "fractions" if first.dtype.kind == "f" and (first % 1 != 0).any() else ""


def beside_pictures(found: Kinds, inner: list[Kinds | None], first: Array) -> str:
    """The same of flat pictures: of bytes, or of fewer bits."""
    shape = square(len(inner) + 1)
    if not shape or (first % 1 != 0).any() or first.min() < 0 or first.max() > BYTE:
        return ""
    # pictures of one class only; a margin of theirs is 0
    lone = len(found.values) == 1 and found.values[0] != 0 and first.max() > BYTE // 2
    like = [k for k in inner if k and k.counted and len(k.values) == len(found.values)]
    alone = found.counted and len(like) <= ALIKE * len(inner)
    return f"flat pictures {shape}" if lone or alone else ""


def square(pixels: int) -> str:
    """The shape of a square picture of so many numbers; "" where there is none.

    >>> square(784), square(192), square(20)
    ('1x28x28', '3x8x8', '')
    """
    sides = [(c, math.isqrt(pixels // c)) for c in SURE if pixels > FEW_COLUMNS]
    return next((f"{c}x{side}x{side}" for c, side in sides if c * side * side == pixels), "")


def kinds_at(rows: Rows, columns: tuple[int, ...]) -> dict[int, Kinds]:
    """Those of these columns that are whole numbers of few kinds."""
    found: dict[int, Kinds | None] = {}
    for part in rows.parts():
        for at in columns:
            before, now = found.get(at), kinds_of(part[:, at])
            # one that has no kinds has none with more rows
            found[at] = now if at not in found else before and now and joined(before, now)
        if not any(found.values()):
            return {}
    return {at: kinds for at, kinds in found.items() if kinds}


def kinds_of(column: Array) -> Kinds | None:
    """None for fractions, for numbers that are missing, and for many."""
    # the first few rows of a measure tell that it is one, without the sorting of all
    for some in (column[:LOOKED_AT], column):
        if not (np.isfinite(some) & (np.floor(some) == some)).all():
            return None
        values, counts = np.unique(some, return_counts=True)
        if len(values) > KINDS:
            return None
    return Kinds(values.astype(np.float64), counts)


def joined(a: Kinds, b: Kinds) -> Kinds | None:
    """Of the rows of both."""
    values, at = np.unique(np.concatenate([a.values, b.values]), return_inverse=True)
    counts = np.bincount(at, np.concatenate([a.counts, b.counts])).astype(np.int64)
    return Kinds(values, counts) if len(values) <= KINDS else None
