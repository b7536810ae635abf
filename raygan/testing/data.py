"""Checks of a data set."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from raygan.data.base import Samples
from raygan.gan.types import shape_of
from raygan.testing.needs import COUNT, need, part_of


def check_data(data: Any) -> Samples:
    """The same seed, the same samples; shapes, dtype, range; training and held-out part apart.
    Returns the samples.
    """
    data = part_of("data", data)
    a, b = data.load(0), data.load(0)
    need(
        isinstance(a, Samples),
        data,
        f"load gives a {type(a).__name__}",
        "Return raygan.data.base.Samples.",
    )
    for what in ("train", "held_out"):
        x, y = getattr(a, what), getattr(b, what)
        need(
            isinstance(x, np.ndarray) and len(x) > 0,
            data,
            f"{what} is no array with samples",
            "Give a numpy array.",
        )
        need(
            np.array_equal(x, y),
            data,
            f"{what} differs for the same seed",
            "Draw from default_rng(seed) only.",
        )
        need(
            x.dtype in (np.uint8, np.float32),
            data,
            f"{what} is {x.dtype}",
            "Give float32 points or uint8 images.",
        )
        need(
            x.dtype != np.float32 or bool(np.isfinite(x).all()),
            data,
            f"{what} has NaN",
            "Drop those samples.",
        )
    need(a.train.shape[1:] == a.held_out.shape[1:] and a.train.dtype == a.held_out.dtype, data,
          f"train is {a.train.shape}, held_out {a.held_out.shape}",
          "Give both one shape and dtype.")  # fmt: skip
    need(
        not np.shares_memory(a.train, a.held_out),
        data,
        "train and held_out share samples",
        "Split them.",
    )
    batch = a.batch(COUNT, torch.Generator().manual_seed(0), torch.device("cpu"))
    need(batch.dtype == torch.float32 and batch.shape == (COUNT, *a.shape), data,
          f"a batch is {batch.dtype} {shape_of(batch)}",
          f"Let it be float32 {(COUNT, *a.shape)}.")  # fmt: skip
    need(
        not a.is_images or float(batch.abs().max()) <= 1,
        data,
        "images leave [-1, 1]",
        "Give uint8 images.",
    )
    assert isinstance(a, Samples)
    return a
