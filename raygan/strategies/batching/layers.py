"""Layers of several networks at once: what each kind does with stacked tensors.

apart       (pairs, N, ...)              linear layers: one batched matrix product
grouped     (N, pairs * channels, ...)   convolutions and norms: one call, grouped by pair
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from raygan.networks.base import Category, Logits
from raygan.networks.mlp import Fourier, features

POINTWISE = (nn.LeakyReLU, nn.ReLU, nn.Tanh)
LAYERS: dict[type[nn.Module], dict[str, object]] = {
    nn.Linear: {},
    nn.Conv2d: {"dilation": (1, 1), "groups": 1, "padding_mode": "zeros"},
    nn.ConvTranspose2d: {"dilation": (1, 1), "groups": 1, "output_padding": (0, 0)},
    nn.BatchNorm2d: {"affine": True, "track_running_stats": True},
    nn.GroupNorm: {"affine": True},
    nn.Flatten: {"start_dim": 1, "end_dim": -1},
    nn.Unflatten: {"dim": 1},
    Logits: {},
    Fourier: {},
    Category: {},
    **{kind: {} for kind in POINTWISE},
}
"""What can be batched, exactly these, with these settings: a subclass computes as it likes.

mlp and dcgan are made of them.
"""


@dataclass(frozen=True)
class Stacked:
    """The tensors of one layer, of all pairs: (pairs, *shape) each, by their names in the layer."""

    pairs: int
    tensors: Mapping[str, Tensor]
    prefix: str

    def __getitem__(self, name: str) -> Tensor:
        return self.tensors[self.prefix + name]


def forward(network: nn.Module, x: Tensor, pairs: int, tensors: Mapping[str, Tensor]) -> Tensor:
    """Every pair's network on its own batch, (pairs, N, *shape) -> (pairs, N, ...), in training
    mode.

    network: one of them, for its layers and their settings; tensors: parameters and buffers of all,
    (pairs, *shape), by their names in it.
    """
    grouped = False
    for name, layer in network.named_children():
        kind, held = type(layer), Stacked(pairs, tensors, f"{name}.")
        if kind in POINTWISE:
            x = layer(x)  # in any layout
        elif kind in GROUPED:
            # from one such layer to the next the numbers stay as they lie
            x = x if grouped else x.transpose(0, 1).flatten(1, 2)
            x, grouped = GROUPED[kind](layer, x, held), True
        else:
            x = apart(x, pairs) if grouped else x
            x, grouped = APART[kind](layer, x, held), False
    return apart(x, pairs) if grouped else x


def apart(x: Tensor, pairs: int) -> Tensor:
    """(N, pairs * C, ...) -> (pairs, N, C, ...)."""
    return x.view(x.shape[0], pairs, -1, *x.shape[2:]).transpose(0, 1)


# ------------------------------------------------------------------------------------------
# each on its own: (pairs, N, ...) -> (pairs, N, ...)


def _linear(layer: nn.Linear, x: Tensor, held: Stacked) -> Tensor:
    weight = held["weight"].transpose(1, 2)
    if layer.bias is None:
        return torch.bmm(x, weight)
    return torch.baddbmm(held["bias"].unsqueeze(1), x, weight)


def _fourier(layer: Fourier, x: Tensor, held: Stacked) -> Tensor:
    return features(x, held["frequencies"])


def _category(layer: Category, x: Tensor, held: Stacked) -> Tensor:
    chosen: Tensor = layer(x)
    return chosen


def _unflatten(layer: nn.Unflatten, x: Tensor, held: Stacked) -> Tensor:
    return x.reshape(*x.shape[:2], *cast(tuple[int, ...], layer.unflattened_size))


def _flatten(layer: nn.Flatten, x: Tensor, held: Stacked) -> Tensor:
    return x.flatten(2)


def _logits(layer: Logits, x: Tensor, held: Stacked) -> Tensor:
    return x.flatten(1) if layer.outputs == 1 else x.flatten(2)


APART: dict[type[nn.Module], Callable[[Any, Tensor, Stacked], Tensor]] = {
    nn.Linear: _linear, Fourier: _fourier, Category: _category,
    nn.Unflatten: _unflatten, nn.Flatten: _flatten, Logits: _logits,
}  # fmt: skip


# ------------------------------------------------------------------------------------------
# in one call: (N, pairs * channels, ...) -> (N, pairs * channels, ...)


def _conv(layer: nn.Conv2d | nn.ConvTranspose2d, x: Tensor, held: Stacked) -> Tensor:
    assert isinstance(layer.padding, tuple), "dcgan pads by numbers"
    bias = held["bias"].flatten() if layer.bias is not None else None
    weight = held["weight"].flatten(0, 1)
    convolve = F.conv2d if isinstance(layer, nn.Conv2d) else F.conv_transpose2d
    return convolve(x, weight, bias, layer.stride, layer.padding, groups=held.pairs)


def _group_norm(layer: nn.GroupNorm, x: Tensor, held: Stacked) -> Tensor:
    groups = held.pairs * layer.num_groups
    return F.group_norm(x, groups, held["weight"].flatten(), held["bias"].flatten(), layer.eps)


def _batch_norm(layer: nn.BatchNorm2d, x: Tensor, held: Stacked) -> Tensor:
    held["num_batches_tracked"].add_(1)
    # views: what torch writes into the running averages lands in each pair's own buffers
    mean, var = held["running_mean"].view(-1), held["running_var"].view(-1)
    weight, bias = held["weight"].flatten(), held["bias"].flatten()
    momentum = cast(float, layer.momentum)
    return F.batch_norm(x, mean, var, weight, bias, True, momentum, layer.eps)


GROUPED: dict[type[nn.Module], Callable[[Any, Tensor, Stacked], Tensor]] = {
    nn.Conv2d: _conv,
    nn.ConvTranspose2d: _conv,
    nn.GroupNorm: _group_norm,
    nn.BatchNorm2d: _batch_norm,
}
