"""Numbers as they come to numbers that networks make: points centred column by column, pictures in
0..255 or -1..1.

points      each column centred and divided by its deviation, in float64, remembered
pictures    0..255, 0..1, -1..1, uint16 are told by type and range; everything else is asked for

    data.scale: auto  --by type and range-->  none, bytes, unit, uint16: the rule by which all are scaled
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from raygan.data.record import Array, Record, Scaling
from raygan.data.rows import Rows
from raygan.errors import DataError

Scale = Literal["auto", "none", "standard", "bytes", "unit", "uint16"]
TOP = {"bytes": 255, "unit": 1, "uint16": 65535}
"""The largest number of what begins at 0."""
SAID = {
    "bytes": "{} of 0..255 taken as bytes",
    "unit": "0..1 scaled to -1..1",
    "uint16": "16 bit scaled to 8",
}
"""Of pictures, for the record; {}: their type."""


class Unsure(DataError):
    """A range that no picture has for certain."""


@dataclass(frozen=True)
class Facts:
    """What all numbers together tell."""

    low: float
    high: float
    whole: bool
    """Has none of them a fraction?"""

    @property
    def like_bytes(self) -> bool:
        """Whole numbers of 0..255 that reach beyond 127."""
        return self.whole and self.low >= 0 and 127 < self.high <= 255


def facts(where: str, rows: Rows) -> Facts:
    """Raises DataError where numbers are missing."""
    low, high, whole, bad = np.inf, -np.inf, True, 0
    fractions = rows.dtype.kind == "f"
    for part in rows.parts():
        if fractions:
            # all of it is counted before anything is refused: one line says how many
            bad += int((~np.isfinite(part)).sum())
            whole = whole and not bad and bool((part == np.floor(part)).all())
        low, high = min(low, float(part.min())), max(high, float(part.max()))
    if bad:
        raise DataError(
            f"{where} holds {bad:,} numbers that are NaN or infinite. Remove or fill them."
        )
    return Facts(low, high, whole)


def check_range(where: str, found: Facts, scale: Scale) -> None:
    """Raises DataError for what does not lie in the range that `scale` names."""
    if found.low < 0 or found.high > TOP[scale]:
        raise DataError(
            f"{where} holds {found.low:g}..{found.high:g}: data.scale: {scale} needs"
            f" 0..{TOP[scale]}. Set data.scale: standard."
        )


# ------------------------------------------------------------------------------------------
# points


def scaled_points(
    where: str, rows: Rows, scale: Scale, record: Record
) -> tuple[Rows, Scaling | None]:
    """(float32 points, the way back); `standard` and `auto`: each column (x - mean) / deviation, a
    constant one x - mean.
    """
    found = facts(where, rows)
    if scale == "none":
        if not max(-found.low, found.high) <= float(np.finfo(np.float32).max):
            raise DataError(
                f"{where} holds numbers that are too large. Scale them, or set data.scale:"
                " standard."
            )
        return rows.map(lambda part: part.astype(np.float32)), None
    if scale in TOP:
        check_range(where, found, scale)
        most, half = TOP[scale], TOP[scale] / 2
        record.convert(f"0..{most} scaled to -1..1; samples come back as 0..{most}", len(rows))
        return rows.map(
            lambda part: (part.astype(np.float64) / half - 1).astype(np.float32)
        ), Scaling((half,), (half,))
    return standardised(where, rows, record)


def standardised(where: str, rows: Rows, record: Record) -> tuple[Rows, Scaling]:
    """In float64, from each column's first value on: 1.7e9 + 0.02 k stays as many numbers as it is."""
    # Pass by pass: sums of squares in one pass would lose the spread of a column far from 0.
    # Squares are taken in units of the largest, so that they neither overflow nor vanish.
    start = np.array(next(iter(rows.parts()))[0])
    with np.errstate(over="ignore", invalid="ignore"):
        # from the first value on: numbers far from 0 that differ little (times in seconds) would
        # cancel
        total = sum(differences(part, start).sum(0) for part in rows.parts())
        middle = np.asarray(total / len(rows))
        largest = np.zeros(middle.shape)
        constant = np.ones(middle.shape, bool)
        for part in rows.parts():
            shifted = differences(part, start)
            # overflow is let happen and asked for once, at the end
            largest = np.maximum(largest, np.abs(shifted - middle).max(0))
            constant &= (shifted == 0).all(0)
        unit = np.where(largest > 0, largest, 1.0)
        squares = sum(
            (((differences(part, start) - middle) / unit) ** 2).sum(0) for part in rows.parts()
        )
        spread = unit * np.sqrt(np.asarray(squares / len(rows)))
        # what cannot be told from constant is not blown up to deviation 1
        constant |= ~(spread > 0)
        factor = np.where(constant, 1.0, spread)
        offset = start.astype(np.float64) + np.where(constant, 0.0, middle)
        limit = float(np.max(largest / factor, initial=0.0))
    if not (np.isfinite(limit) and np.isfinite(offset).all() and np.isfinite(factor).all()):
        raise DataError(
            f"{where} holds numbers that are too large for float64 to centre. Scale them first."
        )

    def there(part: Array) -> Array:
        out: Array = np.where(constant, 0.0, (differences(part, start) - middle) / factor).astype(
            np.float32
        )
        return out

    record.convert(
        "points centred and scaled to deviation 1, column by column; samples come back in their"
        " units",
        len(rows),
    )
    if constant.any():
        record.convert("columns that never change, centred only", int(constant.sum()))
    return rows.map(there), Scaling(tuple(offset.tolist()), tuple(factor.tolist()))


def differences(array: Array, start: Array) -> Array:
    """array - start in float64; whole numbers are subtracted as such: float64 ends at 2^53."""
    if array.dtype.kind in "iu" and array.dtype.itemsize == 8:
        # the difference of two int64 may need 65 bits: modulo 2^64, and its sign by a comparison
        wide = array.astype(np.uint64) - start.astype(np.uint64)[None]
        back = np.uint64(0) - wide
        below = array < start[None]
        return np.where(below, -back.astype(np.float64), wide.astype(np.float64))
    return array.astype(np.float64) - start.astype(np.float64)


# ------------------------------------------------------------------------------------------
# pictures


def scaled_pictures(
    where: str, rows: Rows, scale: Scale, record: Record
) -> tuple[Rows, Scaling | None]:
    """(uint8, or float32 in [-1, 1]; the way back where the units are not a picture's)."""
    if rows.dtype == np.uint8 and scale in ("auto", "none", "bytes"):
        return rows, None
    if rows.dtype == np.bool_ and scale == "auto":
        record.convert("False and True taken as black and white", len(rows))
        return rows.map(lambda part: part.astype(np.uint8) * np.uint8(255)), None
    found = facts(where, rows)
    rule = guessed(where, rows.dtype, found) if scale == "auto" else scale
    record.scale = rule
    if rule == "standard":
        return stretched(where, rows, found, record)
    if rule in TOP:
        check_range(where, found, rule)
        record.convert(SAID[rule].format(rows.dtype), len(rows))
    if rule == "bytes":
        return from_bytes(rows, found), None
    if rule == "uint16":
        # 65,535 / 255 = 257: black and white stay what they are
        return rows.map(lambda part: np.rint(part / 257).astype(np.uint8)), None
    if rule == "unit":
        return rows.map(lambda part: (part.astype(np.float64) * 2 - 1).astype(np.float32)), None
    if found.low < -1 or found.high > 1:
        raise DataError(
            f"{where} holds pictures of {found.low:g}..{found.high:g}: data.scale: none needs"
            " -1..1. Set data.scale: bytes or standard."
        )
    return rows.map(lambda part: part.astype(np.float32)), None


def guessed(where: str, dtype: np.dtype[Any], found: Facts) -> Scale:
    """The rule of data.scale: auto. Raises Unsure."""
    low, high, whole = found.low, found.high, dtype.kind in "iu"
    # bytes are often kept as uint16: only what reaches beyond is 16 bit for certain
    if dtype == np.uint16 and high > 255:
        return "uint16"
    if whole and dtype != np.uint16 and low >= 0 and 1 < high <= 255:
        return "bytes"
    # a number below 0, and none beyond 1: it is scaled already
    if not whole and -1 <= low < 0 and high <= 1:
        return "none"
    if not whole and low >= 0 and high <= 1:
        return "unit"
    if not whole and found.like_bytes:
        return "bytes"
    guess, other = ("bytes", "standard") if low >= 0 and high <= 255 else ("standard", "bytes")
    raise Unsure(
        f"{where} holds {dtype} pictures of {low:g}..{high:g}: no range that a picture has for"
        f" certain. Set data.scale: {guess}"
        f" ({'0..255' if guess == 'bytes' else 'the smallest to -1, the largest to 1'}) or {other}."
    )


def from_bytes(rows: Rows, found: Facts) -> Rows:
    """0..255 as uint8 where they are whole, else as float32 in [-1, 1]."""
    if found.whole:
        return rows.map(lambda part: part.astype(np.uint8))
    return rows.map(lambda part: (part.astype(np.float64) / 127.5 - 1).astype(np.float32))


def stretched(where: str, rows: Rows, found: Facts, record: Record) -> tuple[Rows, Scaling]:
    """The smallest number to -1, the largest to 1."""
    low, high = found.low, found.high
    # halved first: low + high may overflow
    middle, half = low / 2 + high / 2, (high / 2 - low / 2) or 1.0
    if not np.isfinite([middle, half]).all():
        raise DataError(f"{where} holds numbers that are too large. Scale them first.")
    record.convert(
        f"{low:g}..{high:g} scaled to -1..1; samples come back in their units", len(rows)
    )
    return rows.map(
        lambda part: ((part.astype(np.float64) - middle) / half).clip(-1, 1).astype(np.float32)
    ), Scaling((middle,), (half,))
