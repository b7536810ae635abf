"""Own names inside a config's plain values: made whole, settled, listed, and taken along when they
are pickled.

Places: data, network, loss, strategy, strategy.over, each of `pairs`, and the lists `metrics`,
`listeners` and `track`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from raygan.errors import ConfigError
from raygan.own.importing import register
from raygan.own.names import DIGITS, absolute, is_own, split
from raygan.own.source import SOURCES, Source

ONE = ("data", "network", "loss", "strategy", "over")
LISTS = {"metrics": "metric", "listeners": "listener", "track": "tracker"}
KEY = re.compile(rf"@([0-9a-f]{{{DIGITS}}})\b")


def replaced(values: Mapping[str, Any], change: Callable[[str, str], str]) -> dict[str, Any]:
    """The same values, each own name as `change(kind, name)` says."""

    def part(kind: str, value: Any) -> Any:
        if isinstance(value, str):
            return change(kind, value) if is_own(value) else value
        if not isinstance(value, Mapping):
            return value
        name = value.get("name")
        inner = {"over": part("strategy", value["over"])} if "over" in value else {}
        return {**value, **inner, **({"name": part(kind, name)} if isinstance(name, str) else {})}

    out = dict(values)
    for key, value in values.items():
        if key in ONE:
            out[key] = part("strategy" if key == "over" else key, value)
        elif key in LISTS:
            out[key] = [part(LISTS[key], v) for v in _listed(value)]
        elif key == "pairs" and isinstance(value, list | tuple):
            out[key] = [replaced(v, change) if isinstance(v, Mapping) else v for v in value]
    return out


def _listed(value: Any) -> Any:
    """One is a list of one, and text may have commas."""
    if isinstance(value, str):
        return [v.strip() for v in value.split(",")]
    return (
        [value]
        if isinstance(value, Mapping)
        else value
        if isinstance(value, list | tuple)
        else [value]
    )


def whole(values: Mapping[str, Any], base: Path) -> dict[str, Any]:
    """Files' names relative to `base`, made whole; nothing is read."""
    return replaced(values, lambda kind, name: absolute(name, base))


def whole_flag(path: str, value: Any, base: Path) -> Any:
    """The same of one setting by its dotted path: network, network.name, strategy.over, pairs,
    metrics.
    """
    parts = path.split(".")
    key = parts[-2] if parts[-1] == "name" and len(parts) > 1 else parts[-1]
    return whole({key: value}, base)[key]


def settled_here(values: Mapping[str, Any], base: Path) -> dict[str, Any]:
    """The same with their sources' keys: they may go elsewhere then. Raises ConfigError."""
    from raygan.own.find import settle

    return replaced(values, lambda kind, name: settle(kind, absolute(name, base)))


def lasting(values: Mapping[str, Any]) -> dict[str, Any]:
    """Settled names as those of files and modules again, for a config that people keep."""

    def place(kind: str, text: str) -> str:
        name = split(text)
        source = SOURCES.get(name.key)
        if source is None or source.taken or source.module:
            return text if source is None or source.taken else str(name._replace(key=""))
        where = Path(source.path).parent / name.where if source.package else Path(source.path)
        return str(name._replace(where=str(where), key=""))

    return replaced(values, place)


def refuse_unsettled(values: Mapping[str, Any], where: Path) -> None:
    """Raises ConfigError for what a folder that somebody has sent names by a path or a module: that
    would be executed unasked.
    """

    def check(kind: str, name: str) -> str:
        # without a hash it would be taken from this machine's path, as the sender has written it
        if not split(name).key:
            raise ConfigError(
                f"{str(where)!r}: {kind} {name!r} has no hash of its source: raygan did not write"
                " that. Do not trust it."
            )
        return name

    replaced(values, check)


def settled(values: Mapping[str, Any]) -> dict[str, Any]:
    """All own names with their sources' keys, and `code`: what each source is.

    Raises ConfigError.
    """
    from raygan.own.find import settle

    out = replaced(values, settle)
    keys = sorted(set(keys_in(out)))
    given = out.pop("code", None) or {}
    if keys:
        out["code"] = {
            k: given.get(k) or (SOURCES[k].record() if k in SOURCES else {}) for k in keys
        }
    return out


def objects(code: Mapping[str, Any]) -> list[str]:
    """Keys of parts that have no source: they are what this process holds."""
    return [key for key, record in code.items() if not record]


def keys_in(values: Any) -> Iterator[str]:
    """Keys of the sources that plain values name."""
    if isinstance(values, str):
        yield from KEY.findall(values)
    elif isinstance(values, Mapping):
        for key, value in values.items():
            if key != "code":
                yield from keys_in(value)
    elif isinstance(values, list | tuple):
        for value in values:
            yield from keys_in(value)


def luggage(values: Mapping[str, Any]) -> list[Source]:
    """The sources that go along when these values travel to another process."""
    keys = {*(values.get("code") or ()), *keys_in(values)}
    return [SOURCES[k] for k in sorted(keys) if k in SOURCES]


def unpack(sources: list[Source]) -> None:
    """Sources have arrived with a pickled config: register them."""
    for source in sources:
        register(source)
