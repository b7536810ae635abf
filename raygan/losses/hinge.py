"""The hinge loss (Lim and Ye, 2017; Miyato et al., 2018)."""

from __future__ import annotations

from typing import ClassVar

import torch.nn.functional as F
from torch import Tensor

from raygan.losses.base import LossComponent


class Hinge(LossComponent):
    """D stops caring about samples that it already places beyond the margin."""

    linear: ClassVar[bool] = True

    def d_loss(self, real: Tensor, fake: Tensor) -> Tensor:
        """E max(0, 1 - D(x)) + E max(0, 1 + D(G(z)))."""
        # linear within the margin, where every sample weighs the same
        return F.relu(1 - real).mean() + F.relu(1 + fake).mean()

    def g_loss(self, fake: Tensor, real: Tensor | None = None) -> Tensor:
        """-E D(G(z)) of logits (N,): a scalar."""
        return -fake.mean()
