"""An own data set: two half circles. raygan train --preset ring8-sgan --data ./examples/moons.py"""

import numpy as np
from pydantic import Field

from raygan.data.base import DataComponent, Samples


class Moons(DataComponent):
    """Points (N, 2); the same seed gives the same points."""

    count: int = Field(2000, gt=9, description="Training points; a tenth as many again are held out.")
    noise: float = Field(0.05, ge=0, description="Standard deviation around the half circles.")

    def load(self, seed: int) -> Samples:
        train, held_out = (
            self.draw(n, np.random.default_rng([seed, i])) for i, n in enumerate((self.count, self.count // 10))
        )
        return Samples("moons", train, held_out, split="fresh draws")

    def draw(self, count: int, rng: np.random.Generator) -> np.ndarray:
        """The second moon is the first one, turned by half a turn and moved."""
        angle, second = np.pi * rng.random(count), rng.integers(2, size=count)
        sign = 1 - 2 * second
        points = np.stack([sign * np.cos(angle) + second, sign * np.sin(angle) + 0.5 * second], 1)
        return (points + self.noise * rng.standard_normal(points.shape)).astype(np.float32)
