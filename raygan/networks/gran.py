"""GRAN, the recurrent adversarial network (Im, Kim, Jiang, Memisevic, 2016): a generator that
paints in several steps.

    h_z = tanh(W z)                h_c,0 = 0
    dC_t = f([h_z, h_c,t])         h_c,t+1 = g(C_t)
    C_t = C_t-1 + dC_t             x = tanh(C_T)

f is a DCGAN generator, g a DCGAN encoder. The discriminator is dcgan's, so GRANs and DCGANs can
swap theirs.
"""

from __future__ import annotations

import torch
from pydantic import Field
from torch import Tensor, nn

from raygan.networks.dcgan import Dcgan


class Gran(Dcgan):
    """dcgan's settings, and the number of painting steps."""

    time_steps: int = Field(3, gt=0, description="Times that the generator paints (T).")

    def _generator(self, shape: tuple[int, ...]) -> nn.Module:
        # the decoder takes [h_z, h_c]
        half = self.model_copy(update={"z_dim": 2 * self.z_dim})
        decoder = Dcgan._generator(half, shape)
        assert isinstance(decoder, nn.Sequential), "dcgan builds a Sequential"
        # without its own output: an encoder is a discriminator with z_dim numbers in the place of a
        # logit
        encoder = self._discriminator(shape, self.z_dim)
        return Painter(self.z_dim, self.time_steps, decoder[:-1], encoder)


class Painter(nn.Module):
    """z (N, z_dim) -> (N, *shape)."""

    def __init__(self, z_dim: int, time_steps: int, decoder: nn.Module, encoder: nn.Module) -> None:
        super().__init__()
        self.time_steps = time_steps
        self.embed = nn.Linear(z_dim, z_dim)
        self.decoder = decoder
        self.encoder = encoder

    def forward(self, z: Tensor) -> Tensor:
        """Paint `time_steps` times on one canvas."""
        h_z = torch.tanh(self.embed(z))
        h_c = torch.zeros_like(h_z)
        canvas = self.decoder(torch.cat([h_z, h_c], 1))
        for _ in range(self.time_steps - 1):
            # the encoder sees a picture, and the canvas is unbounded until the end
            h_c = torch.tanh(self.encoder(torch.tanh(canvas)))
            canvas = canvas + self.decoder(torch.cat([h_z, h_c], 1))
        return torch.tanh(canvas)
