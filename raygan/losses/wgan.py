"""Wasserstein GAN with weight clipping (Arjovsky, Chintala, Bottou, 2017, Algorithm 1)."""

from __future__ import annotations

from typing import ClassVar

import torch
from pydantic import Field
from torch import Tensor, nn

from raygan.losses.base import LossComponent


class Wgan(LossComponent):
    """D is a critic whose weights are clipped after each update."""

    linear: ClassVar[bool] = True
    critic: ClassVar[bool] = True

    d_steps: int = Field(5, gt=0, description="Critic updates for each update of G (n_critic).")
    clip: float = Field(0.01, gt=0, description="Weights are clipped to [-clip, clip] (c).")

    def d_loss(self, real: Tensor, fake: Tensor) -> Tensor:
        """E D(G(z)) - E D(x)."""
        return fake.mean() - real.mean()

    def g_loss(self, fake: Tensor, real: Tensor | None = None) -> Tensor:
        """-E D(G(z)) of values (N,): a scalar."""
        return -fake.mean()

    def after_d_step(self, d: nn.Module) -> None:
        """w <- clip(w, -c, c)."""
        with torch.no_grad():
            # all of them, biases and scales too: the paper's c bounds the whole of w
            for weight in d.parameters():
                weight.clamp_(-self.clip, self.clip)
