"""Samples as the bytes of a file, or of an answer."""

from __future__ import annotations

import io
import json
import threading
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from raygan.data.lm1b import decode
from raygan.errors import ConfigError
from raygan.service.runs.generators import Drawn

Format = Literal["json", "npy", "npz", "png", "txt"]
MEDIA: dict[Format, str] = {
    "json": "application/json",
    "npy": "application/octet-stream",
    "npz": "application/octet-stream",
    "png": "image/png",
    "txt": "text/plain; charset=utf-8",
}

DRAWING = threading.Lock()
"""pyplot is for one thread at a time."""


def encoded(drawn: Drawn, form: Format) -> bytes:
    """Samples: nested lists, arrays (`x` of an .npz), a picture, or a sentence a line; numbers are
    in the data's own units.

    JSON of text is sentences. Raises ConfigError for a format that these samples do not have.
    """
    samples, alphabet = drawn.in_units, drawn.alphabet
    if form == "json":
        # JSON has neither NaN nor infinity, and json.dumps would write both
        if not np.isfinite(samples).all():
            raise ConfigError("format=json: samples are not finite. Use npy, and look at the run.")
        told: Any = decode(samples.argmax(1), alphabet) if alphabet else samples.tolist()
        return json.dumps({"shape": list(samples.shape), "x": told}).encode()
    if form == "npy":
        out = io.BytesIO()
        np.save(out, samples)
        return out.getvalue()
    if form == "npz":
        out = io.BytesIO()
        np.savez_compressed(out, x=samples)
        return out.getvalue()
    if (form == "txt") != bool(alphabet):
        kind = "text: use txt" if alphabet else "not text: use png"
        raise ConfigError(f"format={form}: these samples are {kind}, json, npy or npz.")
    if form == "txt":
        return ("\n".join(decode(samples.argmax(1), alphabet)) + "\n").encode()
    return picture(drawn.shown)


def picture(samples: npt.NDArray[Any]) -> bytes:
    """PNG: images (N, C, H, W) in [-1, 1] in a square grid, a pixel a pixel; points as a scatter
    plot.
    """
    if samples.ndim != 4:
        from raygan.service.views.pictures import drawn_grid

        with DRAWING:
            return drawn_grid(samples)
    import torch
    from PIL import Image

    from raygan.data.base import to_uint8
    from raygan.service.views.sheet import tile

    # a pixel a pixel: a plot would scale and blur them
    across = int(np.ceil(np.sqrt(len(samples))))
    shown = tile(to_uint8(torch.from_numpy(samples)), across)
    out = io.BytesIO()
    Image.fromarray(shown).save(out, "PNG")
    return out.getvalue()
