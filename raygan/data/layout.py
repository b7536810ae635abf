"""Which axis of an array is which: certain (uint8 (N, H, W), none of them few; 1 or 3 channels at
one end), given (`data.layout`), or asked for with the guess.
"""

from __future__ import annotations

import math
from itertools import accumulate
from operator import mul

import numpy as np

from raygan.data.ranges import facts
from raygan.data.record import Array
from raygan.data.rows import Rows
from raygan.errors import DataError

SURE = (1, 3)
"""Channels that need no asking."""
FEW = 4
"""An axis that is so short, and the only one, is rather of channels than of pictures."""
LOOKED_AT = 256
"""Pictures that tell whether channels are first or last."""
CLEARLY = 0.9
FEW_COLUMNS = 15
"""Bytes in no more columns than these are no flat pictures."""


def arranged(where: str, rows: Rows, layout: str | None) -> tuple[Rows, str]:
    """(points (N, features) or pictures (N, C, H, W), how it is known). Raises DataError where it
    is not, with the guess.
    """
    if layout is not None:
        return given(where, rows, layout), f"(data.layout: {layout})"
    if rows.ndim not in BY_AXES:
        raise DataError(
            f"{where} holds {rows.dtype} of shape {rows.shape}; needed are numbers (N, features) or"
            " pictures (N, H, W), (N, H, W, C), (N, C, H, W). Save it so, or set data.layout:"
            " points."
        )
    return BY_AXES[rows.ndim](where, rows)


def one_column(where: str, rows: Rows) -> tuple[Rows, str]:
    """(N,)."""
    return rows.reshaped(1), "taken as one column"


def points(where: str, rows: Rows) -> tuple[Rows, str]:
    """(N, features)."""
    refuse_flat(where, rows)
    return rows, "a row a sample"


def grey(where: str, rows: Rows) -> tuple[Rows, str]:
    """(N, H, W)."""
    refuse_flat(where, rows)
    # bytes or booleans in three dimensions are pictures; floats may be series, volumes, anything
    if rows.dtype.kind not in "bu":
        raise ask(where, rows, "grey pictures", "NHW", "points")
    # one picture with its channels, or a series: pictures are rather square than so narrow
    short, longer, _ = sorted(rows.shape)
    if 0 < short <= FEW < longer:
        raise ask(where, rows, "one picture in colours, or series", "points", "NHW")
    return rows.reshaped(1, *rows.shape[1:]), "grey"


def with_channels(where: str, rows: Rows) -> tuple[Rows, str]:
    """(N, C, H, W), or (N, H, W, C)."""
    first, last = rows.shape[1] in SURE, rows.shape[3] in SURE
    # 1 or 3 at one end and not at the other: no other reading is possible
    if first and not last:
        return rows, "channels first"
    if last and not first:
        return rows.seen(channels_first), "channels last"
    guess, other = ("NHWC", "NCHW") if rows.shape[3] < min(rows.shape[1:3]) else ("NCHW", "NHWC")
    raise ask(where, rows, f"pictures {guess}", guess, other)


BY_AXES = {1: one_column, 2: points, 3: grey, 4: with_channels}
"""How an array is read by the number of its axes; each raises DataError where that is not sure."""


def channels_first(array: Array) -> Array:
    """(N, H, W, C) as (N, C, H, W)."""
    return array.transpose(0, 3, 1, 2)


def ask(where: str, array: Rows, guess: str, *layouts: str) -> DataError:
    """The line that says what it may be, and how to say it."""
    return DataError(
        f"{where} holds {array.dtype} of shape {array.shape}: {guess}, by the look of it, but not"
        f" for certain. Set data.layout: {', '.join(layouts[:-1])} or {layouts[-1]}."
    )


def given(where: str, rows: Rows, layout: str) -> Rows:
    """The array as the user says that it is laid out. Raises DataError where it cannot be."""
    if layout == "points" and rows.ndim >= 1:
        return rows.reshaped(math.prod(rows.shape[1:]))
    if layout == "NHW" and rows.ndim == 3:
        return rows.reshaped(1, *rows.shape[1:])
    if layout in ("NCHW", "NHWC") and rows.ndim == 4:
        return rows if layout == "NCHW" else rows.seen(channels_first)
    if "x" in layout and rows.ndim >= 2:
        sizes = tuple(int(n) for n in layout.split("x"))
        if is_flattened(rows.shape[1:], sizes):
            made = rows.reshaped(*sizes)
            # as of arrays: 1 or 3 at the end and not in front are channels
            last = sizes[2] in SURE and sizes[0] not in SURE
            return made.seen(channels_first) if last else made
    fits = {2: "points, CxHxW or HxWxC", 3: "NHW or points", 4: "NCHW, NHWC or points"}
    raise DataError(
        f"{where} holds {rows.dtype} of shape {rows.shape}: that is not {layout}. Set data.layout:"
        f" {fits.get(rows.ndim, 'points')}."
    )


def is_flattened(sample: tuple[int, ...], sizes: tuple[int, ...]) -> bool:
    """Is `sample` what `sizes` become where axes that follow each other are made one?

    >>> is_flattened((192,), (3, 8, 8)), is_flattened((3, 64), (3, 8, 8))
    (True, True)
    >>> is_flattened((8, 8, 3), (3, 8, 8))
    False
    """
    # numbers up to the end of each axis: another order of axes has other ends
    ends, known = (set(accumulate(s, mul)) for s in (sample, (1, *sizes)))
    return math.prod(sample) == math.prod(sizes) and ends <= known


def refuse_flat(where: str, rows: Rows) -> None:
    """Raises DataError for what may be flat pictures."""
    if guesses := flat_pictures(where, rows):
        raise ask(where, rows, f"flat pictures {guesses[0]}", *guesses, "points")


def flat_pictures(where: str, rows: Rows) -> list[str]:
    """CxHxW or HxWxC of bytes in rows, or CxHxW of a row a channel, that may be square pictures,
    the likelier one first; [] for none.
    """
    columns = math.prod(rows.shape[1:])
    if columns <= FEW_COLUMNS or rows.dtype.kind not in "uif" or not len(rows):
        return []
    for channels in SURE:
        forms = square_forms(channels, rows.shape[1:])
        if forms and (rows.dtype == np.uint8 or facts(where, rows).like_bytes):
            some = next(iter(rows.parts()))[:LOOKED_AT].astype(np.float64)
            if len(forms) > 1 and roughness(some, forms[1]) < CLEARLY * roughness(some, forms[0]):
                forms.reverse()
            return ["x".join(map(str, form)) for form in forms]
    return []


def square_forms(channels: int, sample: tuple[int, ...]) -> list[tuple[int, int, int]]:
    """(C, H, W) and (H, W, C) of square pictures that may have become such samples.

    >>> square_forms(3, (192,)), square_forms(3, (3, 64)), square_forms(3, (8, 24))
    ([(3, 8, 8), (8, 8, 3)], [(3, 8, 8)], [])
    """
    # 784 columns of bytes are 28 x 28 to everybody but a program: it asks
    side = math.isqrt(math.prod(sample) // channels)
    if channels * side * side != math.prod(sample):
        return []
    # of what has rows and columns already, nothing is flat but what has a row a channel
    if len(sample) > 1 and not {channels, 1} & set(sample):
        return []
    first, last = (channels, side, side), (side, side, channels)
    forms = [first] if channels == 1 or len(sample) > 1 else [first, last]
    return [form for form in forms if is_flattened(sample, form)]


def roughness(rows: Array, form: tuple[int, int, int]) -> float:
    """How much neighbouring pixels differ, where flat rows are laid out so: the right way is the
    smooth one.
    """
    pictures = rows.reshape(len(rows), *form)
    down, right = (1, 2) if form[2] in SURE else (2, 3)
    steps = (np.abs(np.diff(pictures, axis=axis)).mean() for axis in (down, right))
    return float(sum(steps))
