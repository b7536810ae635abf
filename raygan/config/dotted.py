"""Nested settings as dotted paths, as flags, sweeps, trackers and tables name them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any


def dotted(
    values: Mapping[str, Any], whole: str | None = None, prefix: str = ""
) -> Iterator[tuple[str, Any]]:
    """(path, value); what is empty is a value, and a mapping that holds the key `whole` stays one.

    >>> settings = {"steps": 5, "pair": {"lr_g": 1}, "strategy": {"name": "gap"}}
    >>> dict(dotted(settings))
    {'steps': 5, 'pair.lr_g': 1, 'strategy.name': 'gap'}
    >>> dict(dotted(settings, whole="name"))
    {'steps': 5, 'pair.lr_g': 1, 'strategy': {'name': 'gap'}}
    """
    for key, value in values.items():
        if isinstance(value, Mapping) and value and (whole is None or whole not in value):
            yield from dotted(value, whole, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def settings_of(values: Mapping[str, Any]) -> dict[str, Any]:
    """A whole config by dotted path, without `code`: the text of own parts is no setting."""
    return dict(dotted({key: value for key, value in values.items() if key != "code"}))
