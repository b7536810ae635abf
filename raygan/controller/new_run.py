"""A run's folder as it comes into being: under a hidden name, `.NAME.TOKEN.HOST.PID.making`, which
is renamed once all is in it, the first record and `start_from`'s checkpoint included (decision 53).

made -> (config, code, journal, ...) -> publish
killed in between: no run, and the next start clears it away
"""

from __future__ import annotations

import os
import platform
import secrets
from pathlib import Path

from raygan.controller.bucket_copies import typed
from raygan.controller.files import sync_folder
from raygan.errors import ConfigError


class NameTaken(ConfigError):
    """Somebody else has made a run of this name meanwhile."""


def hidden(name: str) -> str:
    """What a run is called while it is made.

    A token, since one process may make several at once.
    """
    return f".{name}.{secrets.token_hex(4)}.{platform.node()[:60]}.{os.getpid()}.making"


def made(parent: Path, name: str) -> Path:
    """A run's folder, with what is always in it. Raises ConfigError."""
    path = parent / name
    try:
        parent.mkdir(parents=True, exist_ok=True)
        # for this user alone: samples and paths in it may be private
        path.mkdir(mode=0o700)
        (path / "checkpoints").mkdir()
        (path / "samples").mkdir()
        # both names are durable before a record relies on what lies below them
        sync_folder(path)
        sync_folder(parent)
    except FileExistsError:
        # mkdir says the same where a file stands in the parent's place
        if not parent.is_dir():
            raise ConfigError(
                f"run folder: {str(parent)!r} is not a folder. Choose another --run-dir."
            ) from None
        raise ConfigError(
            f"run folder: {str(path)!r} exists already. Choose another --name, or `raygan"
            f" resume {typed(path)}`."
        ) from None
    except OSError as error:
        raise ConfigError(
            f"run folder: cannot write in {str(parent)!r} ({error.strerror}). Choose another"
            " --run-dir."
        ) from None
    return path


def publish(hidden: Path, path: Path) -> None:
    """A run that was made under a hidden name is there from now on. Raises NameTaken where another
    one is.
    """
    try:
        # onto a folder that holds something it fails: of two makers one wins
        hidden.rename(path)
    except OSError as error:
        raise NameTaken(
            f"run folder: {str(path)!r} exists already ({error.strerror}): somebody else has"
            f" just made it. Choose another --name, or `raygan resume {typed(path)}`."
        ) from None
    sync_folder(path.parent)


def is_made_now(name: str) -> bool:
    """Is the process alive that makes a run under this hidden name? On another machine nobody can
    tell: it stays.
    """
    pid = name.removesuffix(".making").rpartition(".")[2]
    return (
        not name.removesuffix(f".{pid}.making").endswith(f".{platform.node()[:60]}")
        or Path(f"/proc/{pid}").exists()
    )
