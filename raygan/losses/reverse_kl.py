"""PMGAN's loss: the vanilla D, and a generator that minimises the reverse KL divergence (Xiao,
Rajasekaran, 2019, eq. 2).
"""

from __future__ import annotations

import math
from typing import ClassVar, Literal

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor

from raygan.losses.base import LossComponent


class ReverseKl(LossComponent):
    """D: cross-entropy; G: 1 - min(logit D(G(z)), logit t). Always from logits, so that no
    logarithm of 0 is taken.
    """

    density_ratio: ClassVar[bool] = True

    trunc_d: float = Field(
        0.9, gt=0, lt=1, description="t: where D(G(z)) is above it, G gets no gradient."
    )
    sign: Literal["minimise", "as_printed"] = Field(
        "minimise", description="as_printed: eq. 2's own sign, which drives G away from the data."
    )

    def d_loss(self, real: Tensor, fake: Tensor) -> Tensor:
        """-log D(x) - log(1 - D(G(z)))."""
        return F.softplus(-real).mean() + F.softplus(fake).mean()

    def g_loss(self, fake: Tensor, real: Tensor | None = None) -> Tensor:
        """1 - min(logit, logit t): gradient -1/N at each sample below t, 0 above."""
        limit = math.log(self.trunc_d / (1 - self.trunc_d))
        # clamped logits have no gradient: a sample that D is sure of pulls no more
        kept = torch.clamp(fake, max=limit).mean()
        return 1 + kept if self.sign == "as_printed" else 1 - kept
