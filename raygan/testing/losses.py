"""Checks of a loss."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from raygan.errors import ConfigError
from raygan.gan.types import g_loss_of
from raygan.losses.base import LossComponent, examine
from raygan.testing.needs import COUNT, need


def check_loss(loss: LossComponent) -> None:
    """Finite scalars; gradients that raise D(x), lower D(G(z)), and have G raise D(G(z)); batched
    form = one after the other.
    """
    for name in ("d_loss", "g_loss"):
        need(callable(getattr(loss, name, None)), loss, f"has no {name}", f"Write {name}.")
    judges = {1: (), 2: (2,), None: (3,)}[loss.num_judges]
    try:
        examine(loss, *judges or (1,))
    except ConfigError as error:
        raise AssertionError(str(error)) from None
    random = torch.Generator().manual_seed(0)
    # a D that is mistaken a little: every loss, least squares too, wants D(x) higher and D(G(z))
    # lower here
    real, fake = (m + 0.1 * torch.randn(4, COUNT, *judges, generator=random) for m in (-0.4, 0.4))
    for name in ("d_loss", "g_loss"):
        one = torch.stack([_value(loss, name, r, f) for r, f in zip(real, fake, strict=True)])
        # As a pack calls it (decision 31): all pairs' logits at once, batched by vmap.
        many = torch.vmap(lambda r, f, name=name: _called(loss, name, r, f))(real, fake)
        need(torch.allclose(one, many, atol=1e-6), loss,
              f"{name} over several pairs at once differs from one after the other",
              "Use torch operations over the batch only, no Python branch on values.")  # fmt: skip
    _check_signs(loss, real[0], fake[0])


def _called(loss: Any, name: str, real: Tensor, fake: Tensor) -> Any:
    return loss.d_loss(real, fake) if name == "d_loss" else g_loss_of(loss, fake, lambda: real)


def _value(loss: LossComponent, name: str, real: Tensor, fake: Tensor) -> Tensor:
    value = _called(loss, name, real, fake)
    assert isinstance(value, Tensor), "examined"
    return value


def _check_signs(loss: LossComponent, real: Tensor, fake: Tensor) -> None:
    real, fake = real.clone().requires_grad_(), fake.clone().requires_grad_()
    on_real, on_fake = torch.autograd.grad(
        _value(loss, "d_loss", real, fake), (real, fake), allow_unused=True
    )
    value = _value(loss, "g_loss", real, fake)
    (g_fake,) = torch.autograd.grad(value, (fake,), allow_unused=True)
    for what, grad in (
        ("d_loss by D(x)", on_real),
        ("d_loss by D(G(z))", on_fake),
        ("g_loss by D(G(z))", g_fake),
    ):
        need(grad is not None and bool(torch.isfinite(grad).all()) and bool(grad.abs().sum() > 0),
              loss,
              f"the gradient of {what} is missing, 0 or not finite",
              "Let it use both kinds of logits.")  # fmt: skip
    if loss.num_judges != 2:  # D2GAN's second judge wants the opposite
        for what, grad, sign in (
            ("d_loss", on_real, -1),
            ("d_loss", on_fake, 1),
            ("g_loss", g_fake, -1),
        ):
            need(
                float(grad.sum()) * sign > 0,
                loss,
                f"{what} pushes logits the wrong way",
                "Turn its sign.",
            )
