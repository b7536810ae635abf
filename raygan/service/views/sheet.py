"""`data.png`: what D is shown, as it is shown it, after all conversions; drawn by Pillow, since a
run's start should not wait.

pictures   64, or with classes a row a class
points     histograms of the columns; of two columns where they lie; training grey,
           held out red, with the ranges that D sees
text       sentences
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import torch

from raygan.data.base import Samples, to_uint8
from raygan.data.lm1b import decode
from raygan.data.record import printable

if TYPE_CHECKING:
    from PIL.Image import Image

ACROSS, ROWS = 8, 8
SIDE = 512
"""Pixels that a sheet has at least, where it is of small pictures."""
COLUMNS, PLOT, EDGE, GAP = 12, 220, 24, 2
GREY, RED, INK = (138, 138, 138), (209, 73, 91), (60, 60, 60)
SHOWN, BINS = 2000, 24
Floats = npt.NDArray[np.floating[Any]]


def sheet(data: Samples) -> bytes | None:
    """A PNG; None for samples that are neither pictures, points nor text, and where nobody has them
    all.
    """
    if not data.whole:
        return None
    if data.text:
        image = lines(decode(data.train[:30], data.text))
    elif data.is_images:
        image = pictures(data)
    elif len(data.shape) == 1:
        image = compared(data.train[:SHOWN], data.held_out[:SHOWN])
    else:
        return None
    return as_png(image)


def drawn(samples: npt.NDArray[np.generic], data: Samples) -> bytes | None:
    """A generator's samples as the sheet has the data: pictures, points (red) over real ones
    (grey), or sentences. A PNG; None for what is none of them.
    """
    if data.text:
        image = lines(decode(samples[:30], data.text))
    elif data.is_images:
        image = enlarged(np.asarray(samples[: ACROSS * ROWS], np.uint8))
    elif len(data.shape) == 1:
        # where nobody holds the whole there is nothing to put them over
        real = np.asarray(data.train[:SHOWN])
        made = np.asarray(samples[:SHOWN])
        image = compared(real, near(made, real)) if len(real) else compared(made[:0], made)
    else:
        return None
    return as_png(image)


def near(samples: npt.NDArray[np.generic], real: npt.NDArray[np.generic]) -> Floats:
    """Points, those that are far off real ones at the edge: they would make all others one dot."""
    low, high = real.min(0).astype(np.float64), real.max(0).astype(np.float64)
    pad = (high - low) / 4
    # At the edge and not left out: that G throws points far away is worth seeing.
    return np.clip(np.nan_to_num(np.asarray(samples, np.float64)), low - pad, high + pad)


def as_png(image: Image) -> bytes:
    """The picture as the bytes of a PNG file."""
    out = io.BytesIO()
    image.save(out, "PNG")
    return out.getvalue()


def tile(images: npt.NDArray[np.generic], across: int) -> npt.NDArray[np.generic]:
    """Images (N, C, H, W) as one picture (rows H, across W) or (rows H, across W, 3): of more
    channels than three the first three are shown, of two the third is black."""
    n, c, h, w = images.shape
    rows = -(-n // across)
    canvas = np.zeros((rows * across, c, h, w), images.dtype)
    canvas[:n] = images
    grid = (
        canvas.reshape(rows, across, c, h, w)
        .transpose(0, 3, 1, 4, 2)
        .reshape(rows * h, across * w, c)
    )
    if c == 2:
        grid = np.concatenate([grid, np.zeros_like(grid[..., :1])], 2)
    return grid[..., 0] if c == 1 else grid[..., :3]


def shown(data: Samples) -> tuple[npt.NDArray[np.uint8], list[str]]:
    """(pictures (N, C, H, W) as D gets them, back in bytes; a name for each row of them, where rows
    are classes).
    """
    if data.labels is None or data.stack > 1:
        data = replace(data, real=None)  # what D sees, made or not
        return to_uint8(data.real_batch(ACROSS * ROWS, torch.Generator().manual_seed(0))), []
    rows, names = [], []
    numbers = np.unique(data.labels)[:ROWS]
    count = ACROSS * max(1, ROWS // len(numbers))
    for number in numbers:
        made = to_uint8(data.as_batch(data.train[np.flatnonzero(data.labels == number)[:count]]))
        rows.append(
            np.concatenate([made, np.full((count - len(made), *made.shape[1:]), 255, np.uint8)])
        )
        names.append(data.classes[number])
    return np.concatenate(rows), names


def pictures(data: Samples) -> Image:
    """Enlarged pixel by pixel where they are small."""
    from PIL import Image, ImageDraw

    made, names = shown(data)
    whole = enlarged(made)
    if not names:
        return whole
    out = Image.new("RGB", (whole.width + 110, whole.height), "white")
    out.paste(whole, (110, 0))
    for i, name in enumerate(names):
        ImageDraw.Draw(out).text(
            (6, (i + 0.4) * whole.height / len(names)), printable(name)[-16:], INK
        )
    return out


def enlarged(images: npt.NDArray[np.uint8]) -> Image:
    """(N, C, H, W) as one picture, apart from each other."""
    from PIL import Image

    factor = max(1, SIDE // (ACROSS * images.shape[3]))
    large = images.repeat(factor, 2).repeat(factor, 3)
    apart = np.pad(large, ((0, 0), (0, 0), (0, GAP), (0, GAP)), constant_values=255)
    return Image.fromarray(np.asarray(tile(apart, ACROSS), np.uint8)).convert("RGB")


def compared(grey: Any, red: Any) -> Image:
    """One column or several: histograms; two: where they lie."""
    from PIL import Image

    parts = [np.asarray(part, np.float64) for part in (grey, red)]
    if parts[0].shape[1] == 2:
        return plot(parts, None, 2 * PLOT, "columns 0 and 1")
    count = min(COLUMNS, parts[0].shape[1])
    across = min(4, count)
    size = PLOT + EDGE
    out = Image.new("RGB", (across * size, -(-count // across) * size), "white")
    for i in range(count):
        out.paste(plot(parts, i, PLOT, f"column {i}"), (i % across * size, i // across * size))
    return out


def plot(
    parts: Sequence[npt.NDArray[np.float64]], column: int | None, side: int, title: str
) -> Image:
    """A histogram of a column, or the first two columns as dots."""
    from PIL import Image, ImageDraw

    out = Image.new("RGB", (side + EDGE, side + EDGE), "white")
    draw = ImageDraw.Draw(out)
    both = np.concatenate(parts)
    use = both[:, :2] if column is None else both[:, column : column + 1]
    low, high = use.min(0), use.max(0)
    span = np.where(high > low, high - low, 1.0)
    draw.rectangle((EDGE - 1, 0, side + EDGE - 1, side), outline=(224, 224, 224))
    most = 0.0
    for part, tint in zip(parts, (GREY, RED), strict=True):
        if column is None:
            at = (part[:, :2] - low) / span
            for x, y in zip(
                EDGE + 3 + at[:, 0] * (side - 6), side - 3 - at[:, 1] * (side - 6), strict=True
            ):
                draw.ellipse((x - 1, y - 1, x + 1, y + 1), fill=tint)
        else:
            counts = np.histogram(part[:, column], BINS, (float(low[0]), float(low[0] + span[0])))[
                0
            ] / len(part)
            # In units of the training part's: both histograms have one scale.
            most = most or counts.max()
            bars(draw, counts / most, side, tint)
    ends = "  ".join(f"{a:.3g} .. {b:.3g}" for a, b in zip(low, high, strict=True))
    draw.text((EDGE, side + 6), f"{title}: {ends}", INK)
    return out


def bars(draw: Any, heights: Floats, side: int, tint: tuple[int, int, int]) -> None:
    """Shares of the part's samples, in units of the training part's largest; held out as an outline
    over it.
    """
    width = side / len(heights)
    for i, share in enumerate(heights.clip(0, 1)):
        box = (EDGE + i * width, side - share * (side - 16), EDGE + (i + 1) * width - 1, side - 1)
        if share and tint == GREY:
            draw.rectangle(box, fill=tint)
        elif share:
            draw.line((box[0], box[1], box[2], box[1]), fill=tint, width=2)


def lines(texts: Sequence[str]) -> Image:
    """A picture of texts, a line each."""
    from PIL import Image, ImageDraw

    out = Image.new("RGB", (640, 16 * len(texts) + 12), "white")
    for i, line in enumerate(texts):
        ImageDraw.Draw(out).text((8, 6 + 16 * i), printable(line), INK)
    return out
