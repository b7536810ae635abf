"""Users' own listeners: called (run, done) after each order that was carried out; one that raises
never ends a run.
"""

from __future__ import annotations

import inspect
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from raygan.components import load_component
from raygan.config import Component, Config
from raygan.controller.listener import Hears, Listener, Running
from raygan.controller.orders import Done
from raygan.own.contained import contained
from raygan.own.names import label
from raygan.own.settings import parameters, with_settings


class ListenerComponent(Component):
    """Hears what happens, in the driver; may also have `begin(run)`, `tick(run)`, `trained()`
    and `close()`.
    """

    @abstractmethod
    def __call__(self, run: Running, done: Done) -> None:
        """An order was carried out."""


class PlainListener(ListenerComponent):
    """A function, or a class whose objects can be called."""

    made_of: ClassVar[Any]

    def __call__(self, run: Running, done: Done) -> None:
        """Not called itself: `heard` asks for what it is made of."""
        raise NotImplementedError

    def made(self) -> Any:
        """The user's listener, with its settings."""
        kind = type(self)
        settings = {name: getattr(self, name) for name in kind.model_fields}
        return kind.made_of(**settings) if inspect.isclass(kind.made_of) else kind.made_of


class Contained(Hears):
    """A user's own: it looks on. What it changes of torch, threads or the folder is its own, and
    what it raises is told and kept from the run by the guard (`audience.Guard`).
    """

    decides = False

    def __init__(self, heard: Any, name: str) -> None:
        super().__init__(heard)
        self.name = name

    def tell(self, what: str, *facts: Any) -> None:
        """Call that method, if there is one."""
        with contained():
            super().tell(what, *facts)


def listeners_of(config: Config) -> list[Contained]:
    """Those that the config names."""
    found = [load_component("listener", spec) for spec in config.listeners]
    return [
        Contained(c.made() if isinstance(c, PlainListener) else c, label(c.name)) for c in found
    ]


def live(listeners: Sequence[Any]) -> list[Listener]:
    """Those that are given as objects: functions, instances, classes."""
    return [
        Contained(x() if inspect.isclass(x) else x, getattr(x, "__name__", type(x).__name__))
        for x in listeners
        if not isinstance(x, str | Mapping)
    ]


def lacks(thing: object) -> str:
    """Which method a listener needs and has not; "" where none is missing."""
    return "" if fits(thing) else "__call__"


def fits(thing: object) -> bool:
    """A function of two arguments, or a class whose objects are."""
    if inspect.isclass(thing):
        return "__call__" in vars(thing)
    return callable(thing) and len(parameters(thing)) == 2


def adapt(thing: Any, name: str) -> type[PlainListener]:
    """A class's parameters are its settings."""
    made: type[PlainListener] = with_settings(
        PlainListener, name, thing, skip=0 if inspect.isclass(thing) else 2
    )
    made.made_of = thing
    return made
