"""The driver's end of the hub: what was added to the run folder's small files goes to the hub, and
what somebody asks of the run there comes back.
"""

from __future__ import annotations

import contextlib
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import ray
from ray.exceptions import RayError

from raygan.actors.cluster import OwnRay, dead_head
from raygan.actors.hub import KEEP_SAMPLES, LOGS, HubActor
from raygan.actors.process import put
from raygan.controller.bucket_copies import shown
from raygan.controller.jsonl import tail
from raygan.controller.listener import Listener

if TYPE_CHECKING:
    from raygan.controller.listener import Running

PUSH_S = 1.0
"""Between two pushes, at least."""
WHOLE = ("run.json", "config.json", "config.yaml", "command.txt", "best.json", "mixture.json")
LAST_S = 5.0
"""For somebody who looks on to see the end."""
PUSH_BYTES = 8 << 20
"""Most bytes of a push; the rest goes with the next one."""


class HubLink(Listener):
    """The driver's end: a listener of the controller. Never waits; what could not be told yet is
    told by the next push.
    """

    def __init__(self, run: str, folder: Path) -> None:
        self.run = run
        self.folder = folder
        self._at = 0.0
        self.seconds = 0.0
        """Spent here, for the figure of what the hub costs."""
        self._make()

    def _make(self) -> None:
        """On the present Ray; what it is to know is told from the folder."""
        self.ray = OwnRay.starts
        hub = put(ray.remote(HubActor), self.run, "hub", "DEFAULT", 0, restarts=-1)
        self.hub = hub.remote(self.run, shown(self.folder.absolute()))
        self.life = ""
        self.known = dict.fromkeys(LOGS, 0)
        self._under_way: Any = None
        self._sent: dict[str, tuple[int, int]] = {}

    def begin(self, run: Running) -> None:
        """Whoever looks on while players start, which may take a minute, sees that they do."""
        self._push({})

    def tick(self, run: Running) -> None:
        """Every turn of the run's loop: hear the answer to the last push, send the next."""
        now = time.monotonic()
        if now - self._at < PUSH_S or dead_head():
            return
        if self.ray != OwnRay.starts:
            self._make()
        # one push at a time: a hub that is slow must not make the driver hold copies of its logs
        if self._under_way is not None and not ray.wait([self._under_way], timeout=0)[0]:
            return
        self._at = now
        self._hear(run)
        executor: Any = run.executor
        self._push(executor.pulse.ages() if executor is not None else {})
        self.seconds += time.monotonic() - now

    def _hear(self, run: Running | None) -> None:
        if self._under_way is None:
            return
        try:
            life, known, requests = ray.get(self._under_way, timeout=10.0)
        except RayError:
            # its process has died, and Ray makes it again (max_restarts=-1) with nothing in it:
            # what it knew is told again
            self.life, self.known, self._sent = "", dict.fromkeys(LOGS, 0), {}
            self._under_way = None
            return
        self._under_way = None
        if life != self.life:
            self._sent = {} if self.life else self._sent
            self.life = life
        self.known = known
        for request in requests:
            if run is not None:
                run.asked(request)

    def _push(self, beats: dict[str, float]) -> None:
        added, budget = dict[str, tuple[int, bytes]](), PUSH_BYTES
        for name in LOGS:
            # bounded: a long log of a resumed run must not stop the loop; the rest goes with the
            # next push
            raw = tail(self.folder / name, self.known[name], budget)
            budget -= len(raw)
            added[name] = self.known[name], raw
        whole, sent = dict[str, bytes](), dict[str, tuple[int, int]]()
        samples = sorted((self.folder / "samples").glob("*.npy"))[-KEEP_SAMPLES:]
        for path in [*(self.folder / name for name in WHOLE), *samples]:
            # one that is gone, or cannot be read just now, goes with a later push
            with contextlib.suppress(OSError):
                facts = path.stat()
                key = str(path.relative_to(self.folder))
                if self._sent.get(key) != (facts.st_mtime_ns, facts.st_size) and budget > 0:
                    whole[key] = path.read_bytes()
                    budget -= len(whole[key])
                    sent[key] = facts.st_mtime_ns, facts.st_size
        self._under_way = self.hub.push.remote(self.life, added, whole, beats)
        # only now: what an error has kept here is told again
        self._sent |= sent

    def trained(self) -> None:
        """What is measured now takes minutes, in which nothing is pushed: no player is dead."""
        if self.ray != OwnRay.starts or dead_head():
            return
        with contextlib.suppress(RayError):
            self._hear(None)
            self._push({})
            self.hub.rest.remote()

    def close(self) -> None:
        """The run has ended, well or not: tell the end, and take the hub away."""
        # it is gone, with the Ray that it was on
        if self.ray != OwnRay.starts or dead_head():
            return
        with contextlib.suppress(RayError):
            # a push that is under way, then the rest, which may be more than one push holds
            for _ in range(3):
                self._hear(None)
                self._push({})
            self._hear(None)
            ray.get(self.hub.bye.remote(), timeout=5.0)
            # who looks on comes every few seconds: gone at once, the hub would take the end along
            until = time.monotonic() + LAST_S
            while time.monotonic() < until:
                if ray.get(self.hub.heard.remote(), timeout=5.0):
                    break
                time.sleep(0.1)
        ray.kill(self.hub)
