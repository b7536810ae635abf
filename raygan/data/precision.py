"""What a type of numbers cannot keep apart: numbers far from 0 that differ little.

whole numbers of 64 bits among fractions     float64 has 53 bits
text of more digits                          float64 has 16 or 17
points that are not centred                  float32 has 7
"""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from typing import Any

import numpy as np

from raygan.data.record import Array
from raygan.data.rows import Rows
from raygan.errors import DataError

LOST = 1e-6
"""Of what a column spans: less is lost in float32, which networks are trained in, as well."""
LEVELS = 1 << 14
"""Numbers that a column's span has room for: with more of them its shape is kept."""


def check_kept(where: str, name: str, parts: Iterable[Array], own: Any, joint: Any) -> None:
    """Raises DataError for whole numbers of 64 bits that become one in the type of all columns."""
    # smaller whole numbers fit into 53 bits, and stay what they are
    kind = np.dtype(own)
    if joint.kind != "f" or kind.kind not in "iu" or kind.itemsize < 8:
        return
    ends: list[int] = []
    rounded = False
    for part in parts:
        if len(part):
            ends = [min([*ends, int(part.min())]), max([*ends, int(part.max())])]
            with np.errstate(invalid="ignore"):
                rounded = rounded or bool((part.astype(joint).astype(kind) != part).any())
    # rounding counts by what it takes of the column's own range
    step = float(np.spacing(float(max(map(abs, ends), default=0))))
    if rounded and step / 2 > LOST * (ends[1] - ends[0]):
        raise DataError(
            f"{where}: column {name!r} holds whole numbers of {ends[0]}..{ends[1]}, which beside"
            f" columns of other types are rounded to steps of {step:g}. Subtract {ends[0]} from it,"
            " or set data.column to others."
        )


def too_near(array: Array) -> bool:
    """May numbers of float64 have been more digits in text?"""
    held = array[np.isfinite(array)]
    if not len(held):
        return False
    low, high = float(held.min()), float(held.max())
    return float(np.spacing(max(abs(low), abs(high)))) > LOST * (high - low)


def fall_together(cells: Any) -> bool:
    """Are numerals that differ one number in float64? `cells`: a pyarrow column of text."""
    texts = [text for text in cells.unique().to_pylist() if text and np.isfinite(float(text))]
    return len({Decimal(text.strip()) for text in texts}) > len({float(text) for text in texts})


def check_apart(where: str, scale: str, rows: Rows, made: Rows) -> None:
    """Raises DataError where numbers of a column that differ are one number of `made`."""
    if scale == "none" and np.can_cast(rows.dtype, made.dtype):
        return
    low, high = np.full(made.shape[1:], np.inf), np.full(made.shape[1:], -np.inf)
    for part in made.parts():
        low, high = np.minimum(low, part.min(0)), np.maximum(high, part.max(0))
    steps = np.spacing(np.maximum(np.abs(low), np.abs(high)).astype(made.dtype))
    for at in np.flatnonzero(high - low < LEVELS * steps):
        before, after = np.empty(0, rows.dtype), np.empty(0, made.dtype)
        for first, then in zip(rows.parts(), made.parts(), strict=True):
            before = np.union1d(before, first[:, at])
            after = np.union1d(after, then[:, at])
            # as soon as it is seen: there are few of `after`
            if len(before) > len(after):
                raise DataError(
                    f"{where}: numbers of column {at} that differ"
                    f" ({before[0]:.17g}..{before[-1]:.17g})"
                    f" become one in float32 with data.scale: {scale}. Set data.scale: standard,"
                    " which centres them first."
                )
