"""Own data: a map-style Dataset. `raygan train --data examples/spirals.py --data.arms 3`"""

import numpy as np


class Spirals:
    """`arms` spirals of noisy points, always the same ones."""

    def __init__(self, arms: int = 2, count: int = 4000, noise: float = 0.03) -> None:
        rng = np.random.default_rng(0)
        t = np.sqrt(rng.random(count)) * 3 * np.pi
        turn = t + rng.integers(arms, size=count) * 2 * np.pi / arms
        points = np.stack([np.cos(turn), np.sin(turn)], 1) * t[:, None] / 10
        self.points = (points + noise * rng.standard_normal((count, 2))).astype(np.float32)

    def __len__(self) -> int:
        return len(self.points)

    def __getitem__(self, index: int) -> np.ndarray:
        return self.points[index]
