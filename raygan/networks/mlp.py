"""The multilayer perceptron of the papers' toy experiments (SGAN, appendix A.1: 4 layers of 512,
LeakyReLU 0.01).
"""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Literal

from pydantic import Field
from torch import nn

from raygan.networks.base import DRAWN, Drawn, Init, Logits, NetworkComponent


class Mlp(NetworkComponent):
    """G and D alike: `layers` fully connected layers, samples of any shape."""

    hidden: int = Field(512, gt=0, description="Units of each hidden layer.")
    layers: int = Field(4, ge=2, description="Fully connected layers, the last one included.")
    slope: float = Field(0.01, ge=0, description="LeakyReLU's negative slope.")
    output: Literal["auto", "linear", "tanh"] = Field(
        "auto", description="Of G; auto = tanh for images."
    )
    init: Drawn = Field("torch", description=DRAWN)

    @property
    def _init(self) -> Init:
        return self.init

    def _body(self, inputs: int, outputs: int) -> list[nn.Module]:
        widths = [inputs] + [self.hidden] * (self.layers - 1)
        body: list[nn.Module] = []
        for a, b in pairwise(widths):
            body += [nn.Linear(a, b), nn.LeakyReLU(self.slope)]
        return [*body, nn.Linear(widths[-1], outputs)]

    def _generator(self, shape: tuple[int, ...]) -> nn.Module:
        body = self._body(self.z_dim, math.prod(shape))
        if self.output == "tanh" or (self.output == "auto" and len(shape) == 3):
            body.append(nn.Tanh())
        return self._sequential(*body, nn.Unflatten(1, shape))

    def _discriminator(self, shape: tuple[int, ...], outputs: int = 1) -> nn.Module:
        return self._sequential(
            nn.Flatten(), *self._body(math.prod(shape), outputs), Logits(outputs)
        )
