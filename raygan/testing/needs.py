"""How a check complains: one line, of the thing, what it gives, the next move."""

from __future__ import annotations

from typing import Any

from raygan.components import Component, load_component
from raygan.data.given import spec_of
from raygan.own.objects import named

COUNT = 6


def need(truth: bool, thing: object, value: str, move: str) -> None:
    if not truth:
        name = thing.name if isinstance(thing, Component) else type(thing).__name__
        raise AssertionError(f"{name}: {value}. {move}")


def part_of(kind: str, thing: Any) -> Any:
    """A plain class's object (a pair of factories, a torch Dataset) as the component that a run
    makes of it.
    """
    if isinstance(thing, Component):
        return thing
    if kind == "metric":  # a config has a list of them
        return load_component(kind, named({"metrics": [thing]}, spec_of)["metrics"][0])
    return load_component(kind, named({kind: thing}, spec_of)[kind])
