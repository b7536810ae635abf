"""Who is to leave its machine, as far as Ray and the processes themselves say: a node that is
drained, a process that got SIGTERM (decision 60).
"""

from __future__ import annotations

import time

from raygan.actors.draining import draining, here
from raygan.actors.liveness import Pulse
from raygan.actors.worker_group import WorkerGroup

LOOK_S = 0.5
"""Between two questions to the GCS: each is a call, and the driver's loop turns more often."""


class Departures:
    """Of the actors of one run."""

    def __init__(self, workers: WorkerGroup, pulse: Pulse) -> None:
        self.workers = workers
        self.pulse = pulse
        self._told: dict[str, str] = {}
        self._looked = 0.0

    def helpers_too(self) -> dict[str, str]:
        """All that have been given notice, as of now -> what it says; "": this process."""
        self._looked = time.monotonic()
        workers, away = self.workers, draining()
        told = {
            name: f"node {node[:12]} is being drained"
            for name, (node, _) in workers.places.items()
            if node in away
        }
        # by the actor, not by its name alone: its successor was told nothing
        for name, actor in self.pulse.noticed.items():
            if workers.actors.get(name) is actor:
                told[name] = "its process got SIGTERM"
        # a deputy's shard is the global pair's work: that one moves, and begins its deputies anew
        for name in [n for n in told if n in workers.deputies]:
            told.setdefault(str(workers.deputised), told[name])
        if (mine := here()) in away:
            told[""] = f"node {mine[:12]} is being drained"
        self._told = told
        return told

    def players(self) -> dict[str, str]:
        """Players that have, and this process; what was told up to LOOK_S ago."""
        if time.monotonic() - self._looked >= LOOK_S:
            self.helpers_too()
        actors = self.workers.actors
        return {n: why for n, why in self._told.items() if n in actors or not n}
