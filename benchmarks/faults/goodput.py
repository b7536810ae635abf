"""Goodput: `python -m benchmarks goodput [KILLS] [KIND ...] [TEMPO ...] [K=16]` (3, all); writes
benchmarks/results/goodput.json after each row, and keeps the rows that are not measured again.

Share of the time of a run with a kill a minute that its steps would take undisturbed:

    goodput = 1 - mean(lost) / 60 s
    lost    = seconds of a disturbed window - steps that stayed in it x seconds a step of the calm
              windows on both sides

One run, windows of 12 s in turn: calm, disturbed, calm, disturbed, ..., calm, so that machine,
placement and neighbours are the same for both. At the beginning of a disturbed window one SIGKILL
strikes the process of a player, drawn from the seed; the window ends when 12 s are over and
everybody is where they were at the kill. Steps are the mean over all players (global pair and judge
too); what a kill undoes counts backwards. Detection, new processes, restores and steps done twice
are in `lost`; start and imports of the run are not.

Processes share the machine's cores: where there are more of them than cores, those who live on get
the dead one's share, and lose less than they would on machines of their own.

K = 4: a process each. K = 16: eight pairs a process (`pairs_per_actor`), which die together.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import random
import signal
import statistics
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from benchmarks.common import conditions, kept, write
from raygan.actors.cluster import cluster
from raygan.actors.executor import RayExecutor
from raygan.config import Config
from raygan.controller.checkpoint import newest_valid
from raygan.controller.controller import Controller
from raygan.controller.orders import Done
from raygan.controller.run_folder import RunFolder
from raygan.errors import Interrupted
from tests.conftest import setup_of, tiny_config

STRATEGIES: dict[str, dict[str, Any]] = {
    "independent": {"strategy": "independent"},
    "sgan": {"strategy": {"name": "sgan", "messenger_lifetime": 5}},
    "gap": {"strategy": {"name": "gap", "swap_every": 50}},
    "pmgan": {"strategy": {"name": "pmgan"}, "loss": "reverse_kl"},
}
MINUTE_S, WINDOW_S = 60.0, 12.0
FOREVER, WARM = 10**6, 50


@dataclass
class Window:
    """What was done in a part of the run."""

    seconds: float
    steps: float


class Clock:
    """Ends one window and begins the next; strikes at the beginning of every second one."""

    def __init__(self, kills: int, rng: random.Random) -> None:
        self.number, self.rng = 2 * kills + 1, rng
        self.windows: list[Window] = []
        self.struck: list[str] = []
        self.began: float | None = None
        self.before: dict[str, int] = {}
        """Everybody's steps at the beginning of the window."""

    def __call__(self, controller: Controller, done: Done) -> None:
        """The first window begins when everybody has done some rounds."""
        if self.began is None and min(controller.state.done.values()) >= WARM:
            self._begin(controller)

    def _begin(self, controller: Controller) -> None:
        self.began, self.before = time.perf_counter(), dict(controller.state.done)

    def tick(self, controller: Controller) -> None:
        """Each turn of the loop."""
        if self.began is None or controller.state.stop_signal is not None:
            return
        seconds, now = time.perf_counter() - self.began, controller.state.done
        if seconds < WINDOW_S or any(now[p] < steps for p, steps in self.before.items()):
            return
        self.windows.append(
            Window(seconds, statistics.mean(now[p] - steps for p, steps in self.before.items()))
        )
        self._begin(controller)
        if len(self.windows) == self.number:
            controller.stop(signal.SIGTERM)
        elif len(self.windows) % 2:
            self._strike(controller.executor)

    def _strike(self, executor: Any) -> None:
        assert isinstance(executor, RayExecutor)
        name = self.rng.choice(sorted(set(executor.workers.actors) & set(executor.workers.places)))
        os.kill(executor.workers.places[name][1], signal.SIGKILL)
        self.struck.append(name)

    def lost(self) -> list[float]:
        """Seconds that each kill cost."""
        out = []
        for calm, window, after in zip(
            self.windows[::2], self.windows[1::2], self.windows[2::2], strict=False
        ):
            a_step = (calm.seconds + after.seconds) / (calm.steps + after.steps)
            out.append(window.seconds - window.steps * a_step)
        return out


def config_of(kind: str, tempo: str, k: int) -> Config:
    """Small pairs, a checkpoint every few seconds."""
    return tiny_config(
        num_pairs=k, steps=FOREVER, tempo=tempo, round_steps=25, batch_size=64,
        checkpoint={"every_steps": 100}, network={"name": "mlp", "hidden": 64, "z_dim": 2},
        evaluation={"every_steps": FOREVER}, failures={"budget": FOREVER},
        resources={"spares": 1, "pairs_per_actor": 1 if k == 4 else 8}, **STRATEGIES[kind],
    )  # fmt: skip


def measure(config: Config, kills: int, seed: int) -> Clock:
    """A whole run by the clock; what it leaves on the disk is read back."""
    clock, setup = Clock(kills, random.Random(seed)), setup_of(config)
    with tempfile.TemporaryDirectory() as parent:
        folder = RunFolder.create(Path(parent), "run")
        controller = Controller(config, folder, lambda: RayExecutor("goodput", setup), [clock], 400)
        with contextlib.suppress(Interrupted):
            controller.run()
        checkpoint, problems = newest_valid(folder.path)
        assert checkpoint is not None
        assert problems == []
        assert dict(checkpoint.steps) == dict(controller.state.done), (
            "what was counted is what was committed"
        )
    return clock


def row(kind: str, tempo: str, k: int, kills: int) -> dict[str, Any]:
    """One line of the table."""
    clock = measure(config_of(kind, tempo, k), kills, sum(map(ord, f"{kind}{tempo}{k}")))
    lost, calm = clock.lost(), clock.windows[::2]
    return {
        "strategy": kind, "tempo": tempo, "pairs": k,
        "goodput": round(1 - statistics.mean(lost) / MINUTE_S, 3),
        "lost_s": [round(s, 2) for s in lost],
        "step_ms": [round(1000 * w.seconds / w.steps, 2) for w in calm], "killed": clock.struck,
    }  # fmt: skip


def main() -> None:
    """The table."""
    torch.set_num_threads(1)
    kills = next((int(a) for a in sys.argv[1:] if a.isdigit()), 3)
    kinds = [a for a in sys.argv[1:] if a in STRATEGIES] or list(STRATEGIES)
    tempos = [a for a in sys.argv[1:] if a in ("async", "lockstep")] or ["async", "lockstep"]
    sizes = [int(a[2:]) for a in sys.argv[1:] if a.startswith("K=")] or [4, 16]
    before = kept("goodput").get("rows", [])
    rows = {(r["strategy"], r["tempo"], r["pairs"]): r for r in before}
    began = time.perf_counter()
    with cluster("local", 256):
        for key in itertools.product(kinds, tempos, sizes):
            rows[key] = row(*key, kills) | {"commit": conditions()["commit"]}
            print(rows[key], flush=True)
            minutes = round((time.perf_counter() - began) / 60, 1)
            payload = {"kills": kills, "minutes": minutes, "rows": list(rows.values())}
            write("goodput", {**conditions(), **payload})


if __name__ == "__main__":
    main()
