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
    if rows.ndim == 1:
        return rows.reshaped(1), "taken as one column"
    if rows.ndim == 2:
        if guesses := flat_pictures(where, rows):
            raise ask(where, rows, f"flat pictures {guesses[0]}", *guesses, "points")
        return rows, "a row a sample"
    if rows.ndim == 3:
        if guesses := flat_pictures(where, rows):
            raise ask(where, rows, f"flat pictures {guesses[0]}", *guesses, "points")
        # bytes or booleans in three dimensions are pictures; floats may be series, volumes,
        # anything
        if rows.dtype.kind not in "bu":
            raise ask(where, rows, "grey pictures", "NHW", "points")
        # one picture with its channels, or a series: pictures are rather square than so narrow
        short, longer, _ = sorted(rows.shape)
        if 0 < short <= FEW < longer:
            raise ask(where, rows, "one picture in colours, or series", "points", "NHW")
        return rows.reshaped(1, *rows.shape[1:]), "grey"
    if rows.ndim == 4:
        first, last = rows.shape[1] in SURE, rows.shape[3] in SURE
        # 1 or 3 at one end and not at the other: no other reading is possible
        if first and not last:
            return rows, "channels first"
        if last and not first:
            return rows.seen(channels_first), "channels last"
        guess = "NHWC" if rows.shape[3] < min(rows.shape[1:3]) else "NCHW"
        raise ask(where, rows, f"pictures {guess}", guess, "NHWC" if guess == "NCHW" else "NCHW")
    raise DataError(
        f"{where} holds {rows.dtype} of shape {rows.shape}; needed are numbers (N, features) or"
        " pictures (N, H, W), (N, H, W, C), (N, C, H, W). Save it so, or set data.layout: points."
    )


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


def flat_pictures(where: str, rows: Rows) -> list[str]:
    """CxHxW or HxWxC of bytes in rows, or CxHxW of a row a channel, that may be square pictures, the
    likelier one first; [] for none.
    """
    columns = math.prod(rows.shape[1:])
    if columns <= FEW_COLUMNS or rows.dtype.kind not in "uif" or not len(rows):
        return []
    for c in SURE:
        # 784 columns of bytes are 28 x 28 to everybody but a program: it asks
        side = math.isqrt(columns // c)
        forms = [(c, side, side), (side, side, c)][: 1 if c == 1 or rows.ndim > 2 else 2]
        forms = [form for form in forms if is_flattened(rows.shape[1:], form)]
        if c * side * side != columns or not forms:
            continue
        # of what has rows and columns already, nothing is flat but what has a row a channel
        if rows.ndim == 3 and not {c, 1} & set(rows.shape[1:]):
            continue
        if rows.dtype == np.uint8 or facts(where, rows).like_bytes:
            some = next(iter(rows.parts()))[:LOOKED_AT].astype(np.float64)
            if len(forms) > 1 and roughness(some, forms[1]) < CLEARLY * roughness(some, forms[0]):
                forms.reverse()
            return ["x".join(map(str, form)) for form in forms]
    return []


def roughness(rows: Array, form: tuple[int, int, int]) -> float:
    """How much neighbouring pixels differ, where flat rows are laid out so: the right way is the
    smooth one.
    """
    pictures = rows.reshape(len(rows), *form)
    down, right = (1, 2) if form[2] in SURE else (2, 3)
    steps = (np.abs(np.diff(pictures, axis=axis)).mean() for axis in (down, right))
    return float(sum(steps))
