"""The plain PyTorch loop that others are measured against, and what everybody trains."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch.nn.functional import softplus

from raygan.config import resolve
from raygan.data.base import to_float
from raygan.strategies.base import Setup, load_data

SWAP = 50


@dataclass(frozen=True)
class Work:
    """What everybody trains."""

    pairs: int
    steps: int
    batch: int
    lr: float
    flags: tuple[tuple[str, Any], ...]
    preset: str = "ring8-gap"

    def values(self, **more: Any) -> dict[str, Any]:
        """As raygan's settings: GAP, and nothing in the loop that the others do not do."""
        return {
            "num_pairs": self.pairs, "steps": self.steps, "round_steps": SWAP,
            "batch_size": self.batch, "strategy": {"name": "gap", "swap_every": SWAP},
            "loss": "non_saturating", "pair.ema": 0.0, "pair.lr_decay": "constant",
            "pair.lr_g": self.lr, "pair.lr_d": self.lr, "resources.spares": 0,
            "evaluation.every_steps": self.steps * 10, "checkpoint.every_steps": self.steps * 10,
            **dict(self.flags), **more,
        }  # fmt: skip

    def setup(self) -> Setup:
        """Networks and data."""
        config = resolve(self.preset, flags=self.values()).config
        return Setup(config, load_data(config), torch.device("cpu"))


MLP = (("network.z_dim", 100),)
WORKS = {
    "toy": Work(10, 100, 128, 2e-3, (*MLP, ("network.hidden", 512))),
    "small": Work(10, 400, 128, 2e-3, (*MLP, ("network.hidden", 64))),
    "dcgan": Work(
        8, 100, 64, 2e-4, (("network", {"name": "dcgan", "width": 16, "z_dim": 64}),), "mnist-gap"
    ),
}


class Plain:
    """What a user would write: one pair."""

    def __init__(self, setup: Setup, name: str, lr: float) -> None:
        parts = setup.parts(name)
        self.g, self.d, self.z_dim, self.batch = (
            parts.generator,
            parts.discriminator,
            parts.z_dim,
            parts.batch_size,
        )
        self.opt_g, self.opt_d = (
            torch.optim.Adam(n.parameters(), lr, (0.5, 0.9), fused=True) for n in (self.g, self.d)
        )
        self.x = to_float(setup.data.train[:20_000].copy())

    def steps(self, count: int) -> None:
        """The loop."""
        for _ in range(count):
            real = self.x[torch.randint(len(self.x), (self.batch,))]
            with torch.no_grad():
                fake = self.g(torch.randn(self.batch, self.z_dim))
            self.opt_d.zero_grad(set_to_none=True)
            loss_d = softplus(-self.d(real)).mean() + softplus(self.d(fake)).mean()
            loss_d.backward()
            self.opt_d.step()
            self.opt_g.zero_grad(set_to_none=True)
            loss_g = softplus(-self.d(self.g(torch.randn(self.batch, self.z_dim)))).mean()
            loss_g.backward()
            self.opt_g.step()
            if not np.isfinite(loss_d.item() + loss_g.item()):
                raise FloatingPointError("the loss is not finite")


def timed(work: Callable[[], object]) -> float:
    """Seconds."""
    began = time.perf_counter()
    work()
    return time.perf_counter() - began
