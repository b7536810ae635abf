"""What a run tells beside journal and checkpoints: it is written where there is room, and never
ends training.

row, event --> Log: whole lines or none; what does not fit waits in memory --> written with the next
one that does run.json, config.json --> the newest waits --> written with the next thing that can be
samples --> lost, and counted

Each file's first failure is told (W203), all are counted; what was not written in the end is told
there, and in run.json.
"""

from __future__ import annotations

import contextlib
import os
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from raygan.controller.files import open_within, remove_within, write_within

RESERVE, RESERVED = ".room", 1 << 16
"""A file of so many bytes that stands in the run folder while the run goes on, and gives way to its
last words.
"""
WAITING_BYTES = 1 << 20
"""Lines of one file that wait in memory; further ones are lost, and counted."""
BLOCK = 1 << 16


class Log:
    """An append-only file: whole lines get into it, or nothing."""

    def __init__(self, root: Callable[[], Path], name: str) -> None:
        self.root = root
        self.name = name
        self.waiting = b""
        self.lost = 0
        """Lines that found no room, neither there nor here."""
        self._handle: int | None = None

    @property
    def unwritten(self) -> int:
        """Lines that are not in the file."""
        return self.lost + self.waiting.count(b"\n")

    def add(self, line: bytes) -> None:
        """A line, behind those that wait. Raises OSError: then some wait still."""
        self.waiting += line
        try:
            self.flush()
        finally:
            # only what found no room there counts: a line may be longer than what may wait (a
            # meeting of thousands of pairs)
            whole = self.waiting.rfind(b"\n", 0, WAITING_BYTES) + 1
            if len(self.waiting) > WAITING_BYTES:
                self.lost += self.waiting.count(b"\n", whole)
                self.waiting = self.waiting[:whole]

    def flush(self) -> None:
        """Write what waits: as many whole lines as there is room for. Raises OSError where that is
        not all.
        """
        if not self.waiting:
            return
        if self._handle is None:
            self._handle = open_within(self.root(), self.name, os.O_RDWR | os.O_CREAT | os.O_APPEND)
            cut_torn_line(self._handle)
        end, done = os.lseek(self._handle, 0, os.SEEK_END), 0
        try:
            while done < len(self.waiting):
                done += os.write(self._handle, self.waiting[done:])
        except OSError:
            whole = self.waiting.rfind(b"\n", 0, done) + 1
            # else the next one cuts it off, when it opens the file
            with contextlib.suppress(OSError):
                os.ftruncate(self._handle, end + whole)
            self.waiting = self.waiting[whole:]
            self.close()
            raise
        self.waiting = b""

    def close(self) -> None:
        """The file; what waits goes on waiting. A late error of a write (NFS) has nobody left whom
        it would help.
        """
        if self._handle is not None:
            with contextlib.suppress(OSError):
                os.close(self._handle)
            self._handle = None


class Telemetry:
    """All of a run's files of that kind."""

    def __init__(self, root: Callable[[], Path]) -> None:
        self.root = root
        self.trouble: Callable[[str, OSError], None] | None = None
        """Is told of each file's first failure, once the run is under way; until then a failure is
        raised.
        """
        self._logs: dict[str, Log] = {}
        self._whole: dict[str, bytes] = {}
        self._lost: Counter[str] = Counter()
        self._told: set[str] = set()

    def reserve(self) -> None:
        """Keep room for the run's last words. Raises OSError: a run that could not even tell its
        end is not begun.
        """
        # of a run that was killed
        remove_within(self.root(), RESERVE)
        # random bytes: no file system packs them together, so that the room is really taken
        write_within(self.root(), RESERVE, os.urandom(RESERVED))

    def append(self, name: str, line: bytes) -> None:
        """One line of a log."""
        log = self._logs.setdefault(name, Log(self.root, name))
        with self._trying(name):
            log.add(line)
        self._write_whole()

    def replace(self, name: str, raw: bytes) -> None:
        """A file as a whole."""
        self._whole[name] = raw
        self._write_whole()

    def keep(self, files: Mapping[str, bytes]) -> None:
        """Files that do not wait for room: what cannot be written of them is lost."""
        for name, raw in files.items():
            kind = name.partition("/")[0]
            with self._trying(kind):
                # counted before: a kill or an error leaves it counted
                self._lost[kind] += 1
                write_within(self.root(), name, raw)
                self._lost[kind] -= 1

    def flush(self) -> None:
        """Try once more to write what waits for room."""
        for name, log in self._logs.items():
            with self._trying(name):
                log.flush()
        self._write_whole()

    def unwritten(self) -> dict[str, int]:
        """file -> lines (or files, of samples) that are not on disk."""
        counts = Counter({name: log.unwritten for name, log in self._logs.items()})
        return dict(sorted((+(counts + self._lost + Counter(self._whole.keys()))).items()))

    def close(self) -> None:
        """The run ends. Try once more, with what was kept free for that: run.json first."""
        # a mount that is away keeps its reserve
        with contextlib.suppress(OSError):
            remove_within(self.root(), RESERVE)
        self._write_whole()
        self.flush()
        for log in self._logs.values():
            log.close()

    def abandon(self) -> None:
        """The files are somebody else's now: what waits is not written, the reserve is theirs."""
        for log in self._logs.values():
            log.close()
        self._logs.clear()
        self._whole.clear()

    def _write_whole(self) -> None:
        for name, raw in list(self._whole.items()):
            with self._trying(name):
                write_within(self.root(), name, raw)
                # only once it is there: it is tried again with whatever is written next
                del self._whole[name]

    @contextlib.contextmanager
    def _trying(self, name: str) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            # before the run is under way nobody is there to tell it, and nothing to lose
            if self.trouble is None:
                raise
            if name not in self._told:
                self._told.add(name)
                self.trouble(name, error)


def cut_torn_line(handle: int) -> None:
    """A killed writer may have left half a line at the end: cut it off before appending."""
    end = os.lseek(handle, 0, os.SEEK_END)
    at = end
    while at > 0:
        begin = max(0, at - BLOCK)
        newline = os.pread(handle, at - begin, begin).rfind(b"\n")
        at = begin if newline < 0 else begin + newline + 1
        if newline >= 0:
            break
    if at != end:
        os.ftruncate(handle, at)
