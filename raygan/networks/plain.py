"""A user's own plain pair of networks: `generator(shape, z_dim)` and `discriminator(shape)`, as
they are built.

The weights are those of the constructors: nothing is drawn anew after them. They depend on the
player's stream alone.
"""

from __future__ import annotations

import inspect
from typing import Any, ClassVar

from torch import nn

from raygan.errors import ConfigError
from raygan.networks.base import NetworkComponent
from raygan.networks.initial import Init
from raygan.own.names import label
from raygan.own.settings import parameters, with_settings

METHODS = ("generator", "discriminator")


class PlainNetwork(NetworkComponent):
    """A component that forwards to the user's object."""

    made_of: ClassVar[Any]
    """The user's class, or module."""

    @property
    def _init(self) -> Init:
        return "own"

    def _pair(self) -> Any:
        if not inspect.isclass(self.made_of):
            return self.made_of
        # made for each network: a class may keep no state from one to the next
        return self.made_of(**{name: getattr(self, name) for name in parameters(self.made_of)})

    def _generator(self, shape: tuple[int, ...]) -> nn.Module:
        return _module(
            self._pair().generator(shape, self.z_dim),
            f"network {label(self.name)}: generator(shape, z_dim)",
        )

    def _discriminator(self, shape: tuple[int, ...], outputs: int = 1) -> nn.Module:
        build = self._pair().discriminator
        if outputs == 1:
            return _module(build(shape), f"network {label(self.name)}: discriminator(shape)")
        # PMGAN's classifier is a discriminator with more outputs
        if len(parameters(build)) < 2:
            raise ConfigError(
                f"network {label(self.name)}: a classifier with {outputs} logits is needed. Write"
                " discriminator(shape, outputs=1)."
            )
        return _module(
            build(shape, outputs), f"network {label(self.name)}: discriminator(shape, outputs)"
        )


def _module(made: object, what: str) -> nn.Module:
    if not isinstance(made, nn.Module):
        raise ConfigError(f"{what} gives a {type(made).__name__}. Return a torch.nn.Module.")
    return made


def lacks(thing: object) -> str:
    """Which of the methods are not there, in words."""
    return " and ".join(m for m in METHODS if not callable(getattr(thing, m, None)))


def fits(thing: object) -> bool:
    """Has the object both methods that it needs?"""
    return not lacks(thing)


def adapt(thing: Any, name: str) -> type[PlainNetwork]:
    """A network component; the constructor's parameters are its settings."""
    call = thing if inspect.isclass(thing) else (lambda: None)
    made: type[PlainNetwork] = with_settings(PlainNetwork, name, call, made_of=thing)
    return made
