"""The two updates that every GAN is made of: used by local pairs, by the global pair and by its
messengers.

A loss that is not finite never reaches the weights: the step is skipped and counted
(`gan.bad_steps`). A gradient that is not, of a loss that is, does: looking at each would cost a
wait for the device at every step. `Trainer.check` finds it at the end of the round, which is
undone, and `finite` where anything is published.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn

from raygan.gan.later import Value, skips
from raygan.gan.optimizers import zero_grad
from raygan.gan.types import NOW, At, Loss, g_loss_of


def unmoved(network: nn.Module, x: Tensor) -> Tensor:
    """The network's output in training mode.

    Neither its buffers move (batch norm's running averages) nor what its layers draw next
    (dropout).
    """
    away = [] if x.device.type == "cpu" else [x.device]
    with torch.random.fork_rng(devices=away, device_type=x.device.type):
        return on_buffers(network, buffers_of(network), x)


def on_buffers(network: nn.Module, buffers: dict[str, Tensor], x: Tensor) -> Tensor:
    """The network's output in training mode with these in the place of its buffers: they move, its
    own do not.
    """
    out: Tensor = torch.func.functional_call(network, buffers, (x,))
    return out


def buffers_of(network: nn.Module) -> dict[str, Tensor]:
    """Copies of them, by name."""
    return {name: buffer.clone() for name, buffer in network.named_buffers()}


def d_step(
    d: nn.Module,
    optimizer: torch.optim.Optimizer,
    loss: Loss,
    real: Tensor,
    fake: Tensor,
    stream: torch.Generator,
    *,
    clip: float | None = None,
    together: bool = False,
    at: At = NOW,
) -> Value:
    """One update of D on a real and a fake batch (N, *shape); returns its loss, which is not finite
    when the step was skipped.
    """
    zero_grad(optimizer)
    total = d_total(d, loss, real, fake, stream, together, at)
    value = update(optimizer, d, total, clip, now=loss.alters_d)
    if loss.alters_d and math.isfinite(value):
        loss.after_d_step(d)
    return value


def update(
    optimizer: torch.optim.Optimizer,
    network: nn.Module,
    total: Tensor,
    clip: float | None,
    *,
    now: bool = False,
) -> Value:
    """Backward from a loss () and one step of the optimizer, unless it is not finite; returns it.

    On a device the optimizer itself leaves the step out, where it can: nobody waits for the loss.
    now: a float, wherever it lies.
    """
    if not now and skips(optimizer, total.device):
        total.backward()
        # what a gradient scaler sets when it has found a gradient that overflows: 1 leaves the
        # weights, the moments and the count as they are
        vars(optimizer)["found_inf"] = total.detach().isfinite().logical_not().float()
        try:
            apply(optimizer, network, clip)
        finally:
            del vars(optimizer)["found_inf"]
        return total.detach()
    value = total.item()
    if math.isfinite(value):
        total.backward()
        apply(optimizer, network, clip)
    return value


def logits_of(
    d: Callable[[Tensor], Tensor], real: Tensor, fake: Tensor, together: bool, dim: int = 0
) -> tuple[Tensor, Tensor]:
    """D's logits on real and on fake samples; together: in one batch (along `dim`), which is
    faster, and the same up to rounding where no layer looks at a whole batch.
    """
    if not together:
        return d(real), d(fake)
    # one forward of twice the size is quicker than two; it is not always the same (`may_join`)
    on_real, on_fake = d(torch.cat([real, fake], dim)).split(
        [real.shape[dim], fake.shape[dim]], dim
    )
    return on_real, on_fake


def d_backward(
    d: nn.Module,
    loss: Loss,
    real: Tensor,
    fake: Tensor,
    stream: torch.Generator,
    *,
    weight: float = 1.0,
    together: bool = False,
    at: At = NOW,
) -> float:
    """Add the gradient of weight * D's loss; a loss that is not finite adds nothing. Returns the
    unweighted loss.
    """
    total = d_total(d, loss, real, fake, stream, together, at)
    value = total.item()
    if math.isfinite(value):
        (total * weight if weight != 1.0 else total).backward()
    return value


def d_total(
    d: nn.Module, loss: Loss, real: Tensor, fake: Tensor, stream: torch.Generator,
    together: bool, at: At,
) -> Tensor:  # fmt: skip
    """D's loss with its penalty, (), a graph."""
    total = loss.d_loss(*logits_of(d, real, fake, together))
    penalty = loss.penalty(d, real, fake, stream, at)
    return total if penalty is None else total + penalty


def g_step(
    g: nn.Module,
    d: nn.Module,
    optimizer: torch.optim.Optimizer,
    loss: Loss,
    z: Tensor,
    *,
    clip: float | None = None,
    noise: Tensor | None = None,
    real: Tensor | None = None,
    matching: float = 0.0,
) -> Value:
    """One update of G against D from noise z (N, z_dim); returns its loss, which is not finite when
    the step was skipped.

    real: samples (N, *shape), for losses that compare, and for feature matching, whose weight is
    `matching`.
    """
    zero_grad(optimizer)
    fake = g(z)
    # drawn outside, as its stream belongs to the step; the gradient goes through the sum unchanged
    seen = fake if noise is None else fake + noise
    with frozen(d):
        total = judged_by(d, loss, seen, lambda: real, matching)
    return update(optimizer, g, total, clip)


def judged_by(
    d: nn.Module,
    loss: Loss,
    seen: Tensor,
    real: Callable[[], Tensor | None],
    matching: float = 0.0,
) -> Tensor:
    """G's loss by D on its samples (N, *shape) as D sees them, a graph; where `matching` is its
    weight, with the distance of their features from those of real samples.
    """
    if not matching:
        return g_loss_of(loss, d(seen), lambda: on_real(d, real()))
    beside = real()
    assert beside is not None, "feature matching compares with real samples"
    distance, logits = feature_distance(d, beside, seen)
    return g_loss_of(loss, logits, lambda: on_real(d, beside)) + matching * distance


def on_real(d: nn.Module, real: Tensor | None) -> Tensor:
    """D's logits on real samples, for G's step: constants, and D's buffers do not move."""
    assert real is not None, "a loss that compares is given real samples"
    with torch.no_grad():
        return unmoved(d, real)


def feature_distance(d: nn.Module, real: Tensor, fake: Tensor) -> tuple[Tensor, Tensor]:
    """(|| E f(real) - E f(fake) ||^2, D's logits of fake), f = D's last hidden layer (Salimans et
    al., 2016, section 3.1).
    """
    assert isinstance(d, nn.Sequential), (
        "discriminators are Sequential: hidden layers, the last linear one, Logits"
    )
    # all but the last linear layer and Logits
    body, head = d[:-2], d[-2:]
    features = body(fake)
    with torch.no_grad():
        target = unmoved(body, real).flatten(1).mean(0)
    return (features.flatten(1).mean(0) - target).square().sum(), head(features)


def apply(optimizer: torch.optim.Optimizer, network: nn.Module, clip: float | None) -> None:
    """updateParameters: clip the global gradient norm, then step."""
    if clip is not None:
        nn.utils.clip_grad_norm_(network.parameters(), clip)
    optimizer.step()


@torch.no_grad()
def update_average(average: list[Tensor], now: list[Tensor], ema: float) -> None:
    """avg <- ema avg + (1 - ema) now."""
    # one kernel for all tensors
    torch._foreach_lerp_(average, now, 1 - ema)


def like(mine: Tensor, held: Tensor) -> bool:
    """Can the one be written over with the other, and stay what it is?"""
    return (mine.shape, mine.dtype, mine.device) == (held.shape, held.dtype, held.device) and (
        # an expanded tensor has one number in several places
        mine.is_contiguous() and not mine.is_inference()
    )


class frozen:  # noqa: N801  (reads as a word: `with frozen(d):`)
    """Within it the network's parameters need no gradient: G's step does not pay for D's."""

    def __init__(self, network: nn.Module) -> None:
        self.parameters = [p for p in network.parameters() if p.requires_grad]

    def __enter__(self) -> None:
        for p in self.parameters:
            p.requires_grad_(False)

    def __exit__(self, *_: object) -> None:
        for p in self.parameters:
            p.requires_grad_(True)
