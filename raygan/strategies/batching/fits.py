"""Can these networks and this loss be batched, with the same numbers as one by one,
and is it faster?

Whatever is not known for certain to compute the same is left to one pair at a time: a wrong answer
here would be wrong science in silence.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from raygan.config import BATCHED_BELOW
from raygan.gan.types import Loss
from raygan.gan.weights import num_words
from raygan.losses.base import LossComponent
from raygan.networks.base import has_batch_norm
from raygan.own.names import label
from raygan.strategies.batching.layers import LAYERS
from raygan.strategies.batching.stack import LANES


def pays(d: nn.Module) -> bool:
    """Is a batched model faster, as far as the networks tell? Grouped convolutions are not, on a
    CPU.
    """
    convolves = any(isinstance(m, nn.Conv2d) for m in d.modules())
    return next(d.parameters()).device.type != "cpu" or (
        not convolves and num_words(d) < BATCHED_BELOW
    )


def to_batch(batched: bool | None, d: nn.Module) -> bool:
    """`resources.batched`, for pairs with discriminators like this one."""
    return pays(d) if batched is None else batched


def strange(network: nn.Module) -> str | None:
    """What of a network cannot be batched, in words; None where there is nothing."""
    if type(network) is not nn.Sequential:
        return f"layers of kind {type(network).__name__} are not batched"
    tensors = list(network.named_parameters(remove_duplicate=False))
    # a layer that comes twice is one set of tensors under two names
    if len(set(network)) < len(network) or len({id(p) for _, p in tensors}) < len(tensors):
        return "layers that come twice are not batched"
    # stacked tensors are float32
    if odd := next((p.dtype for _, p in tensors if p.dtype != torch.float32), None):
        return f"numbers of type {str(odd).removeprefix('torch.')} are not batched"
    for name, layer in network.named_children():
        if why := _strange_layer(name, layer):
            return why
    return "hooks are not batched" if hooked(network) else None


def _strange_layer(name: str, layer: nn.Module) -> str | None:
    wanted = LAYERS.get(type(layer))
    if wanted is None:
        return f"layers of kind {type(layer).__name__} are not batched"
    for key, value in wanted.items():
        if getattr(layer, key) != value:
            return f"{type(layer).__name__} with {key} {getattr(layer, key)} is not batched"
    # padding "same" depends on the size; momentum None counts the batches
    if isinstance(getattr(layer, "padding", None), str) or getattr(layer, "momentum", 0.0) is None:
        return f"{type(layer).__name__} as layer {name} has it is not batched"
    if hooked(layer) or any(hooked(p) for p in layer.parameters()) or "forward" in vars(layer):
        return "hooks are not batched"
    if not layer.training or not all(p.requires_grad for p in layer.parameters()):
        return "layers that do not train are not batched"
    return None


def hooked(thing: nn.Module | nn.Parameter) -> bool:
    """Does anything listen to a layer's forward, or to a gradient?"""
    if isinstance(thing, nn.Parameter):
        return bool(thing._backward_hooks or thing._post_accumulate_grad_hooks)
    return any(value for key, value in vars(thing).items() if key.endswith("_hooks"))


def usual_penalty(loss: Loss) -> bool:
    """Is the loss's gradient penalty, if it has one, the sum over `held`?"""
    return getattr(type(loss), "penalty", None) is LossComponent.penalty


def may_join(d: nn.Module, loss: Loss) -> bool:
    """May D see real and fake samples in one batch, which is faster? The same up to rounding; but
    not where batch norm looks at the whole batch, nor where the loss is linear: there a bias's
    gradient is exactly 0 where a unit is on for all samples, and Adam would turn what rounding
    leaves of it into steps. The same of the last bias where real and generated samples are
    compared.
    """
    return not (has_batch_norm(d) or loss.linear or loss.needs_real)


def one_at_a_time(loss: Loss) -> str | None:
    """Why a loss cannot be computed for several pairs at once, in words; None where it can. It is
    tried on drawn numbers.
    """
    # drawn numbers: what a loss does on all zeros, or on equal ones, is no proof
    stream = torch.Generator().manual_seed(0)
    real, fake = (torch.randn(2, 2 * LANES, generator=stream) for _ in range(2))
    compared = [real] if loss.needs_real else []
    ways: dict[str, tuple[Callable[..., Any], Sequence[Tensor]]] = {
        "d_loss": (loss.d_loss, (real, fake)), "g_loss": (loss.g_loss, (fake, *compared)),
    }  # fmt: skip
    for name, (loss_of, logits) in ways.items():
        alone = torch.stack([loss_of(*own) for own in zip(*logits, strict=True)])
        if not _same(partial(torch.vmap(loss_of), *logits), alone):
            return (
                f"{name} of loss {_called(loss)} takes one batch at a time (.item(), `if` over a"
                " tensor, random numbers)"
            )
    # the usual one is known to take several; a user's own is tried as well
    if isinstance(loss, LossComponent) and type(loss).penalty_of is not LossComponent.penalty_of:
        norms = real.abs()
        if not _same(
            partial(loss.penalty_of, norms), torch.stack([loss.penalty_of(own) for own in norms])
        ):
            return (
                f"penalty_of of loss {_called(loss)} takes one batch at a time (a mean over all"
                " dimensions, .item())"
            )
    return None


def _same(at_once: Callable[[], Tensor], alone: Tensor) -> bool:
    try:
        found = at_once()
    except Exception:  # of any operation that a batched loss does not have
        return False
    return found.shape == alone.shape and torch.allclose(found, alone, rtol=1e-4, atol=1e-6)


def _called(loss: Loss) -> str:
    return label(loss.name) if isinstance(loss, LossComponent) else type(loss).__name__
