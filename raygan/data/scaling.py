"""Numbers as they come to numbers that networks make: points centred column by column, pictures in
0..255 or -1..1.

points      each column centred and divided by its deviation, in float64, remembered
pictures    0..255, 0..1, -1..1, 16 bit are told by type and range; everything else is asked for
"""

from __future__ import annotations

import re
import zlib
from dataclasses import dataclass
from typing import Annotated

import numpy as np
from pydantic import AfterValidator

from raygan.data.digits import check_apart
from raygan.data.pixels import Background, behind
from raygan.data.record import Array, Record, Scaling
from raygan.data.rows import Rows
from raygan.errors import DataError

NUMBER = r"(-?\d+(?:\.\d+)?(?:e[+-]?\d+)?)"
RANGE = re.compile(rf"{NUMBER}\.\.{NUMBER}")
Span = tuple[float, float]
"""What is black, and what is white."""
BYTES, UNIT, SIGNED, DEEP = (0.0, 255.0), (0.0, 1.0), (-1.0, 1.0), (0.0, 65535.0)
HALVES = (-0.5, 0.5)
WHOLE = (UNIT, (0, 3), (0, 15), (0, 100), BYTES, (0, 1023), (0, 4095), (0, 16383), DEEP)
FRACTIONS = (UNIT, HALVES, SIGNED, BYTES)
"""Ranges that pictures have, the narrowest first: what is suggested where it has to be asked."""
USUAL = (UNIT, SIGNED, BYTES)
"""Ranges of pictures that need no way back: samples of these stay in -1..1."""
DARK = 15
"""Of 255: pictures that are nowhere brighter are masks, labels or 4 bit, and not black ones."""
DEEP_FOR_CERTAIN = (1 << 14) - 1
"""Cameras and scanners keep 10, 12, 14 bit in uint16: only what reaches beyond is 16 bit."""
UNDERSHOOT = 0.25
"""A resize of 0..1 leaves less than that below 0: only what reaches further is -1..1."""
HAIR = 0.01
"""Of a range that is given: rounding and undershoot, clipped and said; what lies further is
refused."""


def span_of(scale: str) -> Span | None:
    """
    >>> span_of("0..4095"), span_of("-1..1"), span_of("bytes"), span_of("auto"), span_of("1..0")
    ((0.0, 4095.0), (-1.0, 1.0), (0.0, 255.0), None, None)
    """
    if scale == "bytes":
        return BYTES
    found = RANGE.fullmatch(scale)
    span = (float(found[1]), float(found[2])) if found else None
    return span if span and 0 < span[1] - span[0] < np.inf else None


def known_scale(value: str) -> str:
    """Raises ValueError for what is none."""
    if value in ("auto", "none", "standard") or span_of(value):
        return value
    raise ValueError("write auto, none, standard, bytes, or LOW..HIGH as 0..1")


Scale = Annotated[str, AfterValidator(known_scale)]


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

    def within(self, span: Span, hair: float = 0.0) -> bool:
        """Do they lie in a range? `hair`: a share of what they themselves span may lie outside."""
        # of theirs as well as of the range's: -1..1 is no 0..255 that was rounded
        slack = hair * min(span[1] - span[0], self.high - self.low)
        return span[0] - slack <= self.low and self.high <= span[1] + slack


def facts(where: str, rows: Rows, holes: bool = False) -> Facts:
    """Raises DataError where numbers are missing. `holes`: NaN is padding, and tells nothing."""
    low, high, whole, bad = np.inf, -np.inf, True, 0
    fractions = rows.dtype.kind == "f"
    for whole_part in rows.parts():
        part = whole_part[~np.isnan(whole_part)] if holes else whole_part
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


def check_within(where: str, scale: str, span: Span, found: Facts, hair: float = 0.0) -> None:
    """Raises DataError for what does not lie in the range that is given."""
    if not found.within(span, hair):
        raise DataError(
            f"{where} holds {found.low:.9g}..{found.high:.9g}: data.scale: {scale} needs"
            f" {spoken(span)}. Set data.scale: standard, or LOW..HIGH that they lie in."
        )


def spoken(span: Span) -> str:
    """As a setting has it.

    >>> spoken((0.0, 65535.0)), spoken((-0.5, 1.0))
    ('0..65535', '-0.5..1')
    """
    return "..".join(f"{end:.15g}" for end in span)


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
        check_apart(where, scale, rows, made)
        return made, None
    if span := span_of(scale):
        check_within(where, scale, span, found)
        told, made = spoken(span), signed(rows, span)
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
    given = span_of(scale)
    if rows.dtype == np.uint8 and (
        given == BYTES or scale == "none" or (scale == "auto" and not dark(rows))
    ):
        return rows, None
    holes = around is not None and rows.dtype.kind == "f"
    found = facts(where, rows, holes)
    # how a part of these is to be scaled, whose own range may tell otherwise
    record.scale = "" if scale == "auto" else scale
    if scale == "standard":
        span = (found.low, found.high)
    elif scale == "none":
        check_within(where, scale, SIGNED, found)
        span = SIGNED
    elif given:
        check_within(where, scale, given, found, HAIR)
        span = given
    else:
        span, how = guessed(where, rows.dtype, found)
        if rows.dtype != np.bool_:
            record.scale = "bytes" if span == BYTES else spoken(span)
        if how:
            record.convert(how, len(rows))
    if holes:
        rows = rows.map(lambda part: filled(part, span, around or "white"))
    if scale == "standard":
        return stretched(where, rows, found, record)
    if found.low < span[0] or found.high > span[1]:
        record.convert(f"numbers a hair outside {spoken(span)} clipped", outside(rows, span))
        rows = rows.map(lambda part: part.clip(*span))
    # whole numbers from 0 on are bytes, which take a quarter of the memory
    if span[0] == 0 and (rows.dtype.kind in "biu" or (span == BYTES and found.whole)):
        if scale not in ("auto", "bytes"):
            record.convert(f"{spoken(span)} scaled to 0..255", len(rows))
        # as floats of the same range: samples come back in the units that were given
        return as_bytes(rows, span), None if span in (*USUAL, DEEP) else way_back(span)
    if scale not in ("auto", "bytes", "none"):
        record.convert(f"{spoken(span)} scaled to -1..1", len(rows))
    return signed(rows, span), None if span in USUAL else way_back(span)


def dark(rows: Rows) -> bool:
    """Bytes that are nowhere brighter than `DARK`; all of them 0 are a picture of nothing."""
    most = 0
    for part in rows.parts():
        # the first part nearly always tells: the others are not read
        if (most := max(most, int(part.max()))) > DARK:
            return False
    return most > 0


def guessed(where: str, dtype: np.dtype[np.generic], found: Facts) -> tuple[Span, str]:
    """data.scale: auto: (the range, what was done for the record). Raises DataError where it is not
    certain.
    """
    low, high, dtype = found.low, found.high, dtype.newbyteorder("=")
    if dtype == np.bool_:
        return UNIT, "False and True taken as black and white"
    if dtype == np.uint16:
        # bytes, 10, 12 and 14 bit are often kept as uint16
        if high > DEEP_FOR_CERTAIN:
            return DEEP, "16 bit scaled to 8"
    elif dtype.kind in "iu":
        if low >= 0 and DARK < high <= 255:
            return BYTES, f"{dtype} of 0..255 taken as bytes"
    # clearly below 0, none beyond 1, and wider than 0..1 from which a mean was taken: it is scaled
    # already
    elif -1 <= low < -UNDERSHOOT and reaches(high, SIGNED) and high <= 1 < high - low:
        return SIGNED, ""
    elif low >= 0 and high <= 1 and not 0 < high <= DARK / 255:
        return UNIT, "0..1 scaled to -1..1"
    elif found.like_bytes:
        return BYTES, f"{dtype} of 0..255 taken as bytes"
    raise asked(where, dtype, found)


def reaches(high: float, span: Span) -> bool:
    """Does it lie in a range's upper quarter?"""
    return high > span[1] - (span[1] - span[0]) / 4


def asked(where: str, dtype: np.dtype[np.generic], found: Facts) -> Unsure:
    """The line that says what range it may be, and how to say it."""
    low, high = found.low, found.high
    # what is suggested has to work: they lie in it, and reach its upper quarter
    span = next(
        (
            (a, b)
            for a, b in (WHOLE if found.whole else FRACTIONS)
            if found.within((a, b), HAIR) and reaches(high, (a, b))
        ),
        None,
    )
    first = "bytes" if span == BYTES else spoken(span) if span else ""
    guess = f"{first} ({span[0]:g} to -1, {span[1]:g} to 1), " if span else ""
    return Unsure(
        f"{where} holds {dtype} pictures of {low:.9g}..{high:.9g}: no range that a picture has for"
        f" certain. Set data.scale: {guess}standard (the smallest to -1, the largest to 1), or"
        " LOW..HIGH."
    )


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
    """0..HIGH as 0..255."""
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
