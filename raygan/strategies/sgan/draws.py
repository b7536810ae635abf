"""Random numbers and real samples of what the global pair does with an opponent.

Each use has streams of its own, named after it and its opponent (`messenger/pair-03`, `d/pair-03`,
`compare/pair-03`, `g/`; in early_global G0's also after whose update it is): no local has a part in
them, and a deputy draws for its opponents exactly what one process would have drawn for them.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from raygan.gan.trainer import Trainer


class Draws(NamedTuple):
    """The streams of one use in one iteration."""

    noise: torch.Generator
    """z."""
    extra: torch.Generator
    """Noise on what D sees, points of penalties."""
    data: torch.Generator
    """Which samples; on the CPU, where they lie."""


def draws(pair: Trainer, use: str) -> Draws:
    """Those of `use` in the iteration at which the pair stands."""
    noise, extra = (pair.streams.at(f"{use}/{p}", pair.step) for p in ("noise", "extra"))
    return Draws(noise, extra, pair.streams.at(f"{use}/data", pair.step, "cpu"))


def real(pair: Trainer, of: Draws) -> Tensor:
    """The next batch of real samples (N, *shape), as D sees it."""
    return pair.blur(pair.data.batch(pair.batch_size, of.data, pair.device), of.extra)
