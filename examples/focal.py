"""An own loss: the focal cross-entropy (Lin et al., 2017, eq. 4) for D. `raygan train --loss
examples/focal.py --loss.focus 2`
"""

import torch.nn.functional as F
from pydantic import Field
from torch import Tensor

from raygan.losses.base import LossComponent


class Focal(LossComponent):
    """Samples that D judges well already weigh less. R1 and R2 come along: `--loss.r1 0.1`."""

    focus: float = Field(2.0, ge=0, description="gamma of the paper: 0 = plain cross-entropy.")

    def d_loss(self, real: Tensor, fake: Tensor) -> Tensor:
        """-(1 - p)^focus log p, p = sigmoid of the logit's right side."""
        return self._focal(real) + self._focal(-fake)

    def g_loss(self, fake: Tensor, real: Tensor | None = None) -> Tensor:
        """-log D(G(z))."""
        return F.softplus(-fake).mean()

    def _focal(self, logit: Tensor) -> Tensor:
        return ((-logit).sigmoid() ** self.focus * F.softplus(-logit)).mean()
