"""Gaussians on a square grid; 25 of them: means {-4, -2, 0, 2, 4}^2, std 0.05 (ALI, PacGAN)."""

from __future__ import annotations

import math

import numpy as np
from pydantic import Field, field_validator

from raygan.data.base import DataComponent, Modes, Samples, mixture_samples


class Grid(DataComponent):
    """grid25 is `{name: grid, modes: 25}`."""

    modes: int = Field(25, gt=0, description="Gaussians: a square number.")
    spacing: float = Field(2.0, gt=0, description="Between neighbours.")
    std: float = Field(0.05, gt=0, description="Of each Gaussian.")
    train: int = Field(100_000, gt=0, description="Training points.")
    held_out: int = Field(10_000, gt=0, description="Held-out points.")

    @field_validator("modes")
    @classmethod
    def _square(cls, value: int) -> int:
        if math.isqrt(value) ** 2 != value:
            raise ValueError("a grid needs a square number of modes, such as 9, 16 or 25")
        return value

    def load(self, seed: int) -> Samples:
        """Training and held-out points (N, 2) with their modes; the same of a seed."""
        side = math.isqrt(self.modes)
        # about 0: for 25 of them -4, -2, 0, 2, 4
        ticks = self.spacing * (np.arange(side) - (side - 1) / 2)
        means = np.stack(np.meshgrid(ticks, ticks), -1).reshape(-1, 2).astype(np.float32)
        return mixture_samples(
            f"grid{self.modes}", Modes(means, self.std), self.train, self.held_out, seed
        )
