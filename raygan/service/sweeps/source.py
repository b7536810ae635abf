"""Where a sweep comes from: a file, or the same keys from Python (`raygan.sweep`)."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping
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
        values["space"] = {path: _named(path, choices) for path, choices in space.items()}
    return values, Path()


def _named(path: str, choices: Any) -> Any:
    """One setting's choices, each object of them by its name."""
    return each_choice(choices, lambda one: named({path: one}, _refuse_given)[path])


def each_choice(choices: Any, change: Callable[[Any], Any]) -> Any:
    """One setting's choices, a list or {choice: a list}, each of them changed; a range as it is."""
    if isinstance(choices, Mapping):
        return {
            how: each_choice(inner, change) if how == "choice" else inner
            for how, inner in choices.items()
        }
    return [change(one) for one in choices] if isinstance(choices, list | tuple) else choices


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
