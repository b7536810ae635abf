"""Faults on real Ray: whole runs whose players, board and matchmaker are killed or stopped, until so many have struck.

    python -m benchmarks.chaos [FAULTS] [SEED]        default 1000; writes benchmarks/results/chaos.json after each run

Each run is lockstep (gap, sgan and pmgan in turn) and must end with the bits of the undisturbed run. A fault is drawn for a
named point: right after a swap, an adoption, a save, a training round or an evaluation was sent off, after a random delay of
up to 20 ms. One checker judges what is left: the journal's chain, permutations, exactly-once accounts, final bits.
"""

from __future__ import annotations

import os
import random
import signal
import statistics
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from benchmarks.common import write
from raygan.actors.cluster import cluster
from raygan.actors.executor import RayExecutor
from raygan.controller.checkpoint import newest_valid
from raygan.controller.controller import Controller
from raygan.controller.inline import InlineExecutor
from raygan.controller.journal import read_journal
from raygan.controller.orders import Done, Order
from raygan.controller.run_folder import RunFolder
from raygan.controller.storage import LocalStorage
from raygan.gan.bundle import unpack
from raygan.gan.weights import digest
from raygan.service.verify import final_states
from raygan.strategies.strategy import Setup
from tests.conftest import setup_of, tiny_config
from tests.simulation.world import Violation, check_history

KINDS: dict[str, dict[str, Any]] = {
    "gap": {"strategy": {"name": "gap", "swap_every": 4}, "num_pairs": 2},
    "sgan": {"strategy": {"name": "sgan", "messenger_lifetime": 2}, "num_pairs": 2},
    "pmgan": {"strategy": {"name": "pmgan"}, "loss": "reverse_kl", "num_pairs": 2},
}
FAULTS_A_RUN = 20
STEPS = 200


class Chaos:
    """What strikes in one run, and how long it took to go on."""

    def __init__(self, rng: random.Random) -> None:
        self.rng = rng
        self.left = FAULTS_A_RUN
        self.struck: Counter[str] = Counter()
        self.recovery: list[float] = []
        self.since: float | None = None

    def strike(self, places: Mapping[str, tuple[str, int]], point: str) -> None:
        """Perhaps kill or stop somebody."""
        if self.left == 0 or self.since is not None or self.rng.random() > 0.05:
            return
        self.left -= 1
        name = self.rng.choice(sorted(places))
        stop = self.rng.random() < 0.15
        time.sleep(self.rng.random() * 0.02)
        try:
            os.kill(places[name][1], signal.SIGSTOP if stop else signal.SIGKILL)
        except ProcessLookupError:
            return
        self.struck[f"{'SIGSTOP' if stop else 'SIGKILL'} after {point}"] += 1
        self.since = time.perf_counter()

    def heard(self) -> None:
        """An order of the new attempt was carried out."""
        if self.since is not None:
            self.recovery.append(time.perf_counter() - self.since)
            self.since = None


class Struck(RayExecutor):
    """Strikes right after an order was sent off."""

    def __init__(self, run: str, setup: Setup, chaos: Chaos) -> None:
        super().__init__(run, setup)
        self.chaos = chaos
        self.fresh = False

    def start(self, players: Any, states: Any, epoch: int = 0) -> None:
        """Another attempt."""
        super().start(players, states, epoch)
        self.fresh = True

    def submit(self, order: Order) -> None:
        """Send, then strike."""
        super().submit(order)
        self.chaos.strike(self.places, type(order).__name__)

    def wait(self, timeout_s: float) -> list[Done]:
        """The first thing that a new attempt gets done ends the recovery."""
        done = super().wait(timeout_s)
        if done and self.fresh:
            self.fresh = False
            self.chaos.heard()
        return done


def one_run(kind: str, seed: int, expected: dict[str, str], setup: Setup) -> Chaos:
    """A disturbed run; raises Violation."""
    chaos = Chaos(random.Random(seed))
    with tempfile.TemporaryDirectory() as folder:
        controller = Controller(
            setup.config, RunFolder.create(Path(folder), "run"), lambda: Struck(f"chaos{seed}", setup, chaos), [], 400
        )
        controller.run()
        storage = LocalStorage(controller.folder.path)
        history = read_journal(storage)
        check_history(history.records)
        final, problems = newest_valid(storage)
        if problems or history.problems or final is None:
            raise Violation(f"{kind}, seed {seed}: {problems + history.problems}")
        if {p: digest(unpack(r)) for p, r in final.parts.items()} != expected:
            raise Violation(f"{kind}, seed {seed}: the final bits are not those of the undisturbed run")
    return chaos


def main() -> None:
    """Run until so many faults have struck."""
    wanted = int(sys.argv[1]) if len(sys.argv) > 1 else 1000
    first = int(sys.argv[2]) if len(sys.argv) > 2 else 0
    torch.set_num_threads(1)
    struck: Counter[str] = Counter()
    recovery: list[float] = []
    runs: Counter[str] = Counter()
    expected: dict[str, dict[str, str]] = {}
    setups: dict[str, Setup] = {}
    for kind, changes in KINDS.items():
        config = tiny_config(
            steps=STEPS, checkpoint={"every_steps": 10}, evaluation={"every_steps": STEPS}, round_steps=5,
            failures={"budget": 10**6, "lease_s": 3.0}, resources={"spares": 1},
            **changes,
        )  # fmt: skip
        setups[kind] = setup_of(config)
        states = final_states(config, lambda kind=kind: InlineExecutor(setups[kind]))  # type: ignore[misc]
        expected[kind] = {p: digest(unpack(r)) for p, r in states.items()}
    seed, began = first, time.perf_counter()
    with cluster("local", 256):
        while sum(struck.values()) < wanted:
            kind = sorted(KINDS)[seed % len(KINDS)]
            chaos = one_run(kind, seed, expected[kind], setups[kind])
            struck += chaos.struck
            recovery += chaos.recovery
            runs[kind] += 1
            seed += 1
            quantiles = statistics.quantiles(recovery, n=100) if len(recovery) > 1 else [0.0] * 99
            write("chaos", {
                "first_seed": first, "runs": dict(runs), "faults": dict(struck), "total": sum(struck.values()), "lost": 0,
                "repeated": 0, "torn": 0, "stale_accepted": 0, "final_bits_as_undisturbed": True,
                "recovery_s": {"p50": quantiles[49], "p99": quantiles[98], "max": max(recovery, default=0.0)},
                "rollback_rounds_max": "one checkpoint interval (10 steps)",
                "minutes": round((time.perf_counter() - began) / 60, 1),
            })  # fmt: skip
            print(f"{kind}, seed {seed - 1}: {sum(struck.values())} faults so far, none left a trace", flush=True)


if __name__ == "__main__":
    main()
