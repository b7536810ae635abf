"""An own network and an own loss, in one file.
raygan train --preset ring8-sgan --network ./examples/own_parts.py:Small --loss ./examples/own_parts.py:Focal
"""

import math

import torch.nn.functional as F
from torch import Tensor, nn

from raygan.losses.base import LossComponent
from raygan.networks.base import Logits


class Focal(LossComponent):
    """The non-saturating loss, where samples that D is sure of weigh less (Lin et al., 2017)."""

    gamma: float = 1.0

    def d_loss(self, real: Tensor, fake: Tensor) -> Tensor:
        """(1 - p)^gamma (-log p), p = D's probability of what is right."""
        on_real = F.softplus(-real) * (-real).sigmoid() ** self.gamma
        return (on_real + F.softplus(fake) * fake.sigmoid() ** self.gamma).mean()

    def g_loss(self, fake: Tensor, real: Tensor | None = None) -> Tensor:
        return F.softplus(-fake).mean()  # -log D(G(z))


class Small:
    # Two small MLPs; a plain pair of factories is enough.
    def __init__(self, width: int = 32) -> None:
        self.width = width

    def generator(self, shape: tuple[int, ...], z_dim: int) -> nn.Module:
        return nn.Sequential(*self.layers(z_dim, math.prod(shape)), nn.Unflatten(1, shape))

    def discriminator(self, shape: tuple[int, ...], outputs: int = 1) -> nn.Module:
        return nn.Sequential(nn.Flatten(), *self.layers(math.prod(shape), outputs), Logits(outputs))

    def layers(self, inputs: int, outputs: int) -> list[nn.Module]:
        return [nn.Linear(inputs, self.width), nn.ReLU(), nn.Linear(self.width, outputs)]
