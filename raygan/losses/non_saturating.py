"""The vanilla GAN with the non-saturating generator loss (Goodfellow et al., 2014)."""

from __future__ import annotations

from typing import ClassVar

import torch.nn.functional as F
from torch import Tensor

from raygan.losses.base import LossComponent


class NonSaturating(LossComponent):
    """D: cross-entropy; G: -log D(G(z))."""

    density_ratio: ClassVar[bool] = True

    def d_loss(self, real: Tensor, fake: Tensor) -> Tensor:
        """-log D(x) - log(1 - D(G(z)))."""
        return F.softplus(-real).mean() + F.softplus(fake).mean()

    def g_loss(self, fake: Tensor, real: Tensor | None = None) -> Tensor:
        """-E log sigmoid(D(G(z))) of logits (N,): a scalar."""
        return F.softplus(-fake).mean()  # -log sigmoid(D(x))
