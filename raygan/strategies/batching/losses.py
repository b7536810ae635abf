"""Losses and updates of several pairs' networks at once (`gan.steps` of one pair).

A pair's loss depends on its own slices alone, so the gradient of the sum of the losses is every
pair's own gradient.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import cast

import torch
from torch import Tensor

from raygan.gan import steps as S
from raygan.gan.host_copies import up
from raygan.gan.types import NOW, At, Loss
from raygan.losses.base import Held, LossComponent, gradient_squares
from raygan.strategies.batching.stack import LANES, Stack


def each(loss_of: Callable[..., Tensor], *logits: Tensor) -> Tensor:
    """Every pair's own loss, (pairs,), from logits (pairs, N, ...): at once where that leaves their
    rounding as it is.
    """
    # torch's loops over vector registers take two at a time, and what is left over one by one:
    # with another remainder a sum is added up in another order
    if logits[0].shape[1] % (2 * LANES):
        return torch.stack([loss_of(*own) for own in zip(*logits, strict=True)])
    out: Tensor = torch.vmap(loss_of)(*logits)
    return out


def g_losses(loss: Loss, d: Stack, fake: Tensor, real: Callable[[], Tensor]) -> Tensor:
    """Every pair's own loss of G, (pairs,), on samples (pairs, N, *shape); real ones are asked for
    where the loss needs them.
    """
    # first: it puts batch norm's averages back in place
    compared = [d.unmoved(real())] if loss.needs_real else []
    return each(loss.g_loss, d(fake, frozen=True), *compared)


def d_steps(
    d: Stack,
    loss: Loss,
    real: Tensor,
    fake: Tensor,
    streams: Sequence[torch.Generator],
    clip: float | None,
    together: bool,
    at: Sequence[At],
) -> list[float]:
    """`gan.steps.d_step` of every D on its own batches (pairs, N, *shape); the losses. together:
    `may_join`.
    """
    d.zero_grad()
    losses = each(loss.d_loss, *S.logits_of(d, real, fake, together, dim=1))
    # each pair's points by its own stream, before any gradient
    points = [held(loss, *each) for each in zip(real, fake, streams, at, strict=True)]
    values = updated(d, losses + penalties(d, points), clip)
    for network, value in zip(d.networks, values, strict=True):
        if math.isfinite(value):
            loss.after_d_step(network)
    return values


def held(
    loss: Loss, real: Tensor, fake: Tensor, stream: torch.Generator, at: At = NOW
) -> list[Held]:
    """Of one batch (N, *shape)."""
    return cast(LossComponent, loss).held(real, fake, stream, at)


def penalties(d: Callable[[Tensor], Tensor], points: Sequence[list[Held]]) -> Tensor | float:
    """The gradient penalties of each of several batches, (pairs,), at its points; d: (pairs, N,
    *shape) to logits (pairs, N).
    """
    total: Tensor | float = 0.0
    for same in zip(*points, strict=True):
        # a lazy penalty is due for all pairs at once, unless they stand at different updates: then
        # by weight 0
        if any(one.weight for one in same):
            squares = gradient_squares(d, torch.stack([one.points for one in same]), dims=2)
            weights = up(torch.tensor([one.weight for one in same]), squares.device)
            total = total + same[0].cost(squares) * weights
    return total


def updated(networks: Stack, losses: Tensor, clip: float | None) -> list[float]:
    """Every network's own update, from one backward pass over the losses (pairs,); the losses.

    One that is not finite spoils its own slices only, which are left as they were.
    """
    losses.sum().backward()
    # one question: on a device each is a wait
    *values, even = torch.cat([losses.detach(), networks.even().to(losses).view(1)]).tolist()
    networks.apply([math.isfinite(v) for v in values], clip, even != 0)
    return values
