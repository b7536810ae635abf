"""A user's home, where there is one: not every process has it (a container's random uid, a batch
system).
"""

from __future__ import annotations

import os
from pathlib import Path

from raygan.errors import ConfigError


def home() -> Path | None:
    """The user's home, there or not; None for a user without HOME and without an entry in passwd."""
    try:
        return Path.home()
    except RuntimeError:
        return None


def expanded(path: str | Path) -> Path:
    """`~` and `~somebody` as their home. Raises ConfigError where that is nobody's, or they have
    none.
    """
    try:
        return Path(path).expanduser()
    except RuntimeError:
        user = (
            f"uid {os.getuid()}: HOME is not set, and there is no entry in passwd"
            if str(path).startswith("~/")
            else "no such user"
        )
        raise ConfigError(f"{str(path)!r}: no home ({user}). Write the whole path.") from None


def state() -> Path | None:
    """Where raygan keeps what it knows of this user on this machine (XDG_STATE_HOME), there or not;
    None without a home.
    """
    named = os.environ.get("XDG_STATE_HOME", "")
    base = (
        Path(named)
        if named.startswith("/")
        else (there / ".local/state" if (there := home()) else None)
    )
    return base / "raygan" if base else None
