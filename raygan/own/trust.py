"""Who has said that a source may run: whoever names a file starts it; what a run folder brings
waits for `--trust-code`.

A run's own parts need no word where the file that its owner named is still there, as it was, and
this user has begun a run with just that text on this machine before: it is that file which is
executed, never the copy in the run folder. What a run folder says of itself, or a file that came
along with it, is no such word: the hashes of what was named lie in the user's own state folder.
"""

from __future__ import annotations

import logging
import os
import stat
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from raygan.errors import ConfigError
from raygan.own.importing import register
from raygan.own.names import DIGITS, Name, label
from raygan.own.source import MOST_BYTES, SOURCES, Source, hashed, read_module, read_path
from raygan.paths import state

NOTES = logging.getLogger("raygan.notes")
CODE = "code"
"""Folder of a run (and of an exported model) with the sources."""


@dataclass(frozen=True)
class Claim:
    """What a folder says that an own part was made of."""

    folder: Path
    record: Mapping[str, Any]

    @property
    def sha256(self) -> str:
        """Of the source that the run was begun with."""
        return str(self.record.get("sha256", ""))


CLAIMS: dict[str, list[Claim]] = {}
_TRUSTED = set[Path]()
NAMED = "named"
"""File in the user's state folder: the SHA-256 of each source that they have begun a run with, a
line each.
"""


def claim(folder: Path, code: Mapping[str, Any]) -> None:
    """A folder's record of sources, by key; nothing is read or executed before one of them is
    needed.
    """
    for key, record in code.items():
        if (
            isinstance(record, dict)
            and str(record.get("sha256", "")).startswith(key)
            and len(key) == DIGITS
        ):
            mine = Claim(folder.resolve(), record)
            CLAIMS[key] = [c for c in CLAIMS.get(key, []) if c.folder != mine.folder] + [mine]


def trust(folder: Path) -> None:
    """What this folder brings may be executed by this process."""
    _TRUSTED.add(folder.resolve())


def source(kind: str, name: Name) -> Source:
    """The source of a settled name. Raises ConfigError where nobody has said that it may run, or
    where it is damaged or gone.
    """
    if (known := SOURCES.get(name.key)) is not None:
        return known
    claims = CLAIMS.get(name.key, [])
    for found in claims:
        if (
            # the very file that this user has named before, with the text that the run had
            (here := original(found)) is not None
            and here.sha256 == found.sha256
            and remembered(here.sha256)
        ):
            return register(here)
    for found in claims:
        if found.folder in _TRUSTED:
            return register(brought(kind, found))
    if not claims:
        raise ConfigError(
            f"{kind}: {label(str(name))} (sha256 {name.key}): its source is not here. Give the file"
            " itself."
        )
    raise ConfigError(_refusal(name, claims[0]))


def remember(code: Mapping[str, Mapping[str, Any]]) -> None:
    """The user has begun a run with these sources, by naming them; where that cannot be kept it is
    told.
    """
    fresh = [
        sha
        for record in code.values()
        if (sha := str(record.get("sha256", ""))) and not remembered(sha)
    ]
    # nothing is opened: a home may be read-only, and all is noted already
    if not fresh:
        return
    try:
        if (folder := state()) is None:
            raise OSError("there is no home")
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with open(
            folder / NAMED,
            "a",
            # through no link: the file decides which code may run
            opener=lambda path, flags: os.open(path, flags | os.O_NOFOLLOW, 0o600),
        ) as file:
            file.write("".join(f"{sha}\n" for sha in fresh))
    except OSError as error:
        NOTES.warning(
            "who looks at this run later has to say --trust-code: its code is not noted as yours"
            " (%s)",
            error,
        )


def remembered(sha256: str) -> bool:
    """Has this user named a source of this hash, here? A list that somebody else may write counts
    for nothing.
    """
    try:
        # None without a home: a TypeError, which is a no
        named = state() / NAMED  # type: ignore[operator]
        with open(named, opener=lambda path, flags: os.open(path, flags | os.O_NOFOLLOW)) as file:
            # of the open file, not of its name: that may lead elsewhere a moment later
            facts = os.fstat(file.fileno())
            mine = facts.st_uid == os.getuid() and not facts.st_mode & (stat.S_IWOTH | stat.S_IWGRP)
            return mine and sha256 in file.read().split()
    except (OSError, TypeError, ValueError):
        return False


def named(record: Mapping[str, Any], key: str) -> Name:
    """A source's name, of what a config says of it."""
    files = [str(f) for f in record.get("files", ())] or ["?"]
    return Name(str(record.get("module") or files[0].partition("/")[0]), "", key)


def _refusal(name: Name, found: Claim) -> str:
    here, copy = original(found), found.folder / CODE / name.key
    what = (
        f"{str(found.folder)!r} brings code of its own, {label(str(name))} (sha256 {found.sha256})"
    )
    if here is not None and here.sha256 != found.sha256:
        return (
            f"{what}; {found.record['path']} has changed since (sha256 {here.sha256}). --trust-code"
            f" takes the copy in {copy}; `raygan resume --other-code` goes on with the file as it"
            " is now."
        )
    return f"{what}, and nothing of it is executed unasked. Read {copy}; then say --trust-code."


def original(found: Claim) -> Source | None:
    """The file that was named when the run began, as it is now; None where there is none of this
    user's at its place.
    """
    record = found.record
    path = Path(str(record.get("path", "")))
    try:
        # a run folder that names a file of its own brings it, it is not the user's
        if not path.is_absolute() or path.resolve().is_relative_to(found.folder) or not _mine(path):
            return None
        if record.get("module"):
            return (
                read_module("", str(record["module"]))
                if _installed_at(path, str(record["module"]))
                else None
            )
        if record.get("taken"):
            from raygan.own.excerpt import taken

            return taken(path, record["taken"])
        return read_path("", path)
    except (ConfigError, OSError, ValueError):
        return None


def _installed_at(path: Path, module: str) -> bool:
    """Does that file lie where this process would find a module of that name? Asked without
    importing anything.
    """
    inner = Path(*module.split("."))
    tails = (inner.with_suffix(".py"), inner / "__init__.py")
    return (
        any(path == Path(entry or ".").absolute() / tail for entry in sys.path for tail in tails)
        and path.exists()
    )


def _mine(path: Path) -> bool:
    """The user's own (or the system's), and nobody else may write it."""
    facts = path.stat()
    return facts.st_uid in (os.getuid(), 0) and not facts.st_mode & stat.S_IWOTH


def brought(kind: str, found: Claim) -> Source:
    """The copy in the folder.

    Raises ConfigError where it is not what the run says it was made of.
    """
    root, record = found.folder / CODE / found.sha256[:DIGITS], found.record
    files = dict[str, str]()
    try:
        for name in record["files"]:
            path = root / str(name)
            if not path.is_file() or path.stat().st_size > MOST_BYTES:
                raise ConfigError(
                    f"{kind}: {path} is not a plain file of source code. Give the original file"
                    " again."
                )
            # names are the run folder's, which may be somebody else's
            if not path.resolve().is_relative_to(root.resolve()):
                raise ConfigError(
                    f"{kind}: {str(found.folder)!r} names a file outside itself, {name!r}. Do not"
                    " trust it."
                )
            files[str(name)] = path.read_bytes().decode()
    except (OSError, KeyError, TypeError, UnicodeDecodeError) as error:
        raise ConfigError(
            f"{kind}: {root} cannot be read ({error}). Give the original file again."
        ) from None
    # what is hashed is what is executed: these texts, not the files once more
    if not files or hashed(files) != found.sha256:
        raise ConfigError(
            f"{kind}: {root} has sha256 {hashed(files) if files else 'of nothing'}, the run was"
            f" made with {found.sha256}: it was changed. Give the original file again."
        )
    return Source(
        files, str(record.get("path", "")), found.sha256, str(record.get("module", "")),
        tuple(record.get("taken", ()))
    )  # fmt: skip
