"""Checks of a network."""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import Tensor, nn

from raygan.gan.random_streams import Streams
from raygan.gan.types import shape_of
from raygan.networks.base import NetworkComponent
from raygan.testing.needs import COUNT, need, part_of


def check_network(network: Any, shape: tuple[int, ...] = (2,)) -> None:
    """Shapes, weights from the stream alone, a state dict's round trip, a copy, finite gradients;
    samples are (N, *shape).
    """
    network = part_of("network", network)
    g, d = _built(network, shape, 0)
    z = torch.randn(COUNT, network.z_dim, generator=torch.Generator().manual_seed(1))
    fake = g(z)
    need(isinstance(fake, Tensor) and fake.shape == (COUNT, *shape), network,
          f"G gives {shape_of(fake)} for {COUNT} samples of shape {shape}",
          f"Let it end in {(COUNT, *shape)}.")  # fmt: skip
    logits, wanted = d(fake), (COUNT,) if network.judges == 1 else (COUNT, network.judges)
    need(isinstance(logits, Tensor) and logits.shape == wanted, network,
          f"D gives {shape_of(logits)} for {COUNT} samples; logits {wanted} are needed",
          "End it with raygan.networks.base.Logits.")  # fmt: skip
    logits.mean().backward()
    for what, net, other, again in zip(
        "GD", (g, d), _built(network, shape, 1), _built(network, shape, 0), strict=True
    ):
        _check_weights(network, what, net, other, again)
        bad = [
            n
            for n, p in net.named_parameters()
            if p.grad is not None and not torch.isfinite(p.grad).all()
        ]
        need(
            not bad,
            network,
            f"{what}: the gradient of {bad[:1]} is NaN or infinite",
            "Mend its forward.",
        )
        need(any(p.grad is not None for p in net.parameters()), network,
              f"{what}: no gradient reaches it", "Do not detach within forward.")  # fmt: skip
    need(network.classifier(shape, 3, _stream("c"))(fake.detach()).shape == (COUNT, 3), network,
          "classifier of 3 classes does not give (N, 3)",
          "Let _discriminator use `outputs`.")  # fmt: skip


def _stream(purpose: str, seed: int = 0) -> torch.Generator:
    return Streams(seed, "testing").at(purpose, device="cpu")


def _built(
    network: NetworkComponent, shape: tuple[int, ...], seed: int
) -> tuple[nn.Module, nn.Module]:
    """G and D; the process's global random state is another one each time."""
    # Whoever draws from the global state by mistake gets other weights the second time, and is
    # found.
    torch.rand(1)
    return network.generator(shape, _stream("g", seed)), network.discriminator(
        shape, _stream("d", seed)
    )


def _check_weights(
    network: NetworkComponent, what: str, net: nn.Module, other: nn.Module, again: nn.Module
) -> None:
    fresh, first = again.state_dict(), net.state_dict()
    for name, p in net.named_parameters():
        need(torch.equal(p, again.get_parameter(name)), network,
              f"{what}: {name} differs for the same stream",
              "Draw it from nothing but `stream`.")  # fmt: skip
        random = p.numel() > 1 and p.unique().numel() > 1
        need(not random or not torch.equal(p, other.get_parameter(name)), network,
              f"{what}: {name} is the same for another stream, so independent pairs begin alike",
              "Draw it from `stream`.")  # fmt: skip
    other.load_state_dict(first)
    twin = copy.deepcopy(net)
    for how, found in (("load_state_dict", other), ("a copy", twin)):
        same = all(torch.equal(v, found.state_dict()[k]) for k, v in first.items())
        need(
            same,
            network,
            f"{what}: {how} does not give the same weights",
            "Keep weights as parameters or buffers.",
        )
    need(
        first.keys() == fresh.keys(),
        network,
        f"{what}: built twice it has other weights",
        "Build it alike each time.",
    )
