"""What networks share: settings, and initialisation from a given random stream."""

from __future__ import annotations

import math
import random
from abc import abstractmethod
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Literal, cast

import numpy as np
import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn.parameter import is_lazy
from torch.nn.utils import parametrize

from raygan.config import Component
from raygan.errors import ConfigError
from raygan.gan.device import accelerator
from raygan.gan.weights import duplicate

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


class NetworkComponent(Component):
    """Builds generators z (N, z_dim) -> (N, *shape) and discriminators (N, *shape) -> logits (N,),
    or (N, judges).
    """

    z_dim: int = Field(100, gt=0, description="Length of the noise vector z.")
    judges: int = Field(
        1, gt=0, description="Discriminators side by side in D; losses gman and d2gan want several."
    )
    precision: Literal["float32", "bfloat16"] = Field(
        "float32",
        description="bfloat16: layers compute in it where autocast allows; weights stay float32.",
    )
    channels_last: bool = Field(
        False, description="Images as (N, H, W, C) in memory between the layers."
    )

    @abstractmethod
    def _generator(self, shape: tuple[int, ...]) -> nn.Module: ...

    @abstractmethod
    def _discriminator(self, shape: tuple[int, ...], outputs: int = 1) -> nn.Module: ...

    @property
    @abstractmethod
    def _init(self) -> Init: ...

    def _sequential(self, *layers: nn.Module) -> nn.Sequential:
        """The layers one after the other, in the configured precision and layout."""
        if self.precision == "float32" and not self.channels_last:
            return nn.Sequential(*layers)
        return Tuned(*layers).tuned(self.precision == "bfloat16", self.channels_last)

    def generator(self, shape: tuple[int, ...], stream: torch.Generator) -> nn.Module:
        """A new G; its weights depend on `stream` alone. Raises ConfigError for a shape that it
        cannot make.
        """
        return self._drawn(lambda: self._generator(shape), (self.z_dim,), stream)

    def discriminator(self, shape: tuple[int, ...], stream: torch.Generator) -> nn.Module:
        """A new D; its weights depend on `stream` alone. Raises ConfigError for a shape that it
        cannot take.
        """
        if self.judges == 1:
            return self._drawn(lambda: self._discriminator(shape), shape, stream)
        return self._drawn(
            lambda: Panel([self._discriminator(shape) for _ in range(self.judges)]), shape, stream
        )

    def classifier(
        self, shape: tuple[int, ...], classes: int, stream: torch.Generator
    ) -> nn.Module:
        """A network like D with logits (N, classes)."""
        made = self._drawn(lambda: self._discriminator(shape, classes), shape, stream)
        return nn.Sequential(made, nn.Unflatten(0, (-1, 1))) if classes == 1 else made

    def _drawn(
        self, make: Callable[[], nn.Module], sample: tuple[int, ...], stream: torch.Generator
    ) -> nn.Module:
        """The network that `make` makes for inputs (N, *sample), every number in it from `stream`.

        Raises ConfigError where a lazy layer is still without a shape.
        """
        with seeded(stream):
            network = make()
            if unused := materialise(network, sample):
                raise ConfigError(
                    f"network.{self.name}: {unused} has no shape after a first batch, since no"
                    " input reaches it. Use it in forward(), or give it its sizes."
                )
            return initialise(network, self._init, stream)


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
        modes = [(layer, layer.training) for layer in network.modules()]
        network.eval()
        with torch.no_grad():
            network(torch.zeros(2, *sample))
        # each as it was: a frozen part may have been put in eval mode by its author
        for layer, training in modes:
            layer.training = training
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


class Tuned(nn.Sequential):
    """A Sequential that computes in bfloat16, with channels last, or both.

    Parameters keep their names, float32 and their layout, and float32 comes out: it can be
    exchanged with one that is not tuned.
    """

    in_bfloat16 = False
    channels_last = False

    def tuned(self, in_bfloat16: bool, channels_last: bool) -> Tuned:
        """Itself, with the switches set."""
        self.in_bfloat16, self.channels_last = in_bfloat16, channels_last
        return self

    def __getitem__(self, index: slice | int) -> Any:
        """A slice computes as the whole does."""
        found = super().__getitem__(index)
        return (
            found.tuned(self.in_bfloat16, self.channels_last) if isinstance(found, Tuned) else found
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """As Sequential."""
        with torch.autocast(x.device.type, torch.bfloat16, enabled=self.in_bfloat16):
            # layer by layer: a convolution keeps the layout that it is given, a reshape does not
            for layer in self:
                if self.channels_last and x.dim() == 4:
                    x = x.contiguous(memory_format=torch.channels_last)
                x = layer(x)
        # losses and penalties are computed in float32
        return x.float()


def untuned(network: nn.Module) -> nn.Module:
    """A copy with the same weights that computes in float32."""
    out = duplicate(network)
    for part in out.modules():
        if isinstance(part, Tuned):
            part.tuned(False, False)
    return out


class Logits(nn.Module):
    """Ends a discriminator, (N, 1, ...) -> (N,), or a classifier, (N, K, ...) -> (N, K)."""

    def __init__(self, outputs: int = 1) -> None:
        super().__init__()
        self.outputs = outputs

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Drop the dimensions of size one."""
        return x.flatten() if self.outputs == 1 else x.flatten(1)


class Panel(nn.Module):
    """Several discriminators that share nothing, as one: (N, *shape) -> logits (N, judges)."""

    def __init__(self, judges: list[nn.Module]) -> None:
        super().__init__()
        self.judges = nn.ModuleList(judges)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Everybody's logits, a column each."""
        return torch.stack([judge(x) for judge in self.judges], 1)


def has_batch_norm(*networks: nn.Module) -> bool:
    """Does what one of them says of a sample hang on the rest of its batch?"""
    return any(isinstance(m, BATCH_NORMS) for n in networks for m in n.modules())
