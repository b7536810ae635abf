"""DRAGAN: the vanilla GAN with a gradient penalty around the data (Kodali et al., 2017)."""

from __future__ import annotations

import torch
from pydantic import Field
from torch import Tensor

from raygan.losses.base import per_sample
from raygan.losses.non_saturating import NonSaturating


class Dragan(NonSaturating):
    """D's gradient is held near norm 1 in the neighbourhood of real samples."""

    weight: float = Field(
        10.0, ge=0, description="Of the penalty (lambda); 0.1 on two-dimensional toys."
    )
    spread: float = Field(
        0.5, gt=0, description="Size of the neighbourhood, in standard deviations of the batch."
    )

    def penalty_points(self, real: Tensor, fake: Tensor, generator: torch.Generator) -> Tensor:
        """x + a d, d ~ spread std(x) U(0, 1), a ~ U(0, 1)."""
        # one spread for the whole batch: `std` over samples and dimensions together
        noise = (
            torch.rand(real.shape, generator=generator, device=real.device)
            * self.spread
            * real.std()
        )
        return real + per_sample(real, generator) * noise
