"""Which range numbers lie in, as `data.scale` says it or as they tell themselves: 0..255, 0..1,
-1..1, 16 bit are told by type and range; everything else is asked for. `scaling.py` goes by it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np

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


def range_text(span: Span) -> str:
    """As a setting has it.

    >>> range_text((0.0, 65535.0)), range_text((-0.5, 1.0))
    ('0..65535', '-0.5..1')
    """
    return "..".join(f"{end:.15g}" for end in span)


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
            f" {range_text(span)}. Set data.scale: standard, or LOW..HIGH that they lie in."
        )


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
    first = "bytes" if span == BYTES else range_text(span) if span else ""
    guess = f"{first} ({span[0]:g} to -1, {span[1]:g} to 1), " if span else ""
    return Unsure(
        f"{where} holds {dtype} pictures of {low:.9g}..{high:.9g}: no range that a picture has for"
        f" certain. Set data.scale: {guess}standard (the smallest to -1, the largest to 1), or"
        " LOW..HIGH."
    )
