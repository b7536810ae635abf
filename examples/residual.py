"""An own network, with settings: `raygan train --network examples/residual.py`."""

import torch
from torch import Tensor, nn


class Block(nn.Module):
    """x + f(x)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Linear(width, width), nn.SiLU(), nn.Linear(width, width))

    def forward(self, x: Tensor) -> Tensor:
        """(N, width) to (N, width)."""
        out: Tensor = x + self.body(x)
        return out


class Residual:
    """The constructor's parameters are settings: `--network.width 64 --network.depth 3`."""

    def __init__(self, width: int = 64, depth: int = 2) -> None:
        self.width, self.depth = width, depth

    def _stack(self, inputs: int, outputs: int) -> list[nn.Module]:
        blocks = [Block(self.width) for _ in range(self.depth)]
        return [nn.Linear(inputs, self.width), *blocks, nn.Linear(self.width, outputs)]

    def generator(self, shape: tuple[int, ...], z_dim: int) -> nn.Module:
        """z (N, z_dim) to samples (N, *shape)."""
        size = int(torch.tensor(shape).prod())
        return nn.Sequential(*self._stack(z_dim, size), nn.Unflatten(1, shape))

    def discriminator(self, shape: tuple[int, ...], outputs: int = 1) -> nn.Module:
        """Samples (N, *shape) to logits (N,); as PMGAN's classifier to (N, outputs)."""
        size = int(torch.tensor(shape).prod())
        last = nn.Flatten(0 if outputs == 1 else 1)
        return nn.Sequential(nn.Flatten(), *self._stack(size, outputs), last)
