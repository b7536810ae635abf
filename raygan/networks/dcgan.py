"""DCGAN (Radford, Metz, Chintala, 2015) for 28, 32 and 64 pixels, 1 or 3 channels.

28 pixels take four transposed convolutions instead of five (SGAN, appendix B.1): 1 -> 4 -> 7 -> 14
-> 28.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Literal

from pydantic import Field
from torch import nn

from raygan.errors import ConfigError
from raygan.networks.base import Logits, NetworkComponent
from raygan.networks.initial import DRAWN, Drawn, Init

Norm = Literal["batch", "layer", "none"]
SIDES = {28: (4, 7, 14, 28), 32: (4, 8, 16, 32), 64: (4, 8, 16, 32, 64)}
"""Side length after each layer of G."""


class Dcgan(NetworkComponent):
    """Strided convolutions, batch norm (torch momentum 0.1); the paper's weights are N(0, 0.02)."""

    width: int = Field(
        32, gt=0, description="Channels of G next to the pixels; doubles with each layer inwards."
    )
    width_d: int | None = Field(None, gt=0, description="The same for D; None = width.")
    slope: float = Field(0.2, ge=0, description="LeakyReLU's negative slope in D.")
    norm_g: Norm = Field("batch", description="Between G's layers.")
    norm_d: Norm = Field(
        "batch", description="Between D's layers; layer or none for gradient penalties."
    )

    init: Drawn = Field("normal", description=DRAWN)

    @property
    def _init(self) -> Init:
        return self.init

    def _generator(self, shape: tuple[int, ...]) -> nn.Module:
        sides, channels = _plan(shape)
        # from the code z to the pixels: channels halve as sides double
        widths = [self.width * 2**i for i in reversed(range(len(sides) - 1))]
        body: list[nn.Module] = [
            nn.Unflatten(1, (self.z_dim, 1, 1)),
            # no bias before a norm, which takes it out again
            nn.ConvTranspose2d(self.z_dim, widths[0], 4, bias=self.norm_g == "none"),
            *_norm(self.norm_g, widths[0], sides[0]),
            nn.ReLU(),
        ]
        for (a, b), (side, after) in zip(pairwise(widths), pairwise(sides), strict=False):
            kernel = 4 if after == 2 * side else 3  # 4 -> 7 needs a kernel of 3
            body += [
                nn.ConvTranspose2d(a, b, kernel, stride=2, padding=1, bias=self.norm_g == "none"),
                *_norm(self.norm_g, b, after),
                nn.ReLU(),
            ]
        return self._sequential(
            *body, nn.ConvTranspose2d(widths[-1], channels, 4, stride=2, padding=1), nn.Tanh()
        )

    def _discriminator(self, shape: tuple[int, ...], outputs: int = 1) -> nn.Module:
        sides, channels = _plan(shape)
        width = self.width_d or self.width
        widths = [channels] + [width * 2**i for i in range(len(sides) - 1)]
        body: list[nn.Module] = []
        for i, ((a, b), (side, after)) in enumerate(
            zip(pairwise(widths), pairwise(sides[::-1]), strict=True)
        ):
            kernel = 4 if side == 2 * after else 3
            # not next to the pixels: there it made samples oscillate (Radford et al., 2015,
            # section 3)
            normed = i > 0 and self.norm_d != "none"
            body.append(nn.Conv2d(a, b, kernel, stride=2, padding=1, bias=not normed))
            if normed:
                body += _norm(self.norm_d, b, after)
            body.append(nn.LeakyReLU(self.slope))
        return self._sequential(*body, nn.Conv2d(widths[-1], outputs, 4), Logits(outputs))


def _plan(shape: tuple[int, ...]) -> tuple[tuple[int, ...], int]:
    """(sides of G's layers, channels) for images of this shape."""
    if len(shape) != 3 or shape[1] != shape[2] or shape[1] not in SIDES:
        raise ConfigError(
            f"network.dcgan: cannot make samples of shape {shape}; it makes squares of 28, 32 or 64"
            " pixels. Choose another data set, or network mlp."
        )
    return SIDES[shape[1]], shape[0]


def _norm(norm: Norm, channels: int, side: int) -> list[nn.Module]:
    if norm == "batch":
        return [nn.BatchNorm2d(channels, momentum=0.1)]
    # one group over (C, H, W) is layer norm
    return [nn.GroupNorm(1, channels)] if norm == "layer" else []
