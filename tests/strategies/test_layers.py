"""Several networks as one: whatever `fits` lets in comes out as from each network by itself."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import nn

from raygan.networks.base import Logits
from raygan.strategies.batching.fits import strange
from raygan.strategies.batching.stack import Stack

PICTURE = (2, 8, 8)
CHAINS: dict[str, tuple[Callable[[], list[nn.Module]], tuple[int, ...]]] = {
    "linear": (lambda: [nn.Linear(6, 5), nn.ReLU(), nn.Linear(5, 1), Logits()], (6,)),
    "norm between linear layers": (
        lambda: [nn.Linear(6, 4), nn.GroupNorm(2, 4), nn.LeakyReLU(0.2), nn.Linear(4, 1), Logits()],
        (6,),
    ),
    "convolutions, then linear": (
        lambda: [nn.Conv2d(2, 3, 4, 2, 1), nn.LeakyReLU(0.2), nn.Flatten(), nn.Linear(48, 1),
                 Logits()],
        PICTURE,
    ),
    "linear, then convolutions": (
        lambda: [nn.Linear(6, 48), nn.Unflatten(1, (3, 4, 4)), nn.BatchNorm2d(3),
                 nn.ConvTranspose2d(3, 2, 4, 2, 1)],
        (6,),
    ),
    "convolutions to logits": (lambda: [nn.Conv2d(2, 3, 8), nn.BatchNorm2d(3), nn.Conv2d(3, 1, 1),
                                        Logits()], PICTURE),
    "several logits": (lambda: [nn.Conv2d(2, 3, 8), nn.Conv2d(3, 5, 1), Logits(5)], PICTURE),
    "flat from the start": (lambda: [nn.Flatten(), nn.Linear(128, 1, bias=False), Logits()],
                            PICTURE),
}  # fmt: skip


@pytest.mark.parametrize("name", CHAINS)
def test_networks_at_once_are_each_network_by_itself(name: str) -> None:
    """Three pairs, four samples: no dimension can be taken for another one."""
    layers, shape = CHAINS[name]
    torch.manual_seed(0)
    networks = [nn.Sequential(*layers()) for _ in range(3)]
    assert [strange(n) for n in networks] == [None] * 3
    x = torch.randn(3, 4, *shape)
    alone = torch.stack([n(one) for n, one in zip(networks, x, strict=True)])
    at_once = Stack(networks)(x)
    assert at_once.shape == alone.shape
    assert torch.allclose(at_once, alone, atol=1e-5)


def test_a_frozen_call_leaves_no_gradient_in_the_networks() -> None:
    networks = [nn.Sequential(nn.Linear(2, 1), Logits()) for _ in range(2)]
    stack = Stack(networks)
    x = torch.randn(2, 4, 2, requires_grad=True)
    stack(x, frozen=True).sum().backward()
    assert x.grad is not None
    assert all(leaf.grad is None for leaf in stack.leaves)
