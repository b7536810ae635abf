"""Where a run is kept: the few operations that its safety rests on, so that they can be simulated
and made to fail. On a disk: `LocalStorage`; in an object store: `bucket.BucketStorage`.

A name is a path within the run folder. Power may be lost at any instant: a file's content is there
for sure once `write` or `append` has returned, its name once `create` or `publish` has.
"""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol


class Storage(Protocol):
    """What a journal and checkpoints need; every method may raise OSError."""

    def create(self, name: str) -> None:
        """Make an empty file, and make its name durable. Raises FileExistsError: of several callers
        one succeeds.
        """

    def append(self, name: str, raw: bytes) -> None:
        """Add to a file; durable on return."""

    def write(self, name: str, raw: bytes) -> None:
        """Make a file with this content; durable on return, but for its name."""

    def read(self, name: str) -> bytes:
        """A file's content. Raises FileNotFoundError."""

    def tail(self, name: str, size: int) -> bytes:
        """The last `size` bytes of a file, or all that it has."""

    def exists(self, name: str) -> bool:
        """Is there a file or a folder of this name?"""

    def list(self, folder: str) -> list[str]:
        """Sorted names in a folder; [] where there is none. No links."""

    def stage(self, folder: str, by: int) -> str:
        """The name under which a folder is made, out of sight until `publish`; by: the epoch that
        makes it.
        """

    def publish(self, place: str, folder: str, fence: Callable[[], None]) -> str:
        """What was made at `place` is there as a whole, durable with its name; returns that:
        `folder`, which must not exist, or one that begins so. fence: asked in the last moment.
        """

    def unfinished(self, folder: str) -> Sequence[str]:
        """Names in a folder that were staged and not published."""

    def remove(self, name: str) -> None:
        """A file, or a folder with all that is in it; nothing happens where there is none."""

    look_s: float
    """Seconds between two looks of those who only want to know early that they were fenced off."""


class Landed(OSError):
    """The append before, which had failed, is there all the same; this one was not tried."""

    def __init__(self, raw: bytes, name: str) -> None:
        """raw: what was appended then."""
        super().__init__(errno.EIO, "the append before was written", name)
        self.raw = raw


class Renaming:
    """`stage` and `publish` where there are folders, fsync and an atomic rename."""

    look_s = 0.0

    def exists(self, name: str) -> bool:
        """As `Storage`."""
        raise NotImplementedError

    def list(self, folder: str) -> list[str]:
        """As `Storage`."""
        raise NotImplementedError

    def make_folder(self, name: str) -> None:
        """Make a folder, and those above it."""
        raise NotImplementedError

    def rename(self, old: str, new: str) -> None:
        """Atomic; `new` must not exist. Durable after `sync` of the folder."""
        raise NotImplementedError

    def sync(self, folder: str) -> None:
        """Make the names in a folder durable."""
        raise NotImplementedError

    def stage(self, folder: str, by: int) -> str:
        """A name that ends in .tmp."""
        above = str(Path(folder).parent)
        if not self.exists(above):
            self.make_folder(above)
            self.sync(str(Path(above).parent))
        place = f"{folder}.{by}.tmp"
        self.make_folder(place)
        return place

    def publish(self, place: str, folder: str, fence: Callable[[], None]) -> str:
        """Durable contents, then the name, then a durable name: a whole checkpoint, or none."""
        # parts and manifest are durable before the folder has its name: a power cut leaves a whole
        # checkpoint under it, or a .tmp
        self.sync(place)
        # asked in the last moment: gigabytes of parts take long, and another driver may have taken
        # over meanwhile
        fence()
        # what is renamed and not recorded does not count yet: the journal's record decides
        self.rename(place, folder)
        self.sync(str(Path(folder).parent))
        return folder

    def unfinished(self, folder: str) -> Sequence[str]:
        """What a killed writer has left: names that end in .tmp."""
        return [n for n in self.list(folder) if n.endswith(".tmp")]


class LocalStorage(Renaming):
    """A folder here, or on a shared file system with atomic rename and exclusive create."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def create(self, name: str) -> None:
        """O_EXCL: the file system is the arbiter."""
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
        self.sync(str(Path(name).parent))
        # and the folder's own name, which may be new as well
        self.sync(str(Path(name).parent.parent))

    def append(self, name: str, raw: bytes) -> None:
        """One write, one fsync. What of a failed write got through is cut off again."""
        with (self.root / name).open("r+b", buffering=0) as file:
            end = file.seek(0, os.SEEK_END)
            try:
                whole = file.write(raw)
                if whole != len(raw):
                    raise OSError(
                        28, f"only {whole} of {len(raw)} bytes were written", str(self.root / name)
                    )
                os.fsync(file.fileno())
            except OSError as error:
                # else the next record would stand behind half of this one, and the reader stops at
                # damage
                file.truncate(end)
                # a failed write names no file
                error.filename = error.filename or str(self.root / name)
                raise

    def write(self, name: str, raw: bytes) -> None:
        """Write the file, and fsync what is in it."""
        handle = os.open(self.root / name, os.O_CREAT | os.O_TRUNC | os.O_WRONLY, 0o600)
        with os.fdopen(handle, "wb") as file:
            file.write(raw)
            file.flush()
            os.fsync(file.fileno())

    def read(self, name: str) -> bytes:
        """Never through a link, also of a folder on the way."""
        return linkless(self.root, name).read_bytes()

    def tail(self, name: str, size: int) -> bytes:
        """The last bytes of a file, which is never reached through a link."""
        with linkless(self.root, name).open("rb") as file:
            file.seek(-min(size, file.seek(0, os.SEEK_END)), os.SEEK_END)
            return file.read()

    def exists(self, name: str) -> bool:
        """A link counts: its name is taken."""
        return os.path.lexists(self.root / name)

    def list(self, folder: str) -> list[str]:
        """The names of files and folders in it, but for links."""
        path = self.root / folder
        return sorted(p.name for p in path.iterdir() if not p.is_symlink()) if path.is_dir() else []

    def make_folder(self, name: str) -> None:
        """Make the folder and those above it, for this user alone."""
        (self.root / name).mkdir(parents=True, exist_ok=True, mode=0o700)

    def rename(self, old: str, new: str) -> None:
        """rename(2); onto a folder that holds something it fails."""
        (self.root / old).rename(self.root / new)

    def remove(self, name: str) -> None:
        """rm -rf, of this name only."""
        path = self.root / name
        # a link goes as a link, never what it leads to
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)

    def sync(self, folder: str) -> None:
        """fsync the folder, so that the names in it are durable."""
        handle = os.open(self.root / folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def linkless(root: Path, name: str) -> Path:
    """The path of a name below `root`. Raises OSError where a part of it is a link: a run folder
    may be somebody else's, and lead anywhere.
    """
    path = root
    for part in Path(name).parts:
        path /= part
        if path.is_symlink():
            raise OSError(errno.ELOOP, "is a link", str(path))
    return path
