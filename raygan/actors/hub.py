"""The one place that others look at while a run goes on: it keeps what the run folder says, in
memory, under a name.

    controller -> HubLink --push: what was added to the small files, beats--> hub actor
                  HubLink <--requests (scale, stop) that somebody left there-- ask()

    hub actor     "raygan/RUN/hub", or @2, @3: runs in other folders may have the same name
                  gauges, set again on each tick -> Prometheus
                  read(offsets) -> watch, status, the live page

The driver's end, `HubLink`, is `hub_link.py`.

So whoever reaches the cluster can follow and steer a run whose folder it does not see, and the
driver is on nobody's path: a push that is still under way holds back the next one, never a round.
The hub holds nothing that the folder does not have; when it dies it is made again, and told again
from the folder.
"""

from __future__ import annotations

import contextlib
import threading
import time
import uuid
from typing import Any

import ray
from ray.exceptions import RayError
from ray.util import list_named_actors

from raygan.actors.gauges import Gauges
from raygan.actors.process import Process
from raygan.controller.jsonl import parse, told_by_a_run
from raygan.moved import named

TICK_S = 5.0
"""Between two settings of all gauges: Ray forgets a gauge that is not set again."""
LOOKS_S = 10.0
"""Who has looked within so many seconds looks on."""
LOGS = ("metrics.jsonl", "events.jsonl")
KEEP_BYTES = 32 << 20
"""Of each log; older lines are dropped from memory, and counted. The folder has them all."""
KEEP_SAMPLES = 400
"""Files of samples."""


def hubs_of(run: str) -> dict[str, Any]:
    """Folder -> hub, of the runs of this name that go on on the cluster."""
    stem, found = f"raygan/{run}/hub", dict[str, Any]()
    for name in list_named_actors():
        if name.partition("@")[0] == stem:
            # One may be gone since it was listed.
            with contextlib.suppress(ValueError, RayError):
                hub = ray.get_actor(name)
                found[str(ray.get(hub.lies.remote(), timeout=20.0))] = hub
    return found


class HubActor(Process):
    """Keeps the small files of one run and exports its gauges; imports no torch."""

    def __init__(self, run: str, folder: str = "", gauges: bool = True) -> None:
        super().__init__()
        self.run = run
        self.folder = folder
        self.life = uuid.uuid4().hex
        self.files: dict[str, bytes] = {}
        self.logs = {name: Log() for name in LOGS}
        self.requests: list[dict[str, Any]] = []
        self.gauges = Gauges(run)
        self._lock = threading.Lock()
        self._over = threading.Event()
        self._exports = True
        """Has the run players whose gauges say something?"""
        self._readers: dict[str, tuple[float, bool]] = {}
        """Who looks on -> when it looked last, and whether that was after the end."""
        if gauges:
            # a thread of its own: gauges have to be set also while nobody pushes
            threading.Thread(target=self._tick_for_ever, daemon=True).start()

    def __repr__(self) -> str:
        return f"{self.run}/hub"

    def push(
        self, life: str, added: dict[str, tuple[int, bytes]], whole: dict[str, bytes],
        beats: dict[str, float],
    ) -> tuple[str, dict[str, int], list[dict[str, Any]]]:  # fmt: skip
        """Take what is new. Returns (this hub's life, bytes of each log that it knows, requests
        since the last push).

        added: log -> (offset, bytes); what does not join on is left, and the sender sees from the
        answer where to go on. beats: player -> seconds since it last gave a sign of life.
        """
        with self._lock:
            # what was meant for the hub before this one joins on to nothing here
            if life in ("", self.life):
                self.files |= whole
                rows = [
                    (n, parse(s)) for n, new in added.items() for s in self.logs[n].append(*new)
                ]
                if self._exports:
                    self._export(parse(whole.get("run.json", b"")), rows, beats)
                self._forget_samples()
            asked, self.requests = self.requests, []
            return self.life, {name: log.end for name, log in self.logs.items()}, asked

    def _export(
        self, info: dict[str, Any] | None, rows: list[tuple[str, Any]], beats: dict[str, float]
    ) -> None:
        # before the lines: it is the newest of all, and says who takes part
        if info is not None:
            self.gauges.info(info)
        for name, row in rows:
            if row is not None and told_by_a_run(row):
                self.gauges.take(name, row)
        self.gauges.beats(beats)

    def _forget_samples(self) -> None:
        names = [name for name in self.files if name.startswith("samples/")]
        for name in sorted(names)[: max(0, len(names) - KEEP_SAMPLES)]:
            del self.files[name]

    def read(
        self, have: list[str], offsets: dict[str, int], who: str = ""
    ) -> tuple[dict[str, tuple[int, bytes]], dict[str, bytes]]:
        """(log -> (offset, what was added since), small files: those that change, and the samples
        that are not in `have`). who: a name that no other reader has.
        """
        with self._lock:
            self._forget_readers()
            self._readers[who] = time.monotonic(), self._over.is_set()
            added = {name: log.since(offsets.get(name, 0)) for name, log in self.logs.items()}
            known = set(have)
            return added, {
                n: raw
                for n, raw in self.files.items()
                if not n.startswith("samples/") or n not in known
            }

    def leave(self, who: str) -> None:
        """This reader looks no more."""
        with self._lock:
            self._readers.pop(who, None)

    def _forget_readers(self) -> None:
        """Those that are gone without a word: a hub is not to remember, nor to wait for them."""
        now = time.monotonic()
        self._readers = {w: r for w, r in self._readers.items() if now - r[0] <= LOOKS_S}

    def lies(self) -> str:
        """The run's folder, where its driver is."""
        return self.folder

    def ask(self, request: dict[str, Any]) -> None:
        """Leave a request ({"verb": "scale" | "stop", "id": ..., ...}) for the driver."""
        with self._lock:
            self.requests.append(request)

    def rest(self) -> None:
        """All is trained: what is measured now shows in the files, and nobody is alive or dead."""
        with self._lock:
            self._exports = False
            self.gauges.end()

    def bye(self) -> None:
        """The run has ended: nothing is exported any more."""
        self.rest()
        with self._lock:
            self._over.set()

    def heard(self) -> bool:
        """Has everybody who looks on seen the end? Nobody waits where nobody does."""
        with self._lock:
            self._forget_readers()
            return all(told for _, told in self._readers.values())

    def _tick_for_ever(self) -> None:
        while True:
            # asked here, not by the driver: a GCS that has just died does not answer for 60 s, and
            # Ray ends whoever waits for it then
            use = store_use()
            with self._lock:
                if not self._exports:
                    return
                self.gauges.store(use)
                self.gauges.tick()
            self._over.wait(TICK_S)


class Log:
    """The end of an append-only file."""

    def __init__(self) -> None:
        self.begin = 0
        self.raw = bytearray()
        self.dropped = 0
        """Bytes that are in the folder only."""

    @property
    def end(self) -> int:
        """Bytes of the file that are known."""
        return self.begin + len(self.raw)

    def append(self, offset: int, raw: bytes) -> list[bytes]:
        """Whole lines that are new; [] where they do not join on.

        >>> log = Log()
        >>> log.append(0, b"a\\nb\\n"), log.append(9, b"z\\n"), log.append(2, b"b\\nc\\n"), log.end
        ([b'a', b'b'], [], [b'c'], 6)
        """
        # told twice changes nothing, and a gap is told again: the sender goes by `end` (decision
        # 28)
        if offset > self.end or offset + len(raw) <= self.end:
            return []
        new = raw[self.end - offset :]
        self.raw += new
        if len(self.raw) > KEEP_BYTES:
            # at the begin of a line: readers get whole ones
            cut = self.raw.find(b"\n", len(self.raw) - KEEP_BYTES) + 1
            del self.raw[:cut]
            self.begin += cut
            self.dropped += cut
        return new.splitlines()

    def since(self, offset: int) -> tuple[int, bytes]:
        """(where it begins, what was added since)."""
        start = max(offset, self.begin)
        return start, bytes(self.raw[start - self.begin :])


def store_use() -> dict[str, float]:
    """Bytes in the cluster's object stores, and what fits."""
    have, free = ray.cluster_resources(), ray.available_resources()
    total = have.get("object_store_memory", 0.0)
    return {
        "store_capacity": total,
        "store_used": max(0.0, total - free.get("object_store_memory", 0.0)),
    }


def __getattr__(name: str) -> Any:
    return named(__name__, name)
