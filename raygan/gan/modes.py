"""Which of a network's layers train: its author may have frozen some by `.eval()`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from torch import nn


@contextmanager
def evaluated(network: nn.Module) -> Iterator[None]:
    """Within it the network is in eval mode; afterwards each layer is in its mode of before."""
    modes = [(layer, layer.training) for layer in network.modules()]
    network.eval()
    try:
        yield
    finally:
        for layer, training in modes:
            layer.training = training


def train_like(network: nn.Module, built: nn.Module) -> None:
    """Put each layer into the mode of its like in a network that was just built."""
    for layer, other in zip(network.modules(), built.modules(), strict=True):
        layer.training = other.training
