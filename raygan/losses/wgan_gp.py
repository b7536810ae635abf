"""WGAN with gradient penalty (Gulrajani et al., 2017, Algorithm 1); "WGAN" in SGAN's paper."""

from __future__ import annotations

from typing import ClassVar

import torch
from pydantic import Field
from torch import Tensor

from raygan.losses.base import LossComponent, per_sample


class WganGp(LossComponent):
    """D's gradient is held near norm 1 between real and fake samples."""

    linear: ClassVar[bool] = True
    critic: ClassVar[bool] = True

    d_steps: int = Field(5, gt=0, description="Critic updates for each update of G (n_critic).")
    weight: float = Field(
        10.0, ge=0, description="Of the penalty (lambda); 0.1 on two-dimensional toys."
    )

    def d_loss(self, real: Tensor, fake: Tensor) -> Tensor:
        """E D(G(z)) - E D(x)."""
        return fake.mean() - real.mean()

    def g_loss(self, fake: Tensor, real: Tensor | None = None) -> Tensor:
        """-E D(G(z)) of values (N,): a scalar."""
        return -fake.mean()

    def penalty_points(self, real: Tensor, fake: Tensor, generator: torch.Generator) -> Tensor:
        """x^ = e x + (1 - e) G(z), e ~ U(0, 1)."""
        # on the line between a real and a generated sample, where the best critic has slope 1
        e = per_sample(real, generator)
        return e * real + (1 - e) * fake
