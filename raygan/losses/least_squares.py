"""Least squares GAN (Mao et al., 2017), with the 0-1 coding."""

from __future__ import annotations

from torch import Tensor

from raygan.losses.base import LossComponent


class LeastSquares(LossComponent):
    """Real is 1, fake is 0; G wants 1."""

    @property
    def threshold(self) -> float:
        """Half way between the two."""
        return 0.5

    def d_loss(self, real: Tensor, fake: Tensor) -> Tensor:
        """(E (D(x) - 1)^2 + E D(G(z))^2) / 2."""
        return 0.5 * ((real - 1).square().mean() + fake.square().mean())

    def g_loss(self, fake: Tensor, real: Tensor | None = None) -> Tensor:
        """E (D(G(z)) - 1)^2 / 2."""
        # G's target is D's real code, 1: a = 0, b = c = 1 in the paper's letters
        return 0.5 * (fake - 1).square().mean()
