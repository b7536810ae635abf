"""What networks share: settings, ways to compute, and ends. How they begin is `initial.py`'s."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Callable
from typing import Any, Literal

import torch
from pydantic import Field
from torch import nn

from raygan.config import Component
from raygan.errors import ConfigError
from raygan.gan.random_streams import draw_watch
from raygan.gan.weights import duplicate
from raygan.networks.initial import BATCH_NORMS, initialise, materialise, seeded
from raygan.networks.initial import Init as Init  # own networks import it from here
from raygan.own.calling import calling
from raygan.own.names import label


class NetworkComponent(Component):
    """Builds generators z (N, z_dim) -> (N, *shape) and discriminators (N, *shape) -> logits (N,),
    or (N, judges).
    """

    z_dim: int = Field(100, gt=0, description="Length of the noise vector z.")
    categories: int = Field(
        0,
        ge=0,
        description=(
            "Kinds that G is told by: the largest of the first so many of z's numbers chooses one,"
            " each as often, so that modes need no bridge between them; 0 = none."
        ),
    )
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
        if self.categories == 1 or self.categories > self.z_dim:
            raise ConfigError(
                f"network.categories: {self.categories}, and z has {self.z_dim} numbers"
                " (network.z_dim). Choose 0, or from 2 to as many."
            )
        return self._drawn("generator", lambda: self._told(shape), (self.z_dim,), stream)

    def _told(self, shape: tuple[int, ...]) -> nn.Module:
        made = self._generator(shape)
        if not self.categories:
            return made
        first = Category(self.categories)
        if type(made) is nn.Sequential:
            return nn.Sequential(first, *made)
        if isinstance(made, Tuned):
            return Tuned(first, *made).tuned(made.in_bfloat16, made.channels_last)
        return nn.Sequential(first, made)

    def discriminator(self, shape: tuple[int, ...], stream: torch.Generator) -> nn.Module:
        """A new D; its weights depend on `stream` alone. Raises ConfigError for a shape that it
        cannot take.
        """
        if self.judges == 1:
            return self._drawn("discriminator", lambda: self._discriminator(shape), shape, stream)
        return self._drawn(
            "discriminator",
            lambda: Panel([self._discriminator(shape) for _ in range(self.judges)]),
            shape,
            stream,
        )

    def classifier(
        self, shape: tuple[int, ...], classes: int, stream: torch.Generator
    ) -> nn.Module:
        """A network like D with logits (N, classes)."""
        made = self._drawn(
            "discriminator", lambda: self._discriminator(shape, classes), shape, stream
        )
        return nn.Sequential(made, nn.Unflatten(0, (-1, 1))) if classes == 1 else made

    def _drawn(
        self,
        what: str,
        make: Callable[[], nn.Module],
        sample: tuple[int, ...],
        stream: torch.Generator,
    ) -> nn.Module:
        """The network that `make` makes for inputs (N, *sample), every number in it from `stream`.

        Raises ConfigError where a user's own raises, has nothing to train, or a lazy layer is still
        without a shape.
        """
        with seeded(stream):
            with calling("network", self.name, f"the {what}"):
                network = make()
            # a built-in one has some: of a user's, before an optimizer complains
            if next(network.parameters(), None) is None:
                raise ConfigError(
                    f"network {label(self.name)}: the {what} has no parameters, and nothing to"
                    " train. Give it a layer (as an attribute, not in a list)."
                )
            with calling("network", self.name, f"the {what}'s first batch"):
                unused = materialise(network, sample)
            if unused:
                raise ConfigError(
                    f"network.{self.name}: {unused} has no shape after a first batch, since no"
                    " input reaches it. Use it in forward(), or give it its sizes."
                )
            return initialise(network, self._init, stream)


class Category(nn.Module):
    """z (..., z_dim) ~ N(0, I) -> the same, with one of `count` categories in the place of its
    first numbers: sqrt(count) where the largest of them is, 0 elsewhere.

    Discrete and continuous noise as of ClusterGAN (Mukherjee et al., AAAI 2019, section 2). A
    continuous G maps all of N(0, I) to one piece, and what lies between two modes is sampled too
    (Khayatkhoei et al., NeurIPS 2018). From normal numbers, since so z stays what it is for all
    that draw it, keep it or turn it; by the largest, since each is that as often.
    """

    def __init__(self, count: int) -> None:
        super().__init__()
        self.count = count

    def forward(self, z: torch.Tensor) -> torch.Tensor:
        """No gradient reaches the numbers that choose."""
        kinds, rest = z[..., : self.count], z[..., self.count :]
        chosen = (kinds == kinds.amax(-1, keepdim=True)).to(z.dtype) * math.sqrt(self.count)
        return torch.cat([chosen, rest], -1)

    def extra_repr(self) -> str:
        """The number of categories, as torch prints it."""
        return str(self.count)


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
        """As torch's Sequential, in bfloat16 where that was asked for."""
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


def odds(logits: torch.Tensor) -> torch.Tensor:
    """(N,) of a D's logits (N,); of several discriminators (N, judges): the logit of their mean
    odds.
    """
    # By logsumexp: the odds themselves overflow where a D is sure.
    return logits if logits.dim() == 1 else logits.logsumexp(1) - math.log(logits.shape[1])


def has_batch_norm(*networks: nn.Module) -> bool:
    """Does what one of them says of a sample hang on the rest of its batch?"""
    return any(isinstance(m, BATCH_NORMS) for n in networks for m in n.modules())


def draws(network: nn.Module, shape: tuple[int, ...]) -> bool:
    """Do its layers draw random numbers while it trains, on samples (2, *shape)? Its buffers may
    move: for one that is thrown away.
    """
    with torch.no_grad(), torch.random.fork_rng(devices=[]):
        drew = draw_watch()
        network(torch.zeros(2, *shape))
        return drew()
