"""What is odd about a data set, in sentences: nothing that stops a run, all of it what a collapse
would look like otherwise.
"""

from __future__ import annotations

import numpy as np

from raygan.data.base import Array, Samples, to_float

LOOKED_AT = 2000
"""Samples."""
BYTES = 64 << 20
"""Of them: fewer where they are large."""
SHOWN = 5
"""Columns that a sentence names at most."""


def oddities(data: Samples) -> list[str]:
    """Of the training part; [] for one that has nothing odd."""
    # a look at the start of every run: seconds would be too long
    count = max(2, min(LOOKED_AT, BYTES // max(1, data.train[:1].nbytes)))
    some = data.train[np.arange(len(data.train))[:: max(1, len(data.train) // count)][:count]]
    if data.text or not some.size:
        return []
    if some.dtype.kind == "f" and not np.isfinite(some).all():
        return [
            f"data {data.name}: numbers that are NaN or infinite. Remove them, or every loss will"
            " be NaN"
        ]
    # a file of zeros, most often: an export that failed
    if (some == some.flat[0]).all():
        what = "picture" if data.is_images else "number"
        return [
            f"data {data.name}: every {what} is {some.flat[0]:g} throughout. Look at the file:"
            " nothing can be learned"
        ]
    told = _repeated(data.name, some)
    return told + (_dark if data.is_images else _constant)(data.name, some)


def _repeated(name: str, some: Array) -> list[str]:
    # bit by bit: what is drawn from a continuum never repeats
    distinct = len({row.tobytes() for row in some})
    if distinct > len(some) / 2:
        return (
            []
            if distinct > 2
            else [
                f"data {name}: {distinct} training samples. Bring more: a GAN learns them by heart"
            ]
        )
    return [
        f"data {name}: {distinct} of {len(some)} samples are distinct. Remove the copies, or look"
        " how it was made"
    ]


def _dark(name: str, pictures: Array) -> list[str]:
    """Labels, per cent, bits that were taken for bytes."""
    shown = float(to_float(pictures.max(keepdims=True)).max())
    if shown >= 0:
        return []
    return [
        f"data {name}: no pixel is brighter than {(shown + 1) / 2:.0%} of white. Set data.scale:"
        " LOW..HIGH, if that is not what the pictures look like"
    ]


def _constant(name: str, points: Array) -> list[str]:
    columns = np.flatnonzero((points == points[0]).all(0)) if len(points) > 1 else np.array([], int)
    if not len(columns):
        return []
    named = ", ".join(map(str, columns[:SHOWN])) + (", .." if len(columns) > SHOWN else "")
    one = f"column {named} is" if len(columns) == 1 else f"columns {named} are"
    return [
        f"data {name}: {one} constant. Leave out what does not vary: D tells real from fake by it"
        " at once"
    ]
