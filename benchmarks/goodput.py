"""Goodput: `python -m benchmarks.goodput [SECONDS] [KIND ...]` (60, all); writes benchmarks/results/goodput.json after each row.

Goodput of a run = steps that stayed x time that a step takes undisturbed / wall time, where

    steps that stayed    mean over all players (global pair and judge too) of their steps in the last committed checkpoint: what was
                         undone counts once, and what was never committed not at all
    undisturbed          the same config on the same Ray just before, for a quarter of the time: wall time / steps, nobody killed
    wall time            from when all have done 50 steps (which count nowhere) to the end of the save with which the run is stopped

and in each minute of it one SIGKILL strikes a player's process: which one, and when in the first 40 s, is drawn from the seed.
Start and imports of a run are in neither; detection, new processes, restores and steps done twice are all in the wall time.

K = 4: a process each. K = 16: eight pairs a process (`pairs_per_actor`), which die together.
"""

from __future__ import annotations

import contextlib
import os
import random
import signal
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import torch

from benchmarks.common import write
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
MINUTE_S, FIRST_S = 60.0, 40.0
FOREVER, WARM = 10**6, 50


class Clock:
    """Kills at the times drawn, and stops the run at its time; warm-up is in neither."""

    def __init__(self, seconds: float, kills: list[float], rng: random.Random) -> None:
        self.seconds, self.kills, self.rng = seconds, list(kills), rng
        self.began: float | None = None
        self.before = 0.0
        """Steps, when the clock began to run."""
        self.struck: list[str] = []

    def __call__(self, controller: Controller, done: Done) -> None:
        """The clock runs once everybody has done some rounds."""
        if self.began is None and min(controller.done.values()) >= WARM:
            self.began, self.before = time.perf_counter(), statistics.mean(controller.done.values())

    def tick(self, controller: Controller) -> None:
        """Each turn of the loop."""
        if self.began is None or controller.stop_signal is not None:
            return
        now = time.perf_counter() - self.began
        if self.kills and now >= self.kills[0]:
            self.kills.pop(0)
            executor = controller.executor
            assert isinstance(executor, RayExecutor)
            name = self.rng.choice(sorted(set(executor.actors) & set(executor.places)))
            os.kill(executor.places[name][1], signal.SIGKILL)
            self.struck.append(name)
        if now >= self.seconds:
            controller.stop(signal.SIGTERM)


def config_of(kind: str, tempo: str, k: int) -> Config:
    """Small pairs, a checkpoint every few seconds."""
    return tiny_config(
        num_pairs=k, steps=FOREVER, tempo=tempo, round_steps=25, batch_size=64, checkpoint={"every_steps": 100},
        network={"name": "mlp", "hidden": 64, "z_dim": 2}, evaluation={"every_steps": FOREVER}, failures={"budget": FOREVER},
        resources={"spares": 1, "pairs_per_actor": 1 if k == 4 else 8}, **STRATEGIES[kind],
    )  # fmt: skip


def measure(config: Config, seconds: float, kills: list[float], seed: int) -> tuple[float, float, list[str]]:
    """(steps that stayed, wall time, who was killed) of one run."""
    clock, setup = Clock(seconds, kills, random.Random(seed)), setup_of(config)
    with tempfile.TemporaryDirectory() as parent:
        folder = RunFolder.create(Path(parent), "run")
        controller = Controller(config, folder, lambda: RayExecutor("goodput", setup), [clock], 400)
        with contextlib.suppress(Interrupted):
            controller.run()
        assert clock.began is not None, "it has trained"
        wall = time.perf_counter() - clock.began
        checkpoint, problems = newest_valid(folder.path)
        assert checkpoint is not None
        assert problems == []
        return statistics.mean(checkpoint.steps.values()) - clock.before, wall, clock.struck


def drawn(seconds: float, rng: random.Random) -> list[float]:
    """A kill in each minute, early enough that all it costs falls into the run."""
    return [
        m * MINUTE_S + rng.uniform(0, min(FIRST_S, seconds * 2 / 3)) for m in range(max(1, int(seconds // MINUTE_S)))
    ]


def row(kind: str, tempo: str, k: int, seconds: float) -> dict[str, Any]:
    """One line of the table."""
    config, seed = config_of(kind, tempo, k), sum(map(ord, f"{kind}{tempo}{k}"))
    calm, calm_s, _ = measure(config, seconds / 4, [], seed)
    stayed, wall, struck = measure(config, seconds, drawn(seconds, random.Random(seed)), seed)
    goodput = stayed * (calm_s / calm) / wall
    return {
        "strategy": kind, "tempo": tempo, "pairs": k, "goodput": round(goodput, 3), "steps": stayed, "wall_s": round(wall, 1),
        "step_ms": round(1000 * calm_s / calm, 2), "lost_s": round(wall * (1 - goodput) / len(struck), 2), "killed": struck,
    }  # fmt: skip


def main() -> None:
    """The table."""
    torch.set_num_threads(1)
    seconds = next((float(a) for a in sys.argv[1:] if a.replace(".", "").isdigit()), MINUTE_S)
    kinds = [a for a in sys.argv[1:] if a in STRATEGIES] or list(STRATEGIES)
    rows: list[dict[str, Any]] = []
    began = time.perf_counter()
    with cluster("local", 256):
        for kind in kinds:
            for tempo in ("async", "lockstep"):
                for k in (4, 16):
                    rows.append(row(kind, tempo, k, seconds))
                    print(rows[-1], flush=True)
                    minutes = round((time.perf_counter() - began) / 60, 1)
                    write("goodput", {"seconds": seconds, "minutes": minutes, "rows": rows})


if __name__ == "__main__":
    main()
