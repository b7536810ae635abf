"""A run's journal and checkpoints in an object store (S3, Google Cloud, Azure), through obstore.

    journal/00000001.jsonl/00000000          made by one writer alone (conditional put):
                                             the epoch is its own
    journal/00000001.jsonl/00000001 ...      what was appended, an object each, conditional too
    checkpoints/00000500.3f2a9c1b04de/...    parts, the manifest last;
                                             the name is of this attempt alone

A store has no rename, no append and no fsync. It has a put that is atomic and durable on return,
and one that fails where the object exists: on that all rests. What a list does not show yet is
asked for by its name, since numbers have no gaps. A reply may be lost:
then what lies there is read.
"""

from __future__ import annotations

import contextlib
import errno
import re
import uuid
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

from raygan.controller.storage import Landed
from raygan.object_store import Objects, open_objects

LOG = ".jsonl"
"""What ends so is appended to."""
NUMBERED = re.compile(r"([0-9]{8})\.jsonl")
AT_ONCE = 16
"""Objects that are read at once."""
LOOK_S = 2.0


class BucketStorage:
    """`Storage` below a prefix of a bucket."""

    look_s = LOOK_S
    """Each look is a request."""

    def __init__(self, objects: Objects) -> None:
        self.objects = objects
        self.logs = Logs(objects)

    # ------------------------------------------------------------------------- logs (see `Logs`)

    def create(self, name: str) -> None:
        """The store is the arbiter."""
        self.logs.create(name)

    def append(self, name: str, raw: bytes) -> None:
        """One object more."""
        self.logs.append(name, raw)

    def tail(self, name: str, size: int) -> bytes:
        """Of as many segments as it takes."""
        return self.logs.tail(name, size)

    # ----------------------------------------------------------------------------------------------
    # whole objects

    def write(self, name: str, raw: bytes) -> None:
        """All of it or none, durable with its name."""
        self.objects.put(name, raw)

    def read(self, name: str) -> bytes:
        """An object, or a log from its begin."""
        return self.logs.read(name) if name.endswith(LOG) else self.objects.get(name)

    def exists(self, name: str) -> bool:
        """Asked by name; of a folder by its manifest, since a list may come late."""
        if name.endswith(LOG):
            return self.objects.there(_segment(name, 0))
        return (
            self.objects.there(name)
            or self.objects.there(f"{name}/manifest.json")
            or bool(self.objects.names(name))
        )

    def list(self, folder: str) -> list[str]:
        """What the store lists, and the numbered logs that it does not list yet."""
        names = set(self.objects.names(folder))
        found = [int(m[1]) for n in names if (m := NUMBERED.fullmatch(n))]
        if found or folder == "journal":
            last = max(found, default=0)
            for number in sorted({*range(1, last)} - {*found}):
                if self.exists(f"{folder}/{number:08d}{LOG}"):
                    names.add(f"{number:08d}{LOG}")
            while self.exists(f"{folder}/{last + 1:08d}{LOG}"):
                last += 1
                names.add(f"{last:08d}{LOG}")
        return sorted(names)

    def remove(self, name: str) -> None:
        """An object, or all below a folder; a checkpoint's manifest first, so that no half of it
        looks whole.
        """
        # a kill on the way leaves a folder without a manifest, which counts as unfinished
        names = sorted(self.objects.below(name), key=lambda n: not n.endswith("manifest.json"))
        for each in [*names, name]:
            self.objects.delete(each)

    # ----------------------------------------------------------------------------------------------
    # folders that are there as a whole

    def stage(self, folder: str, by: int) -> str:
        """A name that no other attempt has: what an older writer still sends goes elsewhere."""
        # 48 random bits: a put of a driver that was fenced off, however late, meets no committed
        # name
        return f"{folder}.{uuid.uuid4().hex[:12]}"

    def publish(self, place: str, folder: str, fence: Callable[[], None]) -> str:
        """Its manifest, which was written last, has done that."""
        fence()
        return place

    def unfinished(self, folder: str) -> Sequence[str]:
        """Folders without a manifest, as far as the store lists it."""
        inside = [n.removeprefix(f"{folder}/").split("/") for n in self.objects.below(folder)]
        whole = {path[0] for path in inside if path[-1] == "manifest.json"}
        return sorted({path[0] for path in inside if len(path) > 1} - whole)


class Logs:
    """What is appended to, as numbered segments, of one writer each:
    `journal/00000001.jsonl/00000007`. The first holds a token, which tells whose the log is.
    """

    def __init__(self, objects: Objects) -> None:
        self.objects = objects
        self._ends: dict[str, int] = {}
        """Log -> the number of its next segment."""
        self._doubts: dict[str, bytes] = {}
        """Log -> what was to be its next segment; nobody knows whether it is."""

    def create(self, name: str) -> None:
        """The store is the arbiter; whose object it is tells a token in it."""
        first, token = _segment(name, 0), uuid.uuid4().hex.encode()
        try:
            mine = self.objects.put_new(first, token)
        except OSError:
            # the reply alone may be lost: the token tells whose object lies there
            with contextlib.suppress(OSError):
                if self.objects.get(first) == token:
                    self._ends[name] = 1
                    return
            raise
        if not mine:
            raise FileExistsError(errno.EEXIST, "exists", self.objects.shown(name))
        self._ends[name] = 1

    def append(self, name: str, raw: bytes) -> None:
        """One object more. A put that may or may not have come through is settled by another one,
        empty, of the same name: one of the two is there for good.
        """
        end = self._ends[name] if name in self._ends else self._segments(name)[-1] + 1
        # a put that failed may still come through, late. An empty one of the same name ends that:
        # either is refused where the other one is, so that from now on the record is there for
        # good, or never will be. It is not deleted, since another driver may have read it (decision
        # 80)
        if name in self._doubts:
            landed = not self.objects.put_new(_segment(name, end), b"", self._doubts[name])
            self._ends[name] = end = end + 1
            doubted = self._doubts.pop(name)
            if landed:
                raise Landed(doubted, self.objects.shown(name))
        self._ends[name] = end
        # noted before it is sent: whatever ends the request, nobody knows then
        self._doubts[name] = raw
        try:
            mine = self.objects.put_new(_segment(name, end), raw)
        except OSError:
            with contextlib.suppress(OSError):
                landed = not self.objects.put_new(_segment(name, end), b"", raw)
                self._ends[name] = end + 1
                del self._doubts[name]
                if landed:
                    return
            raise
        del self._doubts[name]
        if not mine:
            raise FileExistsError(
                errno.EEXIST,
                "somebody else writes this log",
                self.objects.shown(_segment(name, end)),
            )
        self._ends[name] = end + 1

    def tail(self, name: str, size: int) -> bytes:
        """Of as many segments as it takes."""
        out = b""
        numbers = self._segments(name)[1:]
        while numbers and len(out) < size:
            some, numbers = numbers[-AT_ONCE * 4 :], numbers[: -AT_ONCE * 4]
            out = b"".join(self._all(name, some)) + out
        return out[-size:]

    def read(self, name: str) -> bytes:
        """From its begin, but for the token in its first segment."""
        return b"".join(self._all(name, self._segments(name)[1:]))

    def _segments(self, name: str) -> Sequence[int]:
        """0 and the numbers that follow it. Raises FileNotFoundError."""
        there = [int(last) for last in self.objects.names(name) if last.isdigit()]
        last = max(there, default=-1)
        # a list may be late; numbers have no gaps, so what it leaves out follows the last that it
        # shows
        while self.objects.there(_segment(name, last + 1)):
            last += 1
        if last < 0:
            raise FileNotFoundError(errno.ENOENT, "is not there", self.objects.shown(name))
        return range(last + 1)

    def _all(self, name: str, numbers: Sequence[int]) -> Iterator[bytes]:
        with ThreadPoolExecutor(AT_ONCE) as pool:
            yield from pool.map(lambda n: self.objects.get(_segment(name, n)), numbers)


def _segment(name: str, number: int) -> str:
    return f"{name}/{number:08d}"


def open_bucket(address: str) -> BucketStorage:
    """Of `s3://bucket/prefix`, gs:// and az://container/prefix. Raises ConfigError as
    `open_objects`.
    """
    return BucketStorage(open_objects(address))
