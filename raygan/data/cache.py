"""What large sources hold, decoded once: ~/.cache/raygan/read/KEY (XDG_CACHE_HOME), which later
starts and other processes read.

    KEY     hash of the source's files (path, size, times),
            of the settings that reading depends on, of the readers
    KEY/    samples, classes.npy, about.json with the SHA-256 of the samples,
            which is checked at every start

A folder is made under another name and renamed when it is whole; one writes at a time, the others
wait and take what it wrote. What cannot be written there is read into memory, told, where it has
room.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import json
import logging
import os
import shutil
import uuid
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np

from raygan.data.cache_listing import cache_folder, make_room
from raygan.data.cache_sources import FileSource, Source, readers, told_apart
from raygan.data.free_memory import size_text
from raygan.data.keeping import PLACE, watched
from raygan.data.questions import ANSWERED
from raygan.data.record import Read, Record, Scaling
from raygan.data.rows import Rows
from raygan.data.split import fingerprint
from raygan.data.stored import Stored
from raygan.errors import DataError

NO_RESERVING = (errno.EOPNOTSUPP, errno.EINVAL, errno.ENOSYS)
log = logging.getLogger("raygan.cache")


def through_cache(source: FileSource, read: Callable[[], Read]) -> Read:
    """What `read` gives, large samples from the cache. Raises DataError."""
    shelf = Shelf.of(source)
    if shelf is None:
        return read()
    if found := shelf.load():
        return found
    # readers are plain functions of the source: where what they keep goes is set around them
    token = PLACE.set(shelf)
    try:
        return shelf.commit(read())
    except _ThereByNow:
        # it may be gone again by now: then the source is read without the cache
        return shelf.load() or read()
    finally:
        PLACE.reset(token)
        shelf.close()


class _ThereByNow(Exception):
    """Another process has read the same in the meantime."""


class Shelf:
    """One source's folder in the cache."""

    def __init__(self, folder: Path, key: str, origin: Source) -> None:
        self.path, self.origin = folder / key, origin
        # a name of its own: two that were started together never write into one folder
        self.making = folder / f"{key}.{uuid.uuid4().hex[:12]}.tmp"
        self.lock: int | None = None
        self.files = 0

    @classmethod
    def of(cls, source: FileSource) -> Shelf | None:
        """None where nothing is to be kept, or there is no home."""
        settings = source.model_dump(mode="json", exclude_defaults=True)
        folder, origin = cache_folder(), {"name": source.name, **settings}
        if source.cache == "off" or folder is None or (parts := source.sources()) is None:
            return None
        origin["path"] = os.path.abspath(Path(source.path).expanduser())  # noqa: PTH100  links stay
        known = source.model_dump(mode="json", exclude={*source.not_read, "path"})
        if answers := sorted(ANSWERED.get()):
            # what is read without a question is not there for who would be asked
            known["answered"] = answers
        told = json.dumps(
            [readers(), source.name, known, list(map(told_apart, parts))], sort_keys=True
        )
        return cls(
            folder,
            hashlib.sha256(told.encode("utf-8", "surrogateescape")).hexdigest()[:32],
            Source(origin),
        )

    def load(self) -> Read | None:
        """What was kept; None where it is not there, or no longer what was written."""
        try:
            about = json.loads((self.path / "about.json").read_text())
            dtype, shape = np.dtype(about["dtype"]), tuple(about["shape"])
            array = Stored(self.path / about["file"], dtype, shape)
            if array.stamp is None or array.stamp[0] < array.nbytes:
                raise ValueError("it is shorter than it was")
            # all of it, at every start: a cache that has rotted is worse than none
            self._checked(array, about["sha256"])
            names = about["classes"]
            classes = (
                None if names is None else [names[i] for i in np.load(self.path / "classes.npy")]
            )
        except FileNotFoundError:
            return None
        except (OSError, ValueError, KeyError, TypeError) as error:
            log.warning("data cache %s is damaged (%s): the source is read again", self.path, error)
            return None
        with contextlib.suppress(OSError):  # a folder that can only be read
            # when it was last of use: `cache_listing.cleared` asks
            os.utime(self.path / "about.json")
        record = Record(**about["record"])
        record.kept = f"{size_text(array.nbytes)} from the cache {self.path}"
        return Read(array, record, Scaling.of(about["scaling"]), classes)

    def _checked(self, array: Stored, expected: str | None = None) -> None:
        array.origin, array.sha256 = self.origin, expected or ""
        array.sha256 = fingerprint(array)
        if expected not in (None, array.sha256):
            raise ValueError(f"sha256 {array.sha256[:12]}.., written was {str(expected)[:12]}..")

    def write(self, rows: Rows, what: str) -> Stored | str:
        """The samples in a file of the folder being made, or why that cannot be. Raises DataError
        for a full disk.
        """
        try:
            self._begin()
            path = self.making / f"samples-{self.files}"
            file = os.open(path, os.O_CREAT | os.O_WRONLY | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        except OSError as error:
            return f"{self.path.parent}: {error.strerror}"
        self.files += 1
        with os.fdopen(file, "wb") as out:
            try:
                # first: a disk that is too small is known before hours of decoding, not after
                reserve(file, rows.nbytes)
            except OSError as error:
                path.unlink()
                return f"{size_text(rows.nbytes)} in {self.path.parent}: {error.strerror}"
            count = written(out, rows, what, self.path.parent)
        return Stored(path, rows.dtype, (count, *rows.shape[1:]))

    def _begin(self) -> None:
        """Raises _ThereByNow where somebody else has written it while we waited; OSError."""
        if self.making.exists():
            return
        self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        if self.lock is None:
            self._lock()
        if (self.path / "about.json").exists() and self.load():
            raise _ThereByNow
        for left in self.path.parent.glob(f"{self.path.name}.*.tmp"):
            shutil.rmtree(left, ignore_errors=True)  # of one that was killed: we have the lock
        self.making.mkdir(mode=0o700)

    def _lock(self) -> None:
        self.lock = os.open(
            self.path.with_suffix(".lock"), os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600
        )
        try:
            fcntl.flock(self.lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            log.warning(
                "data cache %s: another process reads the same data; waiting for it", self.path
            )
            fcntl.flock(self.lock, fcntl.LOCK_EX)
        except OSError:  # a file system without locks: the rename decides
            pass

    def commit(self, found: Read) -> Read:
        """Make what was written one folder, by rename; small samples and files of the user's own
        stay where they are.
        """
        array = found.array
        if not isinstance(array, Stored):
            return found
        self._checked(array)
        # a user's own .npy or IDX file is used where it lies
        if array.path.parent != self.making:
            found.record.kept = (
                f"{size_text(array.nbytes)} in {array.path} itself, read as they are drawn"
            )
            return found
        try:
            self._finish(array, found)
        except OSError as error:
            raise full(self.path.parent, error) from None
        make_room(self.path.parent)
        array.path = self.path / array.path.name
        found.record.kept = (
            f"{size_text(array.nbytes)} in the cache {self.path}, for the next start"
        )
        return replace(found, array=array)

    def _finish(self, array: Stored, found: Read) -> None:
        # of a source in several steps (decoded, then scaled) only the last is kept
        for other in self.making.iterdir():
            if other != array.path:
                other.unlink()
        names: list[str] | None = None
        if found.classes is not None:
            # names once, a number a sample: a million strings would be larger than the samples
            names, number = (
                a.tolist() for a in np.unique(np.array(found.classes), return_inverse=True)
            )
            np.save(self.making / "classes.npy", np.array(number, np.int32))
        about = {
            "file": array.path.name, "dtype": array.dtype.str, "shape": list(array.shape),
            "sha256": array.sha256, "classes": names,
            "scaling": found.scaling and found.scaling.plain(), "record": asdict(found.record),
        }  # fmt: skip
        with (self.making / "about.json").open("w") as file:
            json.dump(about, file)
            file.flush()
            os.fsync(file.fileno())
        shutil.rmtree(self.path, ignore_errors=True)  # a damaged one
        try:
            self.making.rename(self.path)
        except OSError as error:  # one without locks may have been faster, with the same
            if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                raise

    def close(self) -> None:
        """What was not committed goes; whoever waits may write."""
        shutil.rmtree(self.making, ignore_errors=True)
        if self.lock is not None:
            os.close(self.lock)  # the file stays: others may wait for this very one
            self.lock = None


def reserve(file: int, nbytes: int) -> None:
    """So much of the disk, at once. Raises OSError where it has not that much."""
    try:
        # some file systems cannot: then the write itself will say so
        os.posix_fallocate(file, 0, nbytes)
    except OSError as error:
        if error.errno not in NO_RESERVING:
            raise


def written(out: Any, rows: Rows, what: str, folder: Path) -> int:
    """How many samples there were. Raises DataError for a disk that is full."""
    count = 0
    for part in watched(what, rows):
        try:
            out.write(np.ascontiguousarray(part).reshape(-1).view(np.uint8).data)
        except OSError as error:
            raise full(folder, error) from None
        count += len(part)
    try:
        out.flush()
        # fewer samples than were reserved for, where pictures were left out
        os.ftruncate(out.fileno(), out.tell())
        os.fsync(out.fileno())
    except OSError as error:
        raise full(folder, error) from None
    return count


def full(folder: Path, error: OSError) -> DataError:
    """The line for a cache that takes no more."""
    return DataError(
        f"data cache {folder}: {error.strerror}. Make room there, set XDG_CACHE_HOME to another"
        " folder, or data.cache: off."
    )
