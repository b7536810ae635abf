"""Parts of installed packages: entry points `raygan.networks`, `raygan.losses`, `raygan.data`, `raygan.strategies`, ...

[project.entry-points."raygan.losses"]
focal = "my_pkg.losses:Focal"           then: --loss focal
"""

from __future__ import annotations

import functools
from importlib import metadata
from typing import Any

from raygan.errors import ConfigError
from raygan.own.find import as_class

GROUPS = {
    "network": "raygan.networks", "loss": "raygan.losses", "data": "raygan.data", "strategy": "raygan.strategies",
    "metric": "raygan.metrics", "listener": "raygan.listeners",
}  # fmt: skip


@functools.cache
def _points(kind: str) -> dict[str, metadata.EntryPoint]:
    return {point.name.replace("-", "_"): point for point in metadata.entry_points(group=GROUPS[kind])}


def entry_points(kind: str) -> list[str]:
    """Names that installed packages give to parts of a kind."""
    return sorted(_points(kind))


def installed(kind: str, name: str) -> Any | None:
    """The class behind an entry point, or None. Raises ConfigError for one that cannot be loaded."""
    point = _points(kind).get(name)
    if point is None:
        return None
    try:
        thing = point.load()
    except Exception as error:  # of somebody's package
        said = f"{type(error).__name__}: {' '.join(str(error).split())[:160]}"
        raise ConfigError(
            f"{kind}: {name} ({point.value}) cannot be loaded ({said}). Mend or remove its package."
        ) from None
    return as_class(kind, thing, name, f"{name} ({point.value})")
