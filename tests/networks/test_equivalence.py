"""Networks with equal shapes that are another function are told apart, and only those."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import nn

from raygan.networks.equivalence import described, said


class Own(nn.Module):
    """A user's layer, which says nothing of itself."""

    def __init__(self, power: float, act: Callable[[torch.Tensor], torch.Tensor]) -> None:
        super().__init__()
        self._power = power
        self.act = act

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """By its setting."""
        return self.act(x) * self._power


def net(layer: nn.Module) -> nn.Module:
    return nn.Sequential(nn.Linear(2, 2), layer)


@pytest.mark.parametrize(
    ("one", "other", "told"),
    [
        (nn.LeakyReLU(0.2), nn.LeakyReLU(0.9), "negative_slope of layer 1 (LeakyReLU) is 0.2, not"),
        (nn.Tanh(), nn.Identity(), "layer 1 is Tanh, not Identity"),
        (nn.MaxPool1d(2, 1), nn.MaxPool1d(2, 2), "stride of layer 1 (MaxPool1d) is 1, not 2"),
        (nn.Dropout(0.1), nn.Dropout(0.5), "p of layer 1 (Dropout) is 0.1, not 0.5"),
        (Own(1.0, torch.tanh), Own(2.0, torch.tanh), "_power of layer 1"),
        (Own(1.0, torch.tanh), Own(1.0, torch.relu), "is torch.tanh, not torch.relu"),
        (nn.ReLU().eval(), nn.ReLU(), "training of layer 1 (ReLU) is False, not None"),
        (
            nn.Linear(2, 2).requires_grad_(False),
            nn.Linear(2, 2),
            "requires_grad of weight of layer 1 (Linear) is False, not None",
        ),
    ],
)
def test_equal_shapes_of_another_function_are_told(
    one: nn.Module, other: nn.Module, told: str
) -> None:
    first, second = described(net(one)), described(net(other))
    assert first.signature == second.signature
    assert told in str(first.unlike(second))
    assert second.unlike(first) is not None
    assert first.unlike(described(net(one))) is None


def test_what_cannot_be_compared_is_named() -> None:
    assert described(net(Own(1.0, torch.tanh))).silent is None
    assert "layer 1" in str(described(net(Own(1.0, lambda x: 2 * x))).silent)
    hooked = net(nn.ReLU())
    hooked[1].register_forward_hook(lambda *_: None)  # type: ignore[index]
    assert described(hooked).silent == "layer 1 (ReLU)"
    # torch's own layers hold references to their tensors, and are known by their settings
    for layer in (nn.LSTM(2, 3), nn.TransformerEncoderLayer(4, 2), nn.BatchNorm1d(2)):
        assert described(layer).silent is None


def test_words_tell_a_setting_or_there_are_none() -> None:
    assert said({"a": (1, torch.relu)}) == "(('a', (1, torch.relu)))"
    assert said([torch.zeros(1)]) is None
    assert said(lambda x: x) is None
