"""The multilayer perceptron of the papers' toy experiments (SGAN, appendix A.1: 4 layers of 512,
LeakyReLU 0.01).
"""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from raygan.networks.base import Logits, NetworkComponent
from raygan.networks.initial import DRAWN, Drawn, Init


class Mlp(NetworkComponent):
    """G and D alike: `layers` fully connected layers, samples of any shape."""

    hidden: int = Field(512, gt=0, description="Units of each hidden layer.")
    layers: int = Field(4, ge=2, description="Fully connected layers, the last one included.")
    slope: float = Field(0.01, ge=0, description="LeakyReLU's negative slope.")
    output: Literal["auto", "linear", "tanh"] = Field(
        "auto", description="Of G; auto = tanh for images."
    )
    fourier: int = Field(
        0,
        ge=0,
        description=(
            "Random Fourier features of points that D sees beside them, a sine and a cosine each"
            " (Tancik et al., 2020); 0 = none."
        ),
    )
    fourier_scale: float = Field(
        8.0,
        gt=0,
        description="Std of their frequencies, in waves a unit of the data.",
    )
    init: Drawn = Field("torch", description=DRAWN)

    @property
    def _init(self) -> Init:
        return self.init

    def _body(self, inputs: int, outputs: int) -> list[nn.Module]:
        # counted as the papers do: the last linear layer is one of `layers`
        widths = [inputs] + [self.hidden] * (self.layers - 1)
        body: list[nn.Module] = []
        for a, b in pairwise(widths):
            body += [nn.Linear(a, b), nn.LeakyReLU(self.slope)]
        return [*body, nn.Linear(widths[-1], outputs)]

    def _generator(self, shape: tuple[int, ...]) -> nn.Module:
        body = self._body(self.z_dim, math.prod(shape))
        # pictures live in -1..1, points anywhere
        if self.output == "tanh" or (self.output == "auto" and len(shape) == 3):
            body.append(nn.Tanh())
        return self._sequential(*body, nn.Unflatten(1, shape))

    def _discriminator(self, shape: tuple[int, ...], outputs: int = 1) -> nn.Module:
        inputs = math.prod(shape)
        seen = [Fourier(inputs, self.fourier, self.fourier_scale)] if self.fourier else []
        body = self._body(inputs + 2 * self.fourier, outputs)
        return self._sequential(nn.Flatten(), *seen, *body, Logits(outputs))


class Fourier(nn.Module):
    """x (N, inputs) -> (x, sin(2 pi x B), cos(2 pi x B)), (N, inputs + 2 count); B ~ N(0, scale^2),
    fixed.

    An MLP learns coarse things first and hardly ever the width of a mode of .01 (Tancik et al.,
    2020, section 4); these make fine distances large. B is a buffer: it goes where D goes.
    """

    frequencies: Tensor

    def __init__(self, inputs: int, count: int, scale: float) -> None:
        super().__init__()
        # a buffer, not a parameter: drawn once, published and swapped with D, trained by nobody
        self.register_buffer("frequencies", 2 * math.pi * scale * torch.randn(inputs, count))

    def forward(self, x: Tensor) -> Tensor:
        """The points and their features."""
        return features(x, self.frequencies)

    def extra_repr(self) -> str:
        """The shape of the frequencies, as torch prints it."""
        return "{}, {}".format(*self.frequencies.shape)


def features(x: Tensor, frequencies: Tensor) -> Tensor:
    """Points (..., N, inputs), frequencies (..., inputs, count): (..., N, inputs + 2 count)."""
    angle = x @ frequencies
    return torch.cat([x, angle.sin(), angle.cos()], -1)
