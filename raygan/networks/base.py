"""What networks share: settings, and initialisation from a given random stream."""

from __future__ import annotations

import math
from abc import abstractmethod
from typing import Literal

import torch
from pydantic import Field
from torch import nn

from raygan.config import Component

Init = Literal["torch", "normal"]


class NetworkComponent(Component):
    """Builds generators z (N, z_dim) -> (N, *shape) and discriminators (N, *shape) -> logits (N,), or (N, judges)."""

    z_dim: int = Field(100, gt=0, description="Length of the noise vector z.")
    judges: int = Field(1, gt=0, description="Discriminators side by side in D; losses gman and d2gan want several.")

    @abstractmethod
    def _generator(self, shape: tuple[int, ...]) -> nn.Module: ...

    @abstractmethod
    def _discriminator(self, shape: tuple[int, ...], outputs: int = 1) -> nn.Module: ...

    @property
    @abstractmethod
    def _init(self) -> Init: ...

    def generator(self, shape: tuple[int, ...], stream: torch.Generator) -> nn.Module:
        """A new G; its weights depend on `stream` alone. Raises ConfigError for a shape that it cannot make."""
        with torch.random.fork_rng(devices=[]):
            return initialise(self._generator(shape), self._init, stream)

    def discriminator(self, shape: tuple[int, ...], stream: torch.Generator) -> nn.Module:
        """A new D; its weights depend on `stream` alone. Raises ConfigError for a shape that it cannot take."""
        with torch.random.fork_rng(devices=[]):
            if self.judges > 1:
                return initialise(Panel([self._discriminator(shape) for _ in range(self.judges)]), self._init, stream)
            return initialise(self._discriminator(shape), self._init, stream)

    def classifier(self, shape: tuple[int, ...], classes: int, stream: torch.Generator) -> nn.Module:
        """A network like D with logits (N, classes)."""
        with torch.random.fork_rng(devices=[]):
            return initialise(self._discriminator(shape, classes), self._init, stream)


def initialise(network: nn.Module, init: Init, stream: torch.Generator) -> nn.Module:
    """Draw all weights anew.

    "normal": N(0, 0.02), biases 0, batch norm's scale N(1, 0.02) (DCGAN; training pitfalls).
    "torch": PyTorch's own, uniform within 1/sqrt(fan in).
    """
    with torch.no_grad():
        for layer in network.modules():
            if isinstance(layer, nn.Linear | nn.Conv1d | nn.Conv2d | nn.ConvTranspose2d):
                bound = 1 / math.sqrt(layer.weight[0].numel())
                if init == "normal":
                    layer.weight.normal_(0, 0.02, generator=stream)
                else:
                    layer.weight.uniform_(-bound, bound, generator=stream)
                if layer.bias is not None:
                    if init == "normal":
                        layer.bias.zero_()
                    else:
                        layer.bias.uniform_(-bound, bound, generator=stream)
            elif isinstance(layer, nn.BatchNorm1d | nn.BatchNorm2d) and init == "normal":
                layer.weight.normal_(1, 0.02, generator=stream)
                layer.bias.zero_()
    return network


class Logits(nn.Module):
    """Ends a discriminator, (N, 1, ...) -> (N,), or a classifier, (N, K, ...) -> (N, K)."""

    def __init__(self, outputs: int = 1) -> None:
        super().__init__()
        self.outputs = outputs

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Drop the dimensions of size one."""
        return x.flatten() if self.outputs == 1 else x.flatten(1)


class Panel(nn.Module):
    """Several discriminators that share nothing, as one: (N, *shape) -> logits (N, judges)."""

    def __init__(self, judges: list[nn.Module]) -> None:
        super().__init__()
        self.judges = nn.ModuleList(judges)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Everybody's logits, a column each."""
        return torch.stack([judge(x) for judge in self.judges], 1)
