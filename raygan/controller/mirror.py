"""What a run in a bucket writes into its local folder, sent after it: run.json, config, logs,
samples, report. Nothing rests on it; journal and checkpoints go to the bucket themselves.

    a file that has changed    put as a whole; one that is gone is removed
    metrics.jsonl              metrics.jsonl/<epoch>-<number>: whole lines;
                               the last one grows up to 1 MiB

Every few seconds, before each checkpoint is recorded (so that a run that goes on from it has all
rows of before it), and at the end. What cannot be sent is tried again, counted and told (W203).
Requests of others (`raygan stop`, `raygan scale`) are brought from the bucket on the way; one to
scale stays there, with what was decided of it, until it is done with: whoever goes on with the run
on another machine finds it.
"""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

from raygan.controller.bucket import BucketStorage
from raygan.controller.bucket_copies import (
    LOGS,
    PROTECTED,
    address_of,
    as_fetched,
    fetched,
    storage_of,
)
from raygan.controller.files import read_plain, write_within
from raygan.controller.journal import Journal
from raygan.controller.jsonl import NOTES, read_info, tail
from raygan.controller.listener import Listener, Running
from raygan.controller.requests import SCALE, STOP, of
from raygan.controller.run_folder import RunFolder
from raygan.errors import StaleEpochError

PACE_S = 5.0
SEGMENT = 1 << 20
GONE = (0, -1)


class Brought:
    """Requests of others, between the bucket and the local folder."""

    def __init__(self, root: Path, storage: BucketStorage) -> None:
        self.root = root
        self.storage = storage
        self._asked: dict[str, tuple[int, int]] = {}
        """Those to scale that are in the bucket and here, as they were when they were sent."""

    def bring(self) -> None:
        """Each is here before it is gone there: a kill between leaves it twice, never nowhere."""
        # asked for by its name: the list may come late
        stop = [STOP] if self.storage.exists(STOP) else []
        for name in dict.fromkeys([*stop, *of(self.storage.list("."))]):
            stays = SCALE.fullmatch(name)
            # what is here knows as much as the bucket, or what was decided since; what was here is
            # done with, and goes there next
            if stays and (name in self._asked or (self.root / name).exists()):
                continue
            # the list names what another push has taken already
            with contextlib.suppress(FileNotFoundError):
                write_within(self.root, name, self.storage.read(name))
                if stays:
                    self._asked[name] = _facts(self.root / name)
                else:
                    self.storage.remove(name)

    def send(self) -> None:
        """What was decided of those to scale; one that is done with is gone there, too."""
        here = [p.name for p in self.root.iterdir() if SCALE.fullmatch(p.name)]
        # oldest first: a kill between two must not leave an older one, to be answered last
        for name in sorted({*here, *self._asked}):
            facts = _facts(self.root / name)
            if facts == GONE:
                # just done with, and never there, is no reason to ask the bucket
                if name in self._asked:
                    self.storage.remove(name)
                    del self._asked[name]
            elif facts != self._asked.get(name):
                self.storage.write(name, read_plain(self.root / name))
                self._asked[name] = facts


class Mirror(Listener):
    """Of one driver's life. `begin` starts it, `close` ends it with what is left."""

    def __init__(self, folder: RunFolder, journal: Journal, storage: BucketStorage) -> None:
        self.folder = folder
        self.storage = storage
        self.epoch = journal.epoch
        self.fence: Callable[[], None] = journal.fence
        """Raises StaleEpochError once the run is somebody else's: then nothing is sent."""
        self.behind: dict[str, OSError] = {}
        """What could not be sent yet, and why."""
        self._told: set[str] = set()
        there, same = fetched(self.root), as_fetched(self.root)
        self._sent = {name: _facts(self.root / name) for name in _files(self.root) if name in same}
        self._logs = {
            log: (sum(v[1] for n, v in there.items() if n.startswith(f"{log}/")), 1) for log in LOGS
        }
        """Log -> (where its newest segment begins, the number of that)."""
        self._ends = {log: begin for log, (begin, _) in self._logs.items()}
        self.requests = Brought(self.root, storage)
        self._lock, self._over = threading.Lock(), threading.Event()
        self._thread = threading.Thread(target=self._go_on, name="mirror", daemon=True)

    @property
    def root(self) -> Path:
        """The local folder of the run that is sent on."""
        return self.folder.path

    def begin(self, run: Running) -> None:
        """All that there is, then what comes."""
        self.fence = lambda: run.log.journal.fence()
        self.push()
        self._thread.start()

    def tick(self, run: Running) -> None:
        """Tell, in the driver's own thread, what has failed for the first time."""
        for name, error in list(self.behind.items()):
            if name not in self._told:
                self._told.add(name)
                run.log.warn(
                    "W203 file-not-written",
                    f"{name}: not in the bucket ({error.strerror}); the run goes on, and sends it"
                    " when it can",
                )

    def close(self) -> None:
        """Stop the thread, and send the last words."""
        self._over.set()
        if self._thread.ident is not None:
            self._thread.join()
        self.push()
        if self.behind:
            why = next(iter(self.behind.values())).strerror
            NOTES.warning(
                "not in %s: %s (%s); they are in %s",
                self.storage.objects.address,
                ", ".join(self.behind),
                why,
                self.root,
            )

    def push(self) -> None:
        """Send the files that have changed since the last time."""
        with self._lock:
            try:
                # a driver that was fenced off sends nothing: the newer one's files lie there by now
                self.fence()
                self.requests.bring()
                self.requests.send()
            except StaleEpochError:
                return
            except OSError as error:
                self.behind["requests"] = error
                return
            self.behind.pop("requests", None)
            for log in LOGS:
                self._try(log, self._send_log)
            # run.json last: whoever sees it finds all that it tells of
            names = sorted(_files(self.root), key=lambda n: n == "run.json")
            for name in names:
                if self._sent.get(name) != _facts(self.root / name):
                    self._try(name, self._send)
            for name in {*self._sent} - {*names}:
                self._try(name, self._remove)

    def _go_on(self) -> None:
        while not self._over.wait(PACE_S):
            self.push()

    def _try(self, name: str, send: Callable[[str], None]) -> None:
        try:
            send(name)
            self.behind.pop(name, None)
        except FileNotFoundError:
            # it is gone again
            return
        except OSError as error:
            self.behind[name] = error

    def _send(self, name: str) -> None:
        # looked at before it is read: written meanwhile, it is sent once more
        facts = _facts(self.root / name)
        self.storage.write(name, read_plain(self.root / name))
        self._sent[name] = facts

    def _remove(self, name: str) -> None:
        """A database's journal that outlives it would undo what was written after it."""
        self.storage.remove(name)
        self.behind.pop(name, None)
        del self._sent[name]

    def _send_log(self, name: str) -> None:
        """The newest segment again, with what has come; full ones stay as they are."""
        begin, number = self._logs[name]
        while True:
            lines = tail(self.root / name, begin, SEGMENT)
            if begin + len(lines) <= self._ends[name]:
                return
            self.storage.write(f"{name}/{self.epoch:08d}-{number:08d}", lines)
            self._ends[name] = begin + len(lines)
            if len(lines) < SEGMENT // 2:
                return
            begin, number = self._ends[name], number + 1
            self._logs[name] = (begin, number)


def mirror_of(folder: RunFolder, journal: Journal) -> list[Mirror]:
    """The one of a run in a bucket; none of another."""
    storage = journal.storage
    if address_of(folder.path) is None or not isinstance(storage, BucketStorage):
        return []
    return [Mirror(folder, journal, storage)]


def send(path: Path) -> None:
    """Once a run has ended: what was made of it since (its report). Nothing happens with a run that
    is not in a bucket, or is somebody else's by now.
    """
    storage = storage_of(path)
    if not isinstance(storage, BucketStorage) or _epoch(storage) != read_info(path).get("epoch"):
        return
    for name in _files(path):
        try:
            raw = read_plain(path / name)
            if not (storage.exists(name) and storage.read(name) == raw):
                storage.write(name, raw)
        except OSError as error:
            NOTES.warning("not in %s: %s (%s)", storage.objects.address, name, error.strerror)


def _epoch(storage: BucketStorage) -> object:
    """Whose the run is now, as its run.json says; None where that cannot be had."""
    try:
        return json.loads(storage.read("run.json")).get("epoch")
    except (OSError, ValueError, AttributeError):
        return None


def _files(root: Path) -> Iterator[str]:
    """Whole files, as far as they are the run's: no links, nothing hidden or half made."""
    for path in sorted(root.rglob("*")):
        name = str(path.relative_to(root))
        top = name.partition("/")[0]
        hidden = any(part.startswith(".") for part in Path(name).parts)
        if top in (*PROTECTED, *LOGS) or of([top]) or hidden or name.endswith(".tmp"):
            continue
        if path.is_file() and not path.is_symlink():
            yield name


def _facts(path: Path) -> tuple[int, int]:
    try:
        found = path.stat()
    except FileNotFoundError:
        return GONE
    return (found.st_mtime_ns, found.st_size)
