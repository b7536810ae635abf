"""Files of a run folder, whoever made it: read where they are plain files, written where nothing
leads elsewhere.

A run folder may be somebody else's. Through a link in it, or a second hard link of a file, raygan
would write into any file of its user; a pipe in a file's place would make whoever reads it wait for
ever. So every part of a name below the run folder is opened for itself, links are refused, and
temporary names are made exclusively.
"""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import stat
import time
from collections.abc import Iterator
from pathlib import Path

from raygan.errors import ConfigError

FILES = (
    "run.json", "config.json", "metrics.jsonl", "events.jsonl", "metrics.parquet", "scale.json",
    "stop.json", "mixture.json", "best.json", "summary.json", "trackers.json", "schedule.jsonl",
)  # fmt: skip
FOLDERS = ("journal", "checkpoints", "samples", "report")
STALE_S = 60.0
"""Age of a temporary file whose writer was killed: none takes so long."""
"""What a run writes itself; whatever else lies in its folder is the user's."""


@contextlib.contextmanager
def folder_within(root: Path, name: str = "", make: bool = False) -> Iterator[int]:
    """A handle of a folder below `root`, never through a link. Raises OSError that names what is in
    the way.
    """
    at = os.open(root, os.O_RDONLY | os.O_DIRECTORY)
    try:
        for part in Path(name).parts:
            if make:
                with contextlib.suppress(FileExistsError):
                    os.mkdir(part, dir_fd=at)
            with _told(root, name):
                inner = os.open(part, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=at)
            os.close(at)
            at = inner
        yield at
    finally:
        os.close(at)


def open_within(root: Path, name: str, flags: int) -> int:
    """A handle of a plain file below `root` that has no other name. Raises OSError."""
    folder, _, last = name.rpartition("/")
    with folder_within(root, folder) as at, _told(root, name):
        handle = os.open(last, flags | os.O_NOFOLLOW | os.O_NONBLOCK, 0o666, dir_fd=at)
    facts = os.fstat(handle)
    if stat.S_ISREG(facts.st_mode) and facts.st_nlink <= 1:
        return handle
    os.close(handle)
    why = "has a second name, a hard link" if stat.S_ISREG(facts.st_mode) else "is not a plain file"
    raise OSError(errno.EMLINK, why, str(root / name))


def _temporary(last: str, at: int) -> tuple[str, int]:
    """(name, open file) for what is to become `last` in the folder `at`."""
    name, flags = f"{last}.tmp", os.O_CREAT | os.O_EXCL | os.O_WRONLY
    # of a writer that was killed, or a link: the name itself goes
    with contextlib.suppress(FileNotFoundError):
        # the wall clock: a file's time is by it
        old = time.time() - os.lstat(name, dir_fd=at).st_mtime > STALE_S  # noqa: TID251
        if old or _is_link(name, at):
            os.unlink(name, dir_fd=at)
    try:
        return name, os.open(name, flags, 0o666, dir_fd=at)
    except FileExistsError:
        # somebody else's, who may be at it: never taken away from under him
        name = f"{last}.{secrets.token_hex(4)}.tmp"
        return name, os.open(name, flags, 0o666, dir_fd=at)


def write_within(root: Path, name: str, raw: bytes) -> None:
    """Replace a file below `root` as a whole: write under a temporary name, fsync, rename, fsync
    the folder. Of several that do it at once the last one's stays. Raises OSError.
    """
    folder, _, last = name.rpartition("/")
    with folder_within(root, folder, make=True) as at, _told(root, name):
        if _is_link(last, at):
            raise OSError(errno.ELOOP, os.strerror(errno.ELOOP))
        temporary, handle = _temporary(last, at)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(raw)
                file.flush()
                # before the rename: after a power cut the name would lead to an empty file else
                os.fsync(file.fileno())
            os.rename(temporary, last, src_dir_fd=at, dst_dir_fd=at)
        except OSError:
            # its room is needed
            with contextlib.suppress(OSError):
                os.unlink(temporary, dir_fd=at)
            raise
        # the new name is durable only with its folder
        os.fsync(at)


def write_atomically(path: Path, content: bytes) -> None:
    """`write_within` the file's own folder."""
    write_within(path.parent, path.name, content)


def sync_folder(path: Path) -> None:
    """Make renames within a folder durable."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def open_plain(path: Path) -> int:
    """A handle to read; never a pipe, a device or a folder. Raises OSError."""
    # nobody may ever write into a pipe that lies in a file's place: without O_NONBLOCK the open
    # itself would wait
    handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    if stat.S_ISREG(os.fstat(handle).st_mode):
        return handle
    os.close(handle)
    raise OSError(errno.EINVAL, "is not a plain file", str(path))


def read_plain(path: Path) -> bytes:
    """A file's content. Raises OSError."""
    with os.fdopen(open_plain(path), "rb") as file:
        return file.read()


def remove_within(root: Path, name: str) -> None:
    """A name directly in `root`, whatever it is that has it; nothing where nothing has, or it
    cannot go.
    """
    with contextlib.suppress(OSError):
        if (root / name).is_dir() and not (root / name).is_symlink():
            (root / name).rmdir()
        else:
            (root / name).unlink()


def refuse_unwritable(root: Path, why: str) -> None:
    """Before a run folder is gone on with. Raises ConfigError where it can only be read, or where
    what is written would land elsewhere.
    """
    if not os.access(root, os.W_OK | os.X_OK):
        raise ConfigError(
            f"run {str(root)!r} can only be read: it cannot be {why}. Copy it: cp -r {root} NEW."
        )
    inside = [
        Path(f, entry.name)
        for f in FOLDERS
        if (root / f).is_dir()
        for entry in os.scandir(root / f)
    ]
    for name in [*map(Path, (*FILES, *FOLDERS)), *inside]:
        if (root / name).is_symlink():
            raise ConfigError(
                f"run {str(root)!r}: {name} is a link, and raygan writes through none. Copy it"
                f" without links: cp -rL {root} NEW."
            )


def say(error: OSError) -> str:
    """What went wrong, for a sentence in brackets."""
    return " ".join(str(part) for part in (error.filename, error.strerror or error) if part)


def _is_link(name: str, at: int) -> bool:
    try:
        return stat.S_ISLNK(os.lstat(name, dir_fd=at).st_mode)
    except FileNotFoundError:
        return False


@contextlib.contextmanager
def _told(root: Path, name: str) -> Iterator[None]:
    """An error of the block names the file, and a link as what it is."""
    try:
        yield
    except OSError as error:
        link = error.errno in (errno.ELOOP, errno.ENOTDIR) and _has_link(root, name)
        pipe = error.errno == errno.ENXIO
        why = (
            "is a link" if link else "is not a plain file" if pipe else error.strerror or str(error)
        )
        raise OSError(error.errno, why, str(root / name)) from None


def _has_link(root: Path, name: str) -> bool:
    return any(
        (root / part).is_symlink() for part in (Path(name), *Path(name).parents) if part.name
    )
