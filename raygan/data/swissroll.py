"""The Swiss roll in two dimensions (Marsland, 2009), scaled to about the unit square as in
WGAN-GP's toy script.
"""

from __future__ import annotations

import numpy as np
from pydantic import Field

from raygan.data.base import DataComponent, Samples, freeze


class Swissroll(DataComponent):
    """x = t cos t, y = t sin t, t in [1.5 pi, 4.5 pi], plus noise, divided by `scale`."""

    noise: float = Field(0.25, ge=0, description="Std before scaling.")
    scale: float = Field(7.5, gt=0, description="All coordinates are divided by this.")
    train: int = Field(100_000, gt=0, description="Training points.")
    held_out: int = Field(10_000, gt=0, description="Held-out points.")

    def load(self, seed: int) -> Samples:
        """Training and held-out points (N, 2); the same of a seed."""
        parts = []
        for stream, count in enumerate((self.train, self.held_out)):
            rng = np.random.default_rng([seed, stream])
            # uniform in t, and not along the curve: denser towards the middle, as in the toy's
            # script
            t = 1.5 * np.pi * (1 + 2 * rng.random(count))
            points = np.stack([t * np.cos(t), t * np.sin(t)], 1) + self.noise * rng.standard_normal(
                (count, 2)
            )
            parts.append((points / self.scale).astype(np.float32))
        freeze(*parts)
        return Samples("swissroll", parts[0], parts[1], split="fresh draws")
