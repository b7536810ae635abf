"""Do two networks compute the same, but for their numbers? Only then can one's weights go into the
other: with equal shapes alone they may be another function there.
"""

from __future__ import annotations

import enum
import re
from dataclasses import dataclass, field
from types import BuiltinFunctionType, FunctionType, MethodType

import torch
from torch import nn

from raygan.gan.weights import signature
from raygan.networks.base import Tuned

PLAIN = (bool, int, float, complex, str, bytes, type(None), enum.Enum, torch.dtype, torch.device)
HOW_ONLY = frozenset({"in_bfloat16", "channels_last"})
"""Of `Tuned`: how it computes, not what."""
OF_EVERY_LAYER = frozenset(vars(nn.Module()))
"""Where torch keeps a layer's tensors, layers, hooks and mode."""


ADDRESS = re.compile(r"\b0x[0-9a-fA-F]{6,}")


@dataclass(frozen=True)
class Layer:
    """What a layer says of itself."""

    kind: str
    settings: dict[str, str]
    """By name; among them which of its tensors do not train."""
    complete: bool = field(compare=False)
    """Is that all there is? A function of a function, or a hook, cannot be compared."""


@dataclass(frozen=True)
class Described:
    """What a network says of itself; equal ones compute the same from the same numbers, unless one
    is `silent`.
    """

    signature: str
    layers: dict[str, Layer]

    @property
    def silent(self) -> str | None:
        """The first layer with more in it than it says; None where there is none."""
        odd = (f"{_called(n)} ({x.kind})" for n, x in self.layers.items() if not x.complete)
        return next(odd, None)

    def unlike(self, other: Described) -> str | None:
        """What tells it from another of the same signature, in words; None where nothing does."""
        for name in dict.fromkeys([*self.layers, *other.layers]):
            own, its = self.layers.get(name), other.layers.get(name)
            if own is None or its is None:
                return f"only one of them has a layer {name}"
            if own.kind != its.kind:
                return f"{_called(name)} is {own.kind}, not {its.kind}"
            for key in dict.fromkeys([*own.settings, *its.settings]):
                if (here := own.settings.get(key)) != (there := its.settings.get(key)):
                    return f"{key} of {_called(name)} ({own.kind}) is {here}, not {there}"
        return None


def _called(name: str) -> str:
    return f"layer {name}" if name else "the whole"


def described(network: nn.Module) -> Described:
    """A network's signature and layers."""
    layers = {n: _layer(m) for n, m in network.named_modules(remove_duplicate=False)}
    return Described(signature(network), layers)


def _layer(layer: nn.Module) -> Layer:
    kind, kept = type(layer), vars(layer)
    tuned = isinstance(layer, Tuned)
    of_torch = kind.__module__.startswith("torch.nn.")
    line = "" if of_torch else layer.extra_repr()
    # where an object lies is another place each time, and says nothing of it
    settings = {"extra_repr": line} if line and not ADDRESS.search(line) else {}
    # a class that a function has made may hold what that function was given
    complete = "<locals>" not in kind.__qualname__ and not ADDRESS.search(line)
    complete &= not any(kept[key] for key in kept if key.endswith("_hooks"))
    for key in sorted(kept.keys() - OF_EVERY_LAYER - (HOW_ONLY if tuned else frozenset())):
        if (value := said(kept[key])) is not None:
            settings[key] = value
        else:
            # what torch's own layers hold beside their settings leads to their tensors; a function
            # in one is somebody's own
            complete &= of_torch and not isinstance(kept[key], FunctionType | MethodType)
    settings |= {
        f"requires_grad of {n}": "False"
        for n, p in layer.named_parameters(recurse=False)
        if not p.requires_grad
    }
    settings |= {} if layer.training else {"training": "False"}
    # tuned or not, networks may be exchanged
    return Layer("Sequential" if tuned else _name(kind), settings, complete)


def _name(kind: type) -> str:
    inside = kind.__module__.startswith(("torch.nn.", "raygan."))
    return kind.__qualname__ if inside else f"{kind.__module__}.{kind.__qualname__}"


def said(value: object) -> str | None:
    """A setting in words; None where words do not tell it from others.

    >>> said((1, 2.5)), said(torch.tanh), said([lambda x: x])
    ('(1, 2.5)', 'torch.tanh', None)
    """
    if isinstance(value, PLAIN):
        return repr(value)
    if isinstance(value, tuple | list):
        words = [said(part) for part in value]
        return None if None in words else f"({', '.join(map(str, words))})"
    if isinstance(value, dict):
        return said(tuple(value.items()))
    if isinstance(value, type | FunctionType | BuiltinFunctionType):
        # a lambda, and a function within a function, have names that tell nothing
        name = f"{value.__module__}.{value.__qualname__}"
        return None if "<" in name else name.replace("._VariableFunctionsClass", "")
    return None
