"""Which settings a run may go on with changed, and the one line for those that it may not."""

from __future__ import annotations

import json
from functools import reduce
from typing import Any

from raygan.config import DEFAULT_PRESET, Config, Resolved, full_dump, merge, validate
from raygan.errors import (
    ConfigError,
)
from raygan.own.names import is_own, label, split
from raygan.service.runs.identity import rooted

FREE = (
    "steps",
    "round_steps",
    "resources",
    "checkpoint",
    "evaluation",
    "failures",
    "metrics",
    "listeners",
    "track",
)
"""Settings that a run may go on with changed; all others would make it another run."""
FREE_WITHIN = ("pair.schedule.steps",)
"""The same, one by one."""


def changes(resolved: Resolved, stored: Config) -> Config | None:
    """The run's config with what was asked for laid over it; None when nothing changes.

    Values of the default preset that nobody named do not count. Raises ConfigError for a setting
    that may not change.
    """
    stored = rooted(stored)
    asked, have = full_dump(resolved.config), full_dump(stored)
    for path, origin in resolved.origins.items():
        if origin == f"preset {DEFAULT_PRESET}":
            continue
        group = path.partition(".")[0]
        # The stored config may have no such path: another component's settings, an older release's.
        old: Any = have
        new: Any = asked
        for part in path.split("."):
            old, new = old.get(part) if isinstance(old, dict) else None, new[part]
        if old == new:
            continue
        if (told := _other_source(path, old, new)) is not None:
            raise ConfigError(told)
        if group not in FREE and path not in FREE_WITHIN:
            raise ConfigError(
                f"{path} = {json.dumps(new)} ({origin}): the run has {json.dumps(old)}. Resume with"
                " the config of the run, or start a new one under another --name."
            )
    wanted = merge(have, {k: asked[k] for k in FREE if _named(k, resolved)}, "", {})
    # One by one, since of their group everything else is what makes it this run.
    for path in (p for p in FREE_WITHIN if p in resolved.origins):
        *groups, last = path.split(".")
        reduce(dict.__getitem__, groups, wanted)[last] = reduce(
            dict.__getitem__, path.split("."), asked
        )
    config = validate(Config, wanted)
    return None if config == stored else config


def _other_source(path: str, old: object, new: object) -> str | None:
    """Is it the same own part with another source? Both hashes, and the flag that says "I know"."""
    if not (
        isinstance(old, str)
        and isinstance(new, str)
        and is_own(old)
        and is_own(new)
        and label(old) == label(new)
    ):
        return None
    return (
        f"{path} = {label(new)}: its source has sha256 {split(new).key}.. now, the run was made"
        f" with {split(old).key}... Go on with `raygan resume RUN --other-code` if you mean it, or"
        " start a new run under another --name."
    )


def _named(group: str, resolved: Resolved) -> bool:
    return any(
        path.partition(".")[0] == group and origin != f"preset {DEFAULT_PRESET}"
        for path, origin in resolved.origins.items()
    )
