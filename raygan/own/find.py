"""The one component in a user's module, or the line that says why there is none.

A class of raygan's own kind (`class Focal(LossComponent)`), or something plainer that is made into
one: for a network anything with `generator(shape, z_dim)` and `discriminator(shape)`, for data a
torch Dataset or an array, for a metric or a listener a function.
"""

from __future__ import annotations

import functools
import importlib
import inspect
from collections.abc import Iterator, Mapping
from types import ModuleType
from typing import Any

from raygan.errors import ConfigError, did_you_mean
from raygan.own.importing import import_part, register
from raygan.own.names import Name, label, split
from raygan.own.source import OBJECTS, read
from raygan.own.trust import source

BASES = {
    "network": ("raygan.networks.base", "NetworkComponent"),
    "loss": ("raygan.losses.base", "LossComponent"),
    "data": ("raygan.data.base", "DataComponent"),
    "strategy": ("raygan.strategies.base", "StrategyComponent"),
    "metric": ("raygan.metrics.own", "MetricComponent"),
    "listener": ("raygan.controller.own_listeners", "ListenerComponent"),
    "tracker": ("raygan.trackers.base", "TrackerComponent"),
}
"""What is imported only when an own part is looked for."""
ADAPTERS = {
    "network": "raygan.networks.plain",
    "data": "raygan.data.plain",
    "metric": "raygan.metrics.own",
    "listener": "raygan.controller.own_listeners",
    "tracker": "raygan.trackers.base",
}
"""Modules with `fits(thing)`, said without calling it, and `adapt(thing, name)`, a class of the
kind.
"""
METHODS = {"loss": ("d_loss", "g_loss")}
"""That have to be there, beside abstract ones."""
LEAST = {
    "network": (
        "a NetworkComponent, or a class with generator(shape, z_dim) and discriminator(shape)"
    ),
    "loss": "a subclass of raygan.losses.base.LossComponent",
    "data": "a DataComponent, a torch Dataset, or an array",
    "strategy": "a subclass of raygan.strategies.base.StrategyComponent",
    "metric": "a function (samples, held_out) -> number or {name: number}",
    "listener": "a function (controller, done)",
    "tracker": "a TrackerComponent, or a class with begin(run) and scalars(step, player, values)",
}


def settle(kind: str, text: str) -> str:
    """An own name with its source's key; the source is registered. Raises ConfigError."""
    name = split(text)
    if name.key:
        return text
    found = register(read(kind, name))
    where = name.where if found.module else _within(name.where, found.package)
    return str(Name(where, name.what, found.key))


def _within(where: str, package: str) -> str:
    """nets.py, or parts/nets.py where a package comes along."""
    parts = where.rstrip("/").split("/")
    if not package:
        return parts[-1]
    return "/".join(parts[len(parts) - 1 - parts[::-1].index(package) :])


def component(kind: str, text: str) -> tuple[Any, str]:
    """(class, its whole settled name) of an own part. Raises ConfigError."""
    return _component(kind, settle(kind, text))


@functools.cache
def _component(kind: str, text: str) -> tuple[Any, str]:
    name = split(text)
    if name.key in OBJECTS:
        return as_class(kind, OBJECTS[name.key], name.what, name.what), text
    found = source(kind, name)
    module = import_part(kind, name, found)
    if name.what:
        if not hasattr(module, name.what):
            public = [n for n, _ in _own(module)]
            raise ConfigError(
                f"{kind}: {label(text)}: nothing of that name in it."
                f" {did_you_mean(name.what, public)}"
            )
        return as_class(kind, getattr(module, name.what), name.what, label(text)), text
    what, cls = _only(kind, module, label(text))
    return cls, str(name._replace(what=what))


def _own(module: ModuleType) -> Iterator[tuple[str, Any]]:
    """Public classes and functions that a module defines itself."""
    for name, thing in vars(module).items():
        mine = not name.startswith("_") and getattr(thing, "__module__", None) == module.__name__
        if mine and (inspect.isclass(thing) or inspect.isfunction(thing)):
            yield name, thing


def _only(kind: str, module: ModuleType, where: str) -> tuple[str, Any]:
    """(name, class) of the one part of this kind. Raises ConfigError for none, and for several."""
    things = dict(_own(module))
    names = _candidates(kind, things)
    if not names and _fits(kind, module):
        return "", _adapter(kind).adapt(module, module.__name__)
    if len(names) > 1:
        raise ConfigError(
            f"{kind}: {where} holds {len(names)}: {', '.join(names)}. Say which:"
            f" {where}:{names[0]}."
        )
    if names:
        return names[0], as_class(kind, things[names[0]], names[0], f"{where}:{names[0]}")
    others = [f"{n} is a {k}" for n, t in things.items() if (k := kind_of(t))]
    told = f" ({', '.join(others[:3])})" if others else ""
    raise ConfigError(f"{kind}: {where} holds no {kind}{told}. Put one in it: {LEAST[kind]}.")


def _candidates(kind: str, things: Mapping[str, Any]) -> list[str]:
    """Names of the classes of this kind; where there is none, of what can be made into one."""
    found = [n for n, t in things.items() if _is_kind(kind, t)]
    if not found:
        return [n for n, t in things.items() if kind_of(t) == "" and _fits(kind, t)]
    # a base class that lacks methods is no part, unless there is nothing else
    return [n for n in found if not inspect.isabstract(things[n])] or found


def as_class(kind: str, thing: Any, name: str, where: str) -> Any:
    """A class of the kind, of what a user has written. Raises ConfigError: a class that lacks a
    method, another kind, neither.
    """
    if _is_kind(kind, thing):
        missing = sorted(
            {
                *thing.__abstractmethods__,
                *(m for m in METHODS.get(kind, ()) if not hasattr(thing, m)),
            }
        )
        if missing:
            raise ConfigError(
                f"{kind}: {where} lacks {', '.join(missing)}. Define"
                f" {'it' if len(missing) == 1 else 'them'}."
            )
        return thing
    # a good part behind the wrong flag: the right one is named
    if other := kind_of(thing):
        raise ConfigError(f"{kind}: {where} is a {other}, not a {kind}. Give it as --{other}.")
    if _fits(kind, thing):
        return _adapter(kind).adapt(thing, name)
    lacks = _adapter(kind).lacks(thing) if kind in ADAPTERS and inspect.isclass(thing) else ""
    is_what = f"lacks {lacks}" if lacks else f"is no {kind} (a {type(thing).__name__})"
    raise ConfigError(f"{kind}: {where} {is_what}. Needed: {LEAST[kind]}.")


def kind_of(thing: Any) -> str:
    """The kind of which this is a class; "" of anything else."""
    return next((kind for kind in BASES if _is_kind(kind, thing)), "")


def _is_kind(kind: str, thing: Any) -> bool:
    module, name = BASES[kind]
    return inspect.isclass(thing) and issubclass(
        thing, getattr(importlib.import_module(module), name)
    )


def _adapter(kind: str) -> Any:
    return importlib.import_module(ADAPTERS[kind])


def _fits(kind: str, thing: Any) -> bool:
    return kind in ADAPTERS and bool(_adapter(kind).fits(thing))
