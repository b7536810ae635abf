"""The numbers of a new network: each from a given random stream, whatever layers it has."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Literal, cast

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy
from torch.nn.utils import parametrize

from raygan.gan.device import accelerator
from raygan.gan.modes import evaluated

Init = Literal["torch", "normal", "he", "own"]
"""own: as the network's constructor has drawn them."""
Drawn = Literal["torch", "normal", "he"]
"""What a network's setting `init` can choose."""
DRAWN = (
    "Weights at step 0; torch: uniform within 1/sqrt(fan in), normal: N(0, 0.02), he: N(0, 2 / fan"
    " in), for nets without norm."
)
WEIGHTED = (
    nn.Linear,
    nn.Conv1d,
    nn.Conv2d,
    nn.Conv3d,
    nn.ConvTranspose1d,
    nn.ConvTranspose2d,
    nn.ConvTranspose3d,
)
"""Layers whose weights `initialise` draws by the rule of `Init`."""
BATCH_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)
LOOKS = 15
"""Power iterations on a new weight, one a look at it: torch's spectral_norm begins with as many."""


@contextmanager
def seeded(stream: torch.Generator) -> Iterator[None]:
    """Within this block torch, numpy and Python's `random` draw numbers that depend on `stream`
    alone.

    Afterwards their states are again what they were; the stream does not move.
    """
    own = stream.clone_state()
    # not the stream's own sequence: a layer drawn here and one drawn from it would be copies
    seed = int(torch.randint(2**63 - 1, (), generator=own, device=own.device))
    kind = accelerator()
    devices = range(torch.accelerator.device_count()) if kind else ()
    of_python, of_numpy = random.getstate(), np.random.get_state()
    try:
        with torch.random.fork_rng(devices=devices, device_type=kind or "cpu"):
            torch.manual_seed(seed)
            np.random.seed(seed % 2**32)
            random.seed(seed)
            yield
    finally:
        random.setstate(of_python)
        np.random.set_state(of_numpy)


def materialise(network: nn.Module, sample: tuple[int, ...]) -> str | None:
    """Give lazy layers their shapes, by zeros (2, *sample) in eval mode, which moves no buffer.

    Returns the name of a tensor that is still without one, or None.
    """
    held = [*network.parameters(), *network.buffers()]
    # one forward gives them their shapes; two samples, since batch norm refuses one
    if any(is_lazy(t) for t in held):
        with torch.no_grad(), evaluated(network):
            network(torch.zeros(2, *sample))
    named = [*network.named_parameters(), *network.named_buffers()]
    return next((name for name, t in named if is_lazy(t)), None)


def initialise(network: nn.Module, init: Init, stream: torch.Generator) -> nn.Module:
    """Draw the weights of linear layers, convolutions and batch norm anew.

    All else stays as its constructor drew it.
    "normal": N(0, 0.02), biases 0, batch norm's scale N(1, 0.02) (DCGAN; training pitfalls).
    "he": N(0, 2 / fan in), biases 0 (He et al., 2015, eq. 10): signals keep their size through
    ReLUs without norm layers. "torch": PyTorch's own, uniform within 1/sqrt(fan in). "own": nothing
    is drawn anew.
    """

    def normal(mean: float, std: float = 0.02) -> Callable[[Tensor], Tensor]:
        return lambda t: t.normal_(mean, std, generator=stream)

    def uniform(bound: float) -> Callable[[Tensor], Tensor]:
        return lambda t: t.uniform_(-bound, bound, generator=stream)

    with torch.no_grad():
        for layer in network.modules() if init != "own" else ():
            if isinstance(layer, WEIGHTED):
                # PyTorch's own rule, drawn by our stream: kaiming_uniform_ with a = sqrt(5) is just
                # this bound
                torchs = uniform(1 / math.sqrt(layer.weight[0].numel()))
                gaussian = (
                    normal(0) if init == "normal" else normal(0, math.sqrt(2 / _fan_in(layer)))
                )
                _draw(layer, "weight", torchs if init == "torch" else gaussian)
                _draw(layer, "bias", torchs if init == "torch" else Tensor.zero_)
            # all other rules leave them at 1 and 0, as they are made
            elif isinstance(layer, BATCH_NORMS) and init == "normal":
                _draw(layer, "weight", normal(1))
                _draw(layer, "bias", Tensor.zero_)
    return network


def _fan_in(layer: nn.Module) -> float:
    """Inputs that one output hears: of a transposed convolution a kernel's share by its stride."""
    weight = cast(Tensor, layer.weight)
    stride = (
        math.prod(cast(tuple[int, ...], layer.stride)) if getattr(layer, "transposed", False) else 0
    )
    return weight.shape[0] * weight[0, 0].numel() / stride if stride else weight[0].numel()


def _draw(layer: nn.Module, name: str, draw: Callable[[Tensor], Tensor]) -> None:
    """Draw one of a layer's tensors, where it has it, or what that is computed from.

    That is: by spectral norm, weight norm, pruning. Where it cannot be told from a value (a
    parametrization without an inverse), it stays as its constructor drew it.
    """
    own = dict(layer.named_parameters(recurse=False))
    # _orig: torch's hooks of spectral norm and of pruning
    held = own.get(name, own.get(f"{name}_orig"))
    if held is not None:
        draw(held)
    elif parametrize.is_parametrized(layer, name):
        steps = cast(nn.ModuleList, cast(nn.ModuleDict, layer.parametrizations)[name])
        if all(hasattr(step, "right_inverse") for step in steps):
            setattr(layer, name, draw(torch.empty_like(getattr(layer, name))))
            # spectral norm estimates by power iteration, a round a look: a new weight needs as many
            # as at the start
            for _ in range(LOOKS):
                getattr(layer, name)
    elif (
        f"{name}_v" in own
    ):  # torch's hook of weight norm: w = g v / |v|, a norm for each number in g
        v, g = draw(own[f"{name}_v"]), own[f"{name}_g"]
        others = (
            [i for i in range(v.dim()) if g.shape[i] == 1]
            if g.dim() == v.dim()
            else list(range(v.dim()))
        )
        g.copy_(torch.linalg.vector_norm(v, dim=others, keepdim=g.dim() > 0))
