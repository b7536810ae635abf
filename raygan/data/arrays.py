"""Numbers as they come to samples in one checked form: points (N, features), or pictures (N, C, H, W).

dtype       complex, text, dates, objects are refused; NaN and infinity too
layout      certain (uint8 (N, H, W); 1 or 3 channels at one end), given (data.layout), or asked for with the guess
scale       points: each column centred and divided by its deviation, in float64, remembered
            pictures: 0..255, 0..1, -1..1, uint16 are told by type and range; everything else is asked for
"""

from __future__ import annotations

import math
import re
from typing import Literal

import numpy as np
from pydantic import Field, field_validator

from raygan.data.base import DataComponent
from raygan.data.record import Array, Read, Record, Scaling
from raygan.errors import DataError

Scale = Literal["auto", "none", "standard", "bytes"]
LAYOUT = re.compile(r"points|NHW|NCHW|NHWC|[1-9]\d*(x[1-9]\d*){2}")
SURE = (1, 3)
"""Channels that need no asking."""
FEW_COLUMNS = 15
"""Bytes in no more columns than these are no flat pictures."""


class ArraySettings(DataComponent):
    """How an array is to be taken; what `auto` and None cannot tell for certain is asked for."""

    layout: str | None = Field(None, description="points, NHW, NCHW, NHWC, or CxHxW of flat pictures; None: by shape.")
    scale: Scale = Field(
        "auto", description="standard: points; bytes: 0..255; none: as it is; auto: by type and range."
    )

    @field_validator("layout")
    @classmethod
    def _known(cls, value: str | None) -> str | None:
        if value is not None and not LAYOUT.fullmatch(value):
            raise ValueError("write points, NHW, NCHW, NHWC, or CxHxW as 1x28x28")
        return value


def as_samples(
    where: str, array: Array, layout: str | None = None, scale: Scale = "auto", record: Record | None = None
) -> Read:
    """One checked form of any array. `where` names it in errors: "data.npz: x.npz". Raises DataError."""
    record = Record(where) if record is None else record
    check_numbers(where, array)
    shaped, how = arranged(where, array, layout)
    pictures = shaped.ndim == 4
    if 0 in shaped.shape[1:]:
        raise DataError(f"{where} holds samples of shape {array.shape[1:]}: nothing in them. Check the file.")
    kind = "pictures" if pictures else "points"
    record.recognised = f"{len(shaped):,} {kind} of shape {shaped.shape[1:]}, {array.dtype} {array.shape} {how}"
    if len(shaped) == 0:
        return Read(shaped.astype(np.float32), record)
    check_finite(where, shaped)
    made, scaling = (scaled_pictures if pictures else scaled_points)(where, shaped, scale, record)
    return Read(made, record, scaling)


def check_numbers(where: str, array: Array) -> None:
    """Raises DataError for what is not numbers, or numbers that a GAN cannot make."""
    if array.dtype.kind in "biuf":
        return
    what = {"c": "complex numbers", "O": "objects", "M": "dates", "m": "time spans", "V": "records"}.get(
        array.dtype.kind, "text"
    )
    hint = " Save real and imaginary part as columns." if array.dtype.kind == "c" else " Save it as numbers."
    raise DataError(f"{where} holds {what} ({array.dtype}) of shape {array.shape}.{hint}")


def check_finite(where: str, array: Array) -> None:
    """Raises DataError where numbers are missing; a slice at a time, for arrays that are mapped from a file."""
    if array.dtype.kind != "f":
        return
    bad = sum(int((~np.isfinite(array[i : i + 4096])).sum()) for i in range(0, len(array), 4096))
    if bad:
        raise DataError(f"{where} holds {bad:,} numbers that are NaN or infinite. Remove or fill them.")


def arranged(where: str, array: Array, layout: str | None) -> tuple[Array, str]:
    """(points (N, features) or pictures (N, C, H, W), how it is known). Raises DataError where it is not, with the guess."""
    if layout is not None:
        return given(where, array, layout), f"(data.layout: {layout})"
    if array.ndim == 1:
        return array[:, None], "taken as one column"
    if array.ndim == 2:
        if guess := flat_pictures(array):
            raise ask(where, array, f"flat pictures {guess}", guess, "points")
        return array, "a row a sample"
    if array.ndim == 3:
        if array.dtype.kind in "bu":
            return array[:, None], "grey"
        raise ask(where, array, "grey pictures", "NHW", "points")
    if array.ndim == 4:
        first, last = array.shape[1] in SURE, array.shape[3] in SURE
        if first and not last:
            return array, "channels first"
        if last and not first:
            return array.transpose(0, 3, 1, 2), "channels last"
        guess = "NHWC" if array.shape[3] < min(array.shape[1:3]) else "NCHW"
        raise ask(where, array, f"pictures {guess}", guess, "NHWC" if guess == "NCHW" else "NCHW")
    raise DataError(
        f"{where} holds {array.dtype} of shape {array.shape}; needed are numbers (N, features) or pictures (N, H, W), "
        "(N, H, W, C), (N, C, H, W). Save it so, or set data.layout: points."
    )


def ask(where: str, array: Array, guess: str, first: str, second: str) -> DataError:
    """The line that says what it may be, and how to say it."""
    return DataError(
        f"{where} holds {array.dtype} of shape {array.shape}: {guess}, by the look of it, but not for certain. "
        f"Set data.layout: {first} or {second}."
    )


def given(where: str, array: Array, layout: str) -> Array:
    """The array as the user says that it is laid out. Raises DataError where it cannot be."""
    if layout == "points" and array.ndim >= 1:
        return array.reshape(len(array), math.prod(array.shape[1:]))
    if layout == "NHW" and array.ndim == 3:
        return array[:, None]
    if layout in ("NCHW", "NHWC") and array.ndim == 4:
        return array if layout == "NCHW" else array.transpose(0, 3, 1, 2)
    if "x" in layout and array.ndim >= 2:
        sizes = tuple(int(n) for n in layout.split("x"))
        if math.prod(sizes) == math.prod(array.shape[1:]):
            return array.reshape(len(array), *sizes)
    raise DataError(f"{where} holds {array.dtype} of shape {array.shape}: that is not {layout}. Set data.layout.")


def flat_pictures(array: Array) -> str:
    """CxHxW of bytes in rows that may be square pictures; "" for what is none."""
    columns = array.shape[1]
    if columns <= FEW_COLUMNS or array.dtype.kind not in "uif":
        return ""
    for c in SURE:
        side = math.isqrt(columns // c)
        if c * side * side == columns and looks_like_bytes(array):
            return f"{c}x{side}x{side}"
    return ""


def looks_like_bytes(array: Array) -> bool:
    """Whole numbers of 0..255 that reach beyond 127, or bytes."""
    if array.dtype == np.uint8:
        return True
    if not array.size or not (array.min() >= 0 and 127 < array.max() <= 255):
        return False
    return array.dtype.kind != "f" or bool((array == np.floor(array)).all())


# ------------------------------------------------------------------------------------------------------------- points


def scaled_points(where: str, array: Array, scale: Scale, record: Record) -> tuple[Array, Scaling | None]:
    """(float32 points, the way back); `standard` and `auto`: each column (x - mean) / deviation, a constant one x - mean."""
    scaling: Scaling | None = None
    if scale == "none":
        out = array.astype(np.float32)
    elif scale == "bytes":
        check_bytes(where, array)
        scaling = Scaling((127.5,), (127.5,))
        out = (array.astype(np.float64) / 127.5 - 1).astype(np.float32)
        record.convert("0..255 scaled to -1..1; samples come back as 0..255", len(array))
    else:
        out, scaling = standardised(where, array, record)
    if not np.isfinite(out).all():
        raise DataError(f"{where} holds numbers that are too large. Scale them, or set data.scale: standard.")
    return out, scaling


def standardised(where: str, array: Array, record: Record) -> tuple[Array, Scaling]:
    """In float64, from each column's first value on: 1.7e9 + 0.02 k stays as many numbers as it is."""
    start = array[0]
    with np.errstate(over="ignore", invalid="ignore"):
        shifted = differences(array, start)
        middle = shifted.mean(0)
        centred = shifted - middle
        largest = np.abs(centred).max(0)
        unit = np.where(largest > 0, largest, 1.0)
        spread = unit * np.sqrt(((centred / unit) ** 2).mean(0))
        constant = (shifted == 0).all(0) | ~(spread > 0)
        factor = np.where(constant, 1.0, spread)
        out = np.where(constant, 0.0, centred / factor).astype(np.float32)
        offset = start.astype(np.float64) + np.where(constant, 0.0, middle)
    if not (np.isfinite(out).all() and np.isfinite(offset).all() and np.isfinite(factor).all()):
        raise DataError(f"{where} holds numbers that are too large for float64 to centre. Scale them first.")
    record.convert(
        "points centred and scaled to deviation 1, column by column; samples come back in their units", len(out)
    )
    if constant.any():
        record.convert("columns that never change, centred only", int(constant.sum()))
    return out, Scaling(tuple(offset.tolist()), tuple(factor.tolist()))


def differences(array: Array, start: Array) -> Array:
    """array - start in float64; whole numbers are subtracted as such: float64 ends at 2^53."""
    if array.dtype.kind in "iu" and array.dtype.itemsize == 8:
        wide = array.astype(np.uint64) - start.astype(np.uint64)[None]  # modulo 2^64
        back = np.uint64(0) - wide
        below = array < start[None]
        return np.where(below, -back.astype(np.float64), wide.astype(np.float64))
    return array.astype(np.float64) - start.astype(np.float64)


# ----------------------------------------------------------------------------------------------------------- pictures


def scaled_pictures(where: str, array: Array, scale: Scale, record: Record) -> tuple[Array, Scaling | None]:
    """(uint8, or float32 in [-1, 1]; the way back where the units are not a picture's)."""
    if array.dtype == np.uint8 and scale != "standard":
        return np.ascontiguousarray(array), None
    low, high = float(array.min()), float(array.max())
    if scale == "standard":
        return stretched(where, array, low, high, record)
    if scale == "bytes":
        check_bytes(where, array)
        return from_bytes(array), None
    if scale == "none":
        if low < -1 or high > 1:
            raise DataError(
                f"{where} holds pictures of {low:g}..{high:g}: data.scale: none needs -1..1. Set data.scale: bytes or standard."
            )
        return np.ascontiguousarray(array, np.float32), None
    return guessed(where, array, low, high, record), None


def guessed(where: str, array: Array, low: float, high: float, record: Record) -> Array:
    """data.scale: auto."""
    count = len(array)
    if array.dtype == np.bool_:
        record.convert("False and True taken as black and white", count)
        return np.ascontiguousarray(array).astype(np.uint8) * np.uint8(255)
    whole = array.dtype.kind in "iu"
    if array.dtype == np.uint16 and high > 255:
        record.convert("16 bit scaled to 8", count)
        return np.rint(np.ascontiguousarray(array) / 257).astype(np.uint8)
    if whole and array.dtype != np.uint16 and low >= 0 and 1 < high <= 255:
        record.convert(f"{array.dtype} of 0..255 taken as bytes", count)
        return np.ascontiguousarray(array).astype(np.uint8)
    if not whole and -1 <= low < 0 and high <= 1:
        return np.ascontiguousarray(array, np.float32)
    if not whole and low >= 0 and high <= 1:
        record.convert("0..1 scaled to -1..1", count)
        return (np.ascontiguousarray(array, np.float64) * 2 - 1).astype(np.float32)
    if not whole and low >= 0 and looks_like_bytes(array):
        record.convert(f"{array.dtype} of 0..255 taken as bytes", count)
        return from_bytes(array)
    guess, other = ("bytes", "standard") if low >= 0 and high <= 255 else ("standard", "bytes")
    raise DataError(
        f"{where} holds {array.dtype} pictures of {low:g}..{high:g}: no range that a picture has for certain. Set data.scale: "
        f"{guess} ({'0..255' if guess == 'bytes' else 'the smallest to -1, the largest to 1'}) or {other}."
    )


def check_bytes(where: str, array: Array) -> None:
    """Raises DataError for what does not lie in 0..255."""
    low, high = float(array.min()), float(array.max())
    if low < 0 or high > 255:
        raise DataError(f"{where} holds {low:g}..{high:g}: data.scale: bytes needs 0..255. Set data.scale: standard.")


def from_bytes(array: Array) -> Array:
    """0..255 as uint8 where they are whole, else as float32 in [-1, 1]."""
    out = np.ascontiguousarray(array)
    if out.dtype.kind != "f" or bool((out == np.floor(out)).all()):
        return out.astype(np.uint8)
    return (out.astype(np.float64) / 127.5 - 1).astype(np.float32)


def stretched(where: str, array: Array, low: float, high: float, record: Record) -> tuple[Array, Scaling]:
    """The smallest number to -1, the largest to 1."""
    middle, half = low / 2 + high / 2, (high / 2 - low / 2) or 1.0
    if not np.isfinite([middle, half]).all():
        raise DataError(f"{where} holds numbers that are too large. Scale them first.")
    out = ((np.ascontiguousarray(array, np.float64) - middle) / half).clip(-1, 1).astype(np.float32)
    record.convert(f"{low:g}..{high:g} scaled to -1..1; samples come back in their units", len(array))
    return out, Scaling((middle,), (half,))
