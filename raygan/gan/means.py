"""Means of several networks' flat vectors, by tensor: what lies there as bits is no float32."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn

from raygan.gan.weights import Vector, Words, as_words, pieces, tensors, widen


def mean(
    network: nn.Module, vectors: Sequence[Words], weights: Sequence[float] | None = None
) -> Vector:
    """The weighted mean of networks like this one, in float64 within, whatever the type of a
    tensor; what is no number to be averaged (counters, masks) is the first one's.
    """
    wide = [widen(network, v) for v in vectors]
    stack = np.stack(wide)
    cut = [list(pieces(network, v)) for v in wide]
    real = [r for _, r in cut[0]]
    # the usual network, with no counter or mask in it: no places have to be looked up
    if all(real):
        return _middle(stack, weights)
    out = wide[0].copy()
    plain = np.repeat(real, [p.size for p, _ in cut[0]])
    out[plain] = _middle(stack[:, plain], weights)
    at = 0
    for i, (_, tensor) in enumerate(tensors(network)):
        size = cut[0][i][0].size
        if not real[i] and (tensor.is_floating_point() or tensor.is_complex()):
            out[at : at + size] = _of_one([c[i][0] for c in cut], tensor, weights)
        at += size
    return out


def _middle(stack: Vector, weights: Sequence[float] | None) -> Vector:
    middle: Vector = np.average(stack.astype(np.float64), 0, weights).astype(np.float32)
    return middle


def _of_one(held: Sequence[Words], like: Tensor, weights: Sequence[float] | None) -> Vector:
    """Of one tensor of another type than float32, from its bits in each."""
    size = like.numel() * like.element_size()
    rows = [torch.from_numpy(p.copy()).view(torch.uint8)[:size].view(like.dtype) for p in held]
    wide = torch.complex128 if like.is_complex() else torch.float64
    middle = np.average(np.stack([r.to(wide).numpy() for r in rows]), 0, weights)
    return as_words([torch.from_numpy(middle).to(like.dtype)])
