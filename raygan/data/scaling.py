"""Numbers as they come to numbers that networks make: points centred column by column, pictures in
0..255 or -1..1.

points      each column centred and divided by its deviation, in float64, remembered
pictures    by the range that is given, or told by `ranges.py`
"""

from __future__ import annotations

import zlib
from typing import Annotated

import numpy as np
from pydantic import AfterValidator

from raygan.data.pixels import Background, behind
from raygan.data.precision import check_apart
from raygan.data.ranges import (
    BYTES,
    DEEP,
    HAIR,
    SIGNED,
    USUAL,
    Facts,
    Span,
    check_within,
    dark,
    facts,
    guessed,
    range_text,
    span_of,
)
from raygan.data.record import Array, Record, Scaling
from raygan.data.rows import Rows
from raygan.errors import DataError


def known_scale(value: str) -> str:
    """Raises ValueError for what is none."""
    if value in ("auto", "none", "standard") or span_of(value):
        return value
    raise ValueError("write auto, none, standard, bytes, or LOW..HIGH as 0..1")


Scale = Annotated[str, AfterValidator(known_scale)]


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
        made = rows.map(lambda part: part.astype(np.float32))
        # float32 has 7 digits: numbers that differ must not become one
        check_apart(where, scale, rows, made)
        return made, None
    if span := span_of(scale):
        check_within(where, scale, span, found)
        told, made = range_text(span), signed(rows, span)
        check_apart(where, scale, rows, made)
        record.convert(f"{told} scaled to -1..1; samples come back as {told}", len(rows))
        return made, way_back(span)
    return standardised(where, rows, record)


def standardised(where: str, rows: Rows, record: Record) -> tuple[Rows, Scaling]:
    """In float64, from each column's first value on: 1.7e9 + 0.02 k stays as many numbers."""
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
    where: str, rows: Rows, scale: Scale, record: Record, around: Background | None = None
) -> tuple[Rows, Scaling | None]:
    """(uint8, or float32 in [-1, 1]; the way back where the units are not a picture's). `around`:
    NaN in floats is padding, which becomes black, white or noise of the range that is found.
    """
    if are_bytes(rows, scale):
        return rows, None
    holes = around is not None and rows.dtype.kind == "f"
    found = facts(where, rows, holes)
    span = black_and_white(where, rows, scale, found, record)
    if holes:
        rows = rows.map(lambda part: filled(part, span, around or "white"))
    if scale == "standard":
        return stretched(where, rows, found, record)
    # asked before they are clipped, which makes floats of them
    integers = rows.dtype.kind in "biu"
    rows = clipped(rows, span, found, record)
    # whole numbers from 0 on are bytes, which take a quarter of the memory
    if span[0] == 0 and (integers or (span == BYTES and found.whole)):
        if scale not in ("auto", "bytes"):
            record.convert(f"{range_text(span)} scaled to 0..255", len(rows))
        # as floats of the same range: samples come back in the units that were given
        return as_bytes(rows, span), None if span in (*USUAL, DEEP) else way_back(span)
    if scale not in ("auto", "bytes", "none"):
        record.convert(f"{range_text(span)} scaled to -1..1", len(rows))
    return signed(rows, span), None if span in USUAL else way_back(span)


def are_bytes(rows: Rows, scale: Scale) -> bool:
    """Are they 0..255 already, as they are to be? Dark ones may be of fewer bits."""
    if rows.dtype != np.uint8:
        return False
    wanted = span_of(scale) == BYTES or scale == "none"
    return wanted or (scale == "auto" and not dark(rows))


def black_and_white(where: str, rows: Rows, scale: Scale, found: Facts, record: Record) -> Span:
    """The range that they lie in, which the record keeps. Raises DataError for numbers outside the
    one that is given, and where none is certain.
    """
    # how a part of these is to be scaled, whose own range may tell otherwise
    record.scale = "" if scale == "auto" else scale
    if scale == "standard":
        return found.low, found.high
    if scale == "none":
        check_within(where, scale, SIGNED, found)
        return SIGNED
    if given := span_of(scale):
        check_within(where, scale, given, found, HAIR)
        return given
    span, how = guessed(where, rows.dtype, found)
    if rows.dtype != np.bool_:
        record.scale = "bytes" if span == BYTES else range_text(span)
    if how:
        record.convert(how, len(rows))
    return span


def clipped(rows: Rows, span: Span, found: Facts, record: Record) -> Rows:
    """Without what lies a hair outside the range, which is said."""
    if not (found.low < span[0] or found.high > span[1]):
        return rows
    record.convert(f"numbers a hair outside {range_text(span)} clipped", outside(rows, span))
    return rows.map(lambda part: part.clip(*span))


def filled(part: Array, span: Span, around: Background) -> Array:
    """Padding, which is NaN, as black, white or noise of a range; of the same picture the same."""
    out = part.copy()
    for picture in out:
        if (hole := np.isnan(picture)).any():
            picture[hole] = behind(around, span, (int(hole.sum()),), zlib.crc32(picture.tobytes()))
    return out


def outside(rows: Rows, span: Span) -> int:
    """How many samples reach beyond it."""
    low, high = span
    return sum(
        int(((part < low) | (part > high)).reshape(len(part), -1).any(1).sum())
        for part in rows.parts()
    )


def as_bytes(rows: Rows, span: Span) -> Rows:
    """Rows in the range `span` as 0..255."""
    return rows.map(lambda part: in_bytes(part, span))


def in_bytes(part: Array, span: Span) -> Array:
    """The same of a part of the rows."""
    # 65,535 / 255 = 257: black and white stay what they are
    return np.rint(part / (span[1] / 255)).astype(np.uint8)


def signed(rows: Rows, span: Span) -> Rows:
    """A range as -1..1, float32."""
    middle, half = (span[0] + span[1]) / 2, (span[1] - span[0]) / 2
    return rows.map(
        lambda part: (part.astype(np.float64) / half - middle / half).clip(-1, 1).astype(np.float32)
    )


def way_back(span: Span) -> Scaling:
    """From -1..1 to a range."""
    return Scaling(((span[0] + span[1]) / 2,), ((span[1] - span[0]) / 2,))


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
