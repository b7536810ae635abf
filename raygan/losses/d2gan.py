"""D2GAN: two discriminators with opposite tastes against one generator (Nguyen, Le, Vu, Phung,
2017, eq. 1).

D1 rewards data, D2 rewards generated samples; alpha log D1 and beta log D2 keep their scores apart.
Needs `network.judges: 2`.
"""

from __future__ import annotations

from typing import ClassVar

import torch.nn.functional as F
from pydantic import Field
from torch import Tensor

from raygan.losses.base import LossComponent


class D2gan(LossComponent):
    """Scores are softplus of the logits (N, 2): positive and unbounded, as the paper wants them."""

    # D2's logits rise where D1's fall, and neither has a point between the two kinds
    critic: ClassVar[bool] = True

    alpha: float = Field(1.0, gt=0, le=1, description="Weight of E log D1(x).")
    beta: float = Field(1.0, gt=0, le=1, description="Weight of E log D2(G(z)).")

    @property
    def num_judges(self) -> int | None:
        """Two: D1 likes real samples, D2 generated ones."""
        return 2

    def d_loss(self, real: Tensor, fake: Tensor) -> Tensor:
        """-(alpha E log D1(x) - E D1(G(z)) - E D2(x) + beta E log D2(G(z)))."""
        r, f = F.softplus(real), F.softplus(fake)
        return (
            f[:, 0].mean()
            + r[:, 1].mean()
            - self.alpha * _log(r[:, 0]).mean()
            - self.beta * _log(f[:, 1]).mean()
        )

    def g_loss(self, fake: Tensor, real: Tensor | None = None) -> Tensor:
        """-E D1(G(z)) + beta E log D2(G(z))."""
        # G is to look real to D1 and not to be rewarded by D2
        f = F.softplus(fake)
        return self.beta * _log(f[:, 1]).mean() - f[:, 0].mean()


def _log(score: Tensor) -> Tensor:
    # softplus may be 0 in float32, at logits below about -104
    return (score + 1e-12).log()
