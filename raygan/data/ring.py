"""M Gaussians on a circle: means at radius * exp(2 pi i k / M), k = 0 .. M-1 (SGAN: M-GMM, M = 8,
10).
"""

from __future__ import annotations

import numpy as np
from pydantic import Field

from raygan.data.base import DataComponent, Modes, Samples, mixture_samples


class Ring(DataComponent):
    """ring8 is `{name: ring, modes: 8}`."""

    modes: int = Field(8, gt=0, description="Gaussians (M).")
    radius: float = Field(1.0, gt=0, description="Of the circle.")
    std: float = Field(0.01, gt=0, description="Of each Gaussian.")
    train: int = Field(100_000, gt=0, description="Training points.")
    held_out: int = Field(10_000, gt=0, description="Held-out points.")

    def load(self, seed: int) -> Samples:
        """Training and held-out points (N, 2) with their modes; the same of a seed."""
        # a linspace with both ends would have M-1 modes
        angle = 2 * np.pi * np.arange(self.modes) / self.modes
        means = (self.radius * np.stack([np.cos(angle), np.sin(angle)], 1)).astype(np.float32)
        modes = Modes(means, self.std, self.radius)
        return mixture_samples(f"ring{self.modes}", modes, self.train, self.held_out, seed)
