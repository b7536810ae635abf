"""What the cache of data keeps on this machine: `raygan data --cache`, `raygan data --clear-cache`.

A decoded source can always be read again, so that what is removed costs time and nothing else. What
a run reads at this moment stays until it has closed it.
"""

from __future__ import annotations

import json
import logging
import os
import shutil
import time
from dataclasses import dataclass
from pathlib import Path

from raygan.data.free_memory import size_text
from raygan.paths import cache

DAY = 24 * 3600.0
UNREAD = 30.0
"""Days after which a decoded source makes room when another is written."""
log = logging.getLogger("raygan.cache")


@dataclass(frozen=True)
class CachedSource:
    """One source that the cache keeps, decoded."""

    path: Path
    source: str
    """As its user named it; "?" for one that does not say."""
    nbytes: int
    idle: float
    """Seconds since a start has read it."""

    def line(self) -> str:
        """Its size, age, source and key in one line."""
        days = self.idle / DAY
        return (
            f"{size_text(self.nbytes):>10}  {days:5.1f} days ago  {self.source}  ({self.path.name})"
        )


def cache_folder() -> Path | None:
    """Of decoded sources; None without a home."""
    base = cache()
    return base / "read" if base else None


def cached_sources(folder: Path | None = None) -> list[CachedSource]:
    """All that is whole, the one that was read last first."""
    folder = folder or cache_folder()
    found = []
    for about in folder.glob("*/about.json") if folder else ():
        if about.parent.suffix == ".tmp":  # being made
            continue
        try:
            files = [p.lstat().st_size for p in about.parent.iterdir()]
            idle = max(time.time() - about.stat().st_mtime, 0.0)  # noqa: TID251  a file's own clock
        except OSError:  # gone meanwhile
            continue
        found.append(CachedSource(about.parent, source_of(about), sum(files), idle))
    return sorted(found, key=lambda k: k.idle)


def source_of(about: Path) -> str:
    """What is told of a source by the record beside its samples."""
    try:
        return str(json.loads(about.read_text())["record"]["source"])
    except (OSError, ValueError, KeyError, TypeError):
        return "?"


def cleared(days: float, folder: Path | None = None) -> list[CachedSource]:
    """Remove what no start has read for so many days; what was removed. Raises OSError."""
    gone = [k for k in cached_sources(folder) if k.idle >= days * DAY]
    for entry in gone:
        # first out of sight, so that nobody takes half of one for whole
        hidden = entry.path.with_suffix(f".{os.getpid()}.tmp")
        entry.path.rename(hidden)
        shutil.rmtree(hidden)
    return gone


def make_room(folder: Path) -> None:
    """Remove what is no longer of use, and say so; a cache that cannot be written stays."""
    try:
        # said aloud: somebody may wonder why the next start takes longer
        if gone := cleared(UNREAD, folder):
            what = ", ".join(k.source for k in gone)
            log.warning("data cache: removed what no start has read for %g days: %s", UNREAD, what)
    except OSError as error:
        log.warning("data cache %s: %s", folder, error.strerror)


def listing(found: list[CachedSource], folder: Path | None, gone: bool = False) -> str:
    """For people: a line each, and what all of it takes."""
    if folder is None:
        return "no cache: no home folder here, and XDG_CACHE_HOME is not set"
    total = size_text(sum(k.nbytes for k in found))
    head = f"{len(found)} decoded sources, {total}, in {folder}"
    lines = [k.line() for k in found]
    return "\n".join([f"removed {head}" if gone else head, *lines])
