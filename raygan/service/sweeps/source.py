"""Where a sweep comes from: a file, or the same keys from Python (`raygan.sweep`)."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

from raygan.config import read_yaml
from raygan.errors import ConfigError
from raygan.own.objects import named


@dataclass(frozen=True)
class Values:
    """What a sweep file would say, with own parts as names or as objects."""

    values: Mapping[str, Any]

    def __str__(self) -> str:
        return f"sweep {self.values.get('name', '')}".strip()


SweepSource: TypeAlias = Path | Values


def read_source(source: SweepSource) -> tuple[dict[str, Any], Path]:
    """The keys of a sweep, own objects by their names; the folder that its paths are relative to.
    Raises ConfigError.
    """
    if isinstance(source, Path):
        return read_yaml(source, "sweep file"), source.parent
    values = dict(source.values)
    if isinstance(settings := values.get("settings"), Mapping):
        values["settings"] = named(settings, _refuse_given)
    if isinstance(space := values.get("space"), Mapping):
        values["space"] = {path: _named(str(path), choices) for path, choices in space.items()}
    return values, Path()


def _named(path: str, choices: Any) -> Any:
    """One setting's choices, each object of them by its name."""
    if isinstance(choices, Mapping):
        return {how: _named(path, inner) for how, inner in choices.items()}
    if not isinstance(choices, list | tuple):
        return choices
    return [named({path: choice}, _refuse_given)[path] for choice in choices]


def _refuse_given(thing: Any) -> Mapping[str, Any]:
    """Samples as an object lie in this process's memory. Raises ConfigError."""
    raise ConfigError(
        f"data: a sweep's trials are other processes, and {type(thing).__name__} lies in this one."
        " Save it with numpy.savez, and give data='npz:PATH'."
    )


def how_to_go_on(source: SweepSource) -> str:
    """What goes on with a sweep that was cut off."""
    if isinstance(source, Path):
        return f"raygan sweep {shlex.quote(str(source))} --resume"
    return "the same raygan.sweep(...) with resume=True"
