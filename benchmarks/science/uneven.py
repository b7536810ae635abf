"""Asynchronous training on uneven machines: `python -m benchmarks uneven [SEEDS] [KIND ...]` (1,
all); writes results/uneven.json

The same preset, asynchronous on Ray, once with every process as it is, and once with one of them
stopped (SIGSTOP) nine tenths of the time: a member, or the judge (pmgan), the global pair (sgan).
Steps as the preset has them. What is scored is what the strategy is for: PMGAN's mixture, SGAN's
global generator, the mean over GAP's pairs. `spread`: the most steps that one player was ahead of
another, at the end of any round.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import torch

from benchmarks.common import gone_on, show, spread
from raygan.actors.cluster import cluster
from raygan.actors.executor import RayExecutor
from raygan.config import resolve
from raygan.controller.controller import Controller
from raygan.controller.orders import Done
from raygan.service.training import train

KINDS = {
    "pmgan, even": ("ring8-pmgan", ""),
    "pmgan, a slow generator": ("ring8-pmgan", "gen-03"),
    "pmgan, the judge slow": ("ring8-pmgan", "judge"),
    "sgan, even": ("ring8-sgan", ""),
    "sgan, a slow local": ("ring8-sgan", "pair-03"),
    "sgan, the global pair slow": ("ring8-sgan", "global"),
    "gap, even": ("ring8-gap", ""),
    "gap, a slow pair": ("ring8-gap", "pair-01"),
}
SCORED = {"ring8-pmgan": "mixture", "ring8-sgan": "global"}
METRICS = ("modes", "modes@10%", "high_quality", "reverse_kl")
STOPPED_S, RUNS_S = 0.9, 0.1


class Slow:
    """A listener: stops and wakes the process of one player in turn, and notes how far the players
    are apart.
    """

    def __init__(self, player: str) -> None:
        self.player = player
        self.spread = 0
        self.over = threading.Event()
        self.pid = 0

    def __call__(self, controller: Controller, done: Done) -> None:
        """A round has ended."""
        steps = list(controller.state.done.values())
        self.spread = max(self.spread, max(steps) - min(steps))

    def tick(self, controller: Controller) -> None:
        """Each turn of the loop; the process changes where it is replaced."""
        executor = controller.executor
        if (
            self.player
            and isinstance(executor, RayExecutor)
            and self.player in executor.workers.places
        ):
            first, self.pid = not self.pid, executor.workers.places[self.player][1]
            if first:
                threading.Thread(target=self.hinder, daemon=True).start()

    def hinder(self) -> None:
        """Until it is over."""
        while not self.over.is_set():
            for number, seconds in ((signal.SIGSTOP, STOPPED_S), (signal.SIGCONT, RUNS_S)):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(self.pid, number)
                time.sleep(seconds)

    def close(self) -> None:
        """The run is over."""
        self.over.set()


def one(kind: str, seed: int) -> dict[str, Any]:
    """Scores, seconds, and how far apart they were."""
    preset, player = KINDS[kind]
    flags: dict[str, Any] = {
        "tempo": "async", "seed": seed, "resources.pairs_per_actor": 1, "resources.spares": 0,
        "failures.lease_s": 30.0,
    }  # fmt: skip
    slow = Slow(player)
    with tempfile.TemporaryDirectory() as folder:
        run = train(
            resolve(preset, flags=flags),
            run_dir=Path(folder),
            name="run",
            listeners=[slow],
            address="auto",
        )
        slow.close()
        rows, who = run.scores(), SCORED.get(preset)
        scored = [rows[who]] if who else [rows[p] for p in run.pairs]
        return {
            **{m: sum(r[m] for r in scored) / len(scored) for m in METRICS},
            "spread": slow.spread,
            "seconds": run.info["elapsed"],
            "warnings": run.info.get("warnings", {}),
        }


def main() -> None:
    """The table."""
    torch.set_num_threads(1)
    seeds = next((int(a) for a in sys.argv[1:] if a.isdigit()), 1)
    kinds = [k for k in KINDS if not sys.argv[2:] or any(a in k for a in sys.argv[2:])]
    with cluster("local", 256):
        found = gone_on("uneven", kinds, seeds, one)
    columns = (*METRICS, "spread", "seconds")
    show(["", *columns], [[k, *(spread([r[c] for r in found[k]]) for c in columns)] for k in kinds])


if __name__ == "__main__":
    main()
