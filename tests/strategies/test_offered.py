"""What a generator has on offer when a run stops is drawn again to the same bits, whatever its
layers draw, and whatever they keep in buffers.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils import parametrizations

from raygan.controller.inline import InlineExecutor
from raygan.gan.offered import Offered
from raygan.networks.mlp import Mlp
from raygan.service.verify import compare, final_states
from tests.conftest import setup_of, tiny_config


class Noisy(nn.Module):
    """StyleGAN's."""

    def forward(self, x: Tensor) -> Tensor:
        """With numbers that are drawn."""
        return x + 0.3 * torch.randn_like(x)


class Remembers(nn.Module):
    """Adds the mean of the batch before; its buffer is another tensor after each."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("last", torch.zeros(1))

    def forward(self, x: Tensor) -> Tensor:
        """Of this batch, for the next."""
        out: Tensor = x + self.last
        self.last = x.detach().mean().reshape(1)
        return out


LAYERS: dict[str, Callable[[nn.Module], list[nn.Module]]] = {
    "noise": lambda linear: [linear, Noisy()],
    "spectral norm": lambda linear: [parametrizations.spectral_norm(linear)],
    "a buffer of its own": lambda linear: [linear, Remembers()],
}
STRATEGIES = [
    {"name": "federated"},
    {"name": "pmgan"},
    {"name": "pmgan", "feedback": "gradients"},
    {"name": "sgan", "over": {"name": "pmgan"}},
]


@pytest.mark.parametrize("layers", LAYERS)
@pytest.mark.parametrize("strategy", STRATEGIES, ids=str)
def test_a_run_is_resumed_exactly(
    strategy: dict[str, Any], layers: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = Mlp._generator

    def changed(self: Mlp, *args: Any) -> nn.Module:
        network = plain(self, *args)
        assert isinstance(network, nn.Sequential)
        first, second = LAYERS[layers](network[0]), LAYERS[layers](network[2])
        return nn.Sequential(*first, network[1], *second, *network[3:])

    monkeypatch.setattr(Mlp, "_generator", changed)
    loss = {"name": "non_saturating", "d_steps": 2}
    config = tiny_config(strategy=strategy, loss=loss, steps=6, batch_size=8)
    setup, memory = setup_of(config), dict[str, Any]()
    whole = final_states(config, lambda: InlineExecutor(setup))
    stopped = final_states(config, lambda: InlineExecutor(setup), stop_at=3, memory=memory)
    resumed = final_states(config, lambda: InlineExecutor(setup), states=stopped, memory=memory)
    assert (result := compare("resumed", whole, resumed)).ok, result.text


def test_a_state_of_an_earlier_release_moves_no_buffer_twice() -> None:
    """It has none from before the draw: what is there now is drawn from, and stays."""
    g = nn.Sequential(nn.Linear(2, 2), Remembers())
    g(torch.zeros(3, 2))
    held, offered = g[1].last, Offered(g)
    offered.restore({"step": 5})
    draw = offered.draw()
    first, second = draw(torch.ones(3, 2)), draw(torch.ones(3, 2))
    assert (first != second).any(), "batches of one offer follow each other"
    assert g[1].last is held
    offered.draw()(torch.ones(3, 2))
    assert g[1].last is not held
