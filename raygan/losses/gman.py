"""GMAN: one generator against several discriminators (Durugkar, Gemp, Mahadevan, 2017, section 4).
Needs `network.judges: N`.
"""

from __future__ import annotations

import torch.nn.functional as F
from pydantic import Field
from torch import Tensor

from raygan.losses.base import LossComponent


class Gman(LossComponent):
    """Each D plays the vanilla game alone; G meets a softmax over them, from their mean to the
    harshest. Logits (N, judges).
    """

    harshness: float = Field(
        0.0, ge=0, description="lambda of the softmax over G's losses: 0 = mean, large = the worst."
    )

    @property
    def num_judges(self) -> int | None:
        """Any number of discriminators will do."""
        return None

    def d_loss(self, real: Tensor, fake: Tensor) -> Tensor:
        """Sum over the discriminators of -log D(x) - log(1 - D(G(z))): they share no weights, so
        each has its own.
        """
        return (F.softplus(-real).mean(0) + F.softplus(fake).mean(0)).sum()

    def g_loss(self, fake: Tensor, real: Tensor | None = None) -> Tensor:
        """sum_i w_i V_i with V_i = E -log D_i(G(z)) and w = softmax(lambda V)."""
        # the softmax has a gradient too: G is drawn to where the harshest one gives way
        each = F.softplus(-fake).mean(0)
        return ((self.harshness * each).softmax(0) * each).sum()
