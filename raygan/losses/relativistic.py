"""The relativistic GAN: D tells which of two samples is real (Jolicoeur-Martineau, 2019, eq. 7 and
8, with f = softplus).
"""

from __future__ import annotations

from typing import ClassVar

import torch.nn.functional as F
from torch import Tensor

from raygan.losses.base import LossComponent


class Relativistic(LossComponent):
    """Each generated sample is paired with a real one; what counts is the difference of their
    logits.
    """

    needs_real: ClassVar[bool] = True
    # a logit alone says nothing
    critic: ClassVar[bool] = True

    def d_loss(self, real: Tensor, fake: Tensor) -> Tensor:
        """E softplus(-(D(x) - D(G(z)))) of logits (N,): a scalar."""
        return F.softplus(fake - real).mean()

    def g_loss(self, fake: Tensor, real: Tensor | None = None) -> Tensor:
        """E softplus(-(D(G(z)) - D(x))) of logits (N,): a scalar."""
        # constants there (`steps.on_real`): G moves its own logits only
        assert real is not None, "needs_real"
        return F.softplus(real - fake).mean()
