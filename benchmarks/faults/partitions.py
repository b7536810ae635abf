"""Partitions on real Ray: `python -m benchmarks partitions [COUNT]` (50); root only, writes
results/partitions.json after each.

Each run has two nodes, one of them in a network namespace, and loses the cable between them once:

    long    from a random step until the run has gone on without the far node for a random number
            of steps; what the far players still send when the cable is back belongs to an epoch
            that is over
    short   for 0.2 to 1.5 s: whether Ray takes the node for dead or not, the run has to end

Runs are lockstep, the kinds in turn; chaos.py's checker judges what is left: chain, permutations,
accounts, final bits.
"""

from __future__ import annotations

import random
import sys
import tempfile
import threading
from collections import Counter
from pathlib import Path
from typing import Any

import torch

from benchmarks.common import write
from benchmarks.faults.chaos import judge, quantiles, rollback, undisturbed
from raygan.actors.executor import RayExecutor
from raygan.config import Config
from raygan.controller.controller import Controller
from raygan.controller.orders import Done
from raygan.controller.run_folder import RunFolder
from raygan.strategies.base import Setup
from tests.actors.partition import CABLE, Cut, Nodes, cable, ip
from tests.conftest import tiny_config

STEPS = 60
KINDS: dict[str, dict[str, Any]] = {
    "gap": {"strategy": {"name": "gap", "swap_every": 4}},
    "pmgan": {"strategy": {"name": "pmgan"}, "loss": "reverse_kl"},
    "sgan": {"strategy": {"name": "sgan", "messenger_lifetime": 2}},
}


class Blip(Cut):
    """The cable is out for so many seconds, whatever the run does."""

    def __init__(self, pull: int, seconds: float) -> None:
        super().__init__(pull, STEPS)
        self.seconds = seconds
        self.timer: threading.Timer | None = None

    def __call__(self, controller: Controller, done: Done) -> None:
        """As Cut; plugged in by a clock."""
        super().__call__(controller, done)
        if self.pulled is not None and self.timer is None:
            self.timer = threading.Timer(self.seconds, ip, ["link", "set", CABLE, "up"])
            self.timer.start()
            self.plugged = True


def drawn(rng: random.Random) -> tuple[str, Cut]:
    """What is done to one run."""
    pull = rng.randrange(5, 25)
    if rng.random() < 1 / 3:
        return "short", Blip(pull, rng.uniform(0.2, 1.5))
    return "long", Cut(pull, pull + rng.randrange(1, 25))


def config_of(kind: str) -> Config:
    """A small run on both nodes."""
    return tiny_config(
        num_pairs=2, steps=STEPS, checkpoint={"every_steps": 5}, evaluation={"every_steps": STEPS},
        round_steps=2, failures={"budget": 10, "lease_s": 8.0},
        resources={"placement": "SPREAD", "spares": "auto", "cpus_per_pair": 0.5}, **KINDS[kind],
    )  # fmt: skip


def one_run(
    seed: int, cut: Cut, setup: Setup, expected: dict[str, str]
) -> tuple[int, Counter[str], int]:
    """(attempts, what was found wrong by kind, most steps that a restart undid) of a run whose
    cable is pulled.
    """
    with tempfile.TemporaryDirectory() as folder:
        controller = Controller(
            setup.config,
            RunFolder.create(Path(folder), "run"),
            lambda: RayExecutor(f"cut{seed}", setup),
            [cut],
            400,
        )
        controller.run()
        path = controller.log.folder.path
        return controller.log.journal.epoch, judge(path, expected, STEPS), rollback(path)


def main() -> None:
    """One after the other."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 50
    torch.set_num_threads(1)
    calm = {kind: undisturbed(config_of(kind)) for kind in KINDS}
    runs, wrong, again = Counter[str](), Counter[str](), Counter[str]()
    recovery, undone = list[float](), dict[str, int]()
    with cable(), Nodes() as nodes:
        for seed in range(count):
            kind = sorted(KINDS)[seed % len(KINDS)]
            length, cut = drawn(random.Random(seed))
            nodes.start_far()
            attempts, found, most = one_run(seed, cut, *calm[kind])
            if isinstance(cut, Blip) and cut.timer:
                cut.timer.join()
            nodes.end_far()
            wrong.update(found)
            wrong["never plugged in"] += not cut.plugged
            runs[f"{kind}, {length}"] += 1
            again[length] += attempts > 1
            undone[kind] = max(undone.get(kind, 0), most)
            if cut.recovered is not None:
                recovery.append(cut.recovered)
            write("partitions", {
                "partitions": seed + 1, "runs": dict(runs), "wrong": dict(wrong),
                "started_again": dict(again), "recovery_s": quantiles(recovery) if recovery else {},
                "rollback_steps_max": undone,
            })  # fmt: skip
            print(
                f"{seed + 1}: {kind}, {length}, {attempts} attempts; wrong: {dict(+wrong)}",
                flush=True,
            )
    if +wrong:
        sys.exit(1)


if __name__ == "__main__":
    main()
