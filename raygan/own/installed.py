"""Parts of installed packages: entry points `raygan.networks`, `raygan.losses`, `raygan.data`,
`raygan.strategies`, ...

[project.entry-points."raygan.losses"]
focal = "my_pkg.losses:Focal"           then: --loss focal
"""

from __future__ import annotations

import functools
from importlib import metadata
from typing import Any

from raygan.errors import ConfigError, error_line
from raygan.own.find import as_class

GROUPS = {
    "network": "raygan.networks", "loss": "raygan.losses", "data": "raygan.data",
    "strategy": "raygan.strategies", "metric": "raygan.metrics", "listener": "raygan.listeners",
    "tracker": "raygan.trackers",
}  # fmt: skip


@functools.cache
def _points() -> dict[tuple[str, str], metadata.EntryPoint]:
    """(kind, name) -> its entry point: all groups by one look at what is installed."""
    kinds = {group: kind for kind, group in GROUPS.items()}
    found = metadata.entry_points()
    return {
        (kinds[p.group], p.name.replace("-", "_")): p
        for group in GROUPS.values()
        for p in found.select(group=group)
    }


def entry_points(kind: str) -> list[str]:
    """Names that installed packages give to parts of a kind."""
    return sorted(name for at, name in _points() if at == kind)


def refuse_shadow(kind: str, name: str) -> None:
    """Raises ConfigError where an installed package has a part named like this built-in one: which
    of them is meant?
    """
    if (point := _points().get((kind, name))) is not None:
        raise ConfigError(
            f"{kind}: {name!r} is built in, and {point.value} is named like a built-in. Give that"
            f" one as {point.value}, or remove its package."
        )


def installed(kind: str, name: str) -> Any | None:
    """The class behind an entry point, or None.

    Raises ConfigError for one that cannot be loaded.
    """
    point = _points().get((kind, name))
    if point is None:
        return None
    try:
        thing = point.load()
    except (Exception, SystemExit) as error:
        # of any kind: somebody else's package
        said = error_line(error)
        raise ConfigError(
            f"{kind}: {name} ({point.value}) cannot be loaded ({said}). Mend or remove its package."
        ) from None
    return as_class(kind, thing, name, f"{name} ({point.value})")
