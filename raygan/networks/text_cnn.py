"""1-D residual networks for one-hot text (Gulrajani et al., 2017, appendix; SGAN's One Billion Word
experiment).
"""

from __future__ import annotations

from pydantic import Field
from torch import Tensor, nn

from raygan.errors import ConfigError
from raygan.networks.base import Logits, NetworkComponent
from raygan.networks.initial import Init


class TextCnn(NetworkComponent):
    """`blocks` residual blocks of two convolutions of width 5; G ends in a softmax over the
    characters.
    """

    channels: int = Field(128, gt=0, description="Of every hidden layer (paper: 512).")
    blocks: int = Field(4, gt=0, description="Residual blocks of each network.")
    z_dim: int = Field(128, gt=0, description="Length of the noise vector z.")

    @property
    def _init(self) -> Init:
        return "torch"

    def _generator(self, shape: tuple[int, ...]) -> nn.Module:
        characters, length = _text(shape)
        return self._sequential(
            nn.Linear(self.z_dim, self.channels * length),
            nn.Unflatten(1, (self.channels, length)),
            *[Residual(self.channels) for _ in range(self.blocks)],
            nn.Conv1d(self.channels, characters, 1),
            nn.Softmax(1),
        )

    def _discriminator(self, shape: tuple[int, ...], outputs: int = 1) -> nn.Module:
        characters, length = _text(shape)
        return self._sequential(
            nn.Conv1d(characters, self.channels, 1),
            *[Residual(self.channels) for _ in range(self.blocks)],
            nn.Flatten(),
            nn.Linear(self.channels * length, outputs),
            Logits(outputs),
        )


class Residual(nn.Module):
    """x + 0.3 f(x), f = ReLU, conv, ReLU, conv."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.ReLU(),
            nn.Conv1d(channels, channels, 5, padding=2),
            nn.ReLU(),
            nn.Conv1d(channels, channels, 5, padding=2),
        )

    def forward(self, x: Tensor) -> Tensor:
        """(N, channels, length) -> the same."""
        # 0.3: as in the authors' code; a deep stack begins near the identity
        out: Tensor = x + 0.3 * self.body(x)
        return out


def _text(shape: tuple[int, ...]) -> tuple[int, int]:
    if len(shape) != 2:
        raise ConfigError(
            "network.text_cnn: needs one-hot text (characters, length), not samples of shape"
            f" {shape}. Use --data lm1b."
        )
    return shape[0], shape[1]
