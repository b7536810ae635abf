"""Whole runs under seeded faults, in one thread: the real controller, strategies, journal and checkpoints; simulated are the
disk (power cuts), the transport (orders are done in any order that keeps each player's own), the clock, and the spawner
(players die at any instant, inside swaps too).

    simulate(seed)     one run, disturbed; raises Violation, whose message is the line that repeats it
"""

from __future__ import annotations

import multiprocessing
import os
import random
import shutil
import tempfile
from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import torch

from raygan.config import Config
from raygan.controller.checkpoint import newest_valid
from raygan.controller.controller import Controller
from raygan.controller.hosting import swapper
from raygan.controller.inline import InlineExecutor
from raygan.controller.journal import Journal, read_journal
from raygan.controller.orders import Adopt, Card, Done, Evaluate, Scored
from raygan.controller.run_folder import RunFolder
from raygan.errors import PlayerDied
from raygan.gan.bundle import unpack
from raygan.gan.weights import digest
from raygan.service.verify import final_states
from raygan.strategies.orders import Swap
from raygan.strategies.strategy import Setup
from tests.conftest import setup_of, tiny_config
from tests.simulation.storage import Crash, SimStorage

KINDS: dict[str, dict[str, Any]] = {
    "gap": {"strategy": {"name": "gap", "swap_every": 2}, "num_pairs": 4},
    "sgan": {"strategy": {"name": "sgan", "messenger_lifetime": 2}, "num_pairs": 2},
    "pmgan": {"strategy": {"name": "pmgan"}, "loss": "reverse_kl", "num_pairs": 2},
    "sgan over gap": {"strategy": {"name": "sgan", "over": {"name": "gap", "swap_every": 3}}, "num_pairs": 2},
}
SMALL: dict[str, Any] = {
    "steps": 8, "batch_size": 4, "round_steps": 3, "checkpoint": {"every_steps": 2}, "evaluation": {"every_steps": 8},
    "network": {"name": "mlp", "hidden": 4, "layers": 2, "z_dim": 2}, "failures": {"budget": 10**6},
}  # fmt: skip


class Violation(AssertionError):
    """An invariant does not hold."""


class SimExecutor(InlineExecutor):
    """Players in this process; which order comes next, and who dies when, is drawn from the seed."""

    def __init__(self, setup: Setup, world: World) -> None:
        super().__init__(setup)
        self.world = world

    def wait(self, timeout_s: float) -> list[Done]:
        if not self.queue:
            return []
        first: dict[Any, int] = {}
        for i, order in enumerate(self.queue):  # each player's own orders stay in order; swaps hold all their players
            for player in involved(order):
                first.setdefault(player, i)
        ready = [i for i, order in enumerate(self.queue) if all(first[p] == i for p in involved(order))]
        pick = self.world.rng.choice(ready)
        order = self.queue[pick]
        del self.queue[pick]
        self.queue.appendleft(order)
        self.world.instant(f"before {type(order).__name__}", self.players)
        if isinstance(order, Evaluate):
            self.queue.popleft()
            done = [Done(order, Scored([]), 0.0)]
        else:
            done = super().wait(0)
        self.world.instant(f"after {type(order).__name__}", self.players)
        return done

    def offer(self, swap: Swap) -> dict[str, Card]:
        cards = super().offer(swap)
        self.world.instant("between offer and record", self.players)
        return cards

    def adopt(self, swap: Swap) -> None:
        parcels = self.parcels.pop(swap)
        for player, source in swap.moves.items():
            self.world.instant("between adoptions", self.players)
            swapper(self.players[player]).adopt(swap.what, parcels[source])


def involved(order: Any) -> list[str]:
    """Whose order it is."""
    if isinstance(order, Adopt):
        return order.swap.players
    return order.players if isinstance(order, Swap) else [order.player]


class World:
    """One seed: a disk, a run folder for what is only told, and the faults to come."""

    def __init__(self, seed: int, config: Config, setup: Setup, folder: Path) -> None:
        self.rng = random.Random(seed)
        self.config, self.setup = config, setup
        self.storage = SimStorage(self.rng)
        self.folder = RunFolder(folder)
        self.faults: Counter[str] = Counter()
        self.left = self.rng.randint(1, 6)
        self.acknowledged = 0
        """The newest checkpoint whose commit had returned."""
        self.partitioned: Journal | None = None

    def instant(self, name: str, players: Mapping[str, Any]) -> None:
        """A player may die here, or the driver with everything."""
        if self.left == 0 or self.rng.random() > 0.06:
            return
        self.left -= 1
        if self.rng.random() < 0.6:
            self.faults["death " + name] += 1
            raise PlayerDied(self.rng.choice(sorted(players)), f"killed {name}")
        self.faults["driver killed " + name] += 1
        raise Crash

    def run(self) -> dict[str, str]:
        """To the end, however often that takes; the digests of the final states."""
        for _ in range(100):
            try:
                if self.left and self.rng.random() < 0.5:
                    self.left -= 1
                    self.storage.fuse = self.rng.randint(1, 300)
                    self.faults["power cut"] += 1
                self._attempt()
                break
            except Crash:
                self.storage.power_loss()
                self._check_disk()
        else:
            raise Violation("no progress in 100 attempts (L1)")
        self.storage.fuse = None
        final, problems = newest_valid(self.storage)
        if final is None or problems or final.step != self.config.steps:
            raise Violation(f"ended without its last checkpoint: {problems} (C1)")
        return {p: digest(unpack(raw)) for p, raw in final.parts.items()}

    def _attempt(self) -> None:
        if self.rng.random() < 0.3:  # a driver behind a partition: it opened the run before us and is still there
            self.partitioned = Journal.open(self.storage)
        journal = Journal.open(self.storage)
        checkpoint, _ = newest_valid(self.storage)
        controller = Controller(
            self.config, self.folder, lambda: SimExecutor(self.setup, self), [self._listen], 400, journal
        )
        controller.run(checkpoint)

    def _listen(self, controller: Controller, done: Done) -> None:
        self.acknowledged = max(self.acknowledged, controller.gathering.saved_step)
        if self.partitioned is not None and self.rng.random() < 0.2:
            stale, self.partitioned = self.partitioned, None
            stale.fence = lambda: None  # type: ignore[method-assign]  # it looked just before we opened the run
            self.faults["stale write"] += 1
            stale.append("swap", step=99, moves=[], stale=True)

    def _check_disk(self) -> None:
        fuse, self.storage.fuse = self.storage.fuse, None
        history = read_journal(self.storage)
        newest, problems = newest_valid(self.storage)
        if problems:
            raise Violation(f"a crash left damage: {problems} (C2)")
        if (newest.step if newest else 0) < self.acknowledged:
            raise Violation(f"checkpoint {self.acknowledged} was committed, {newest and newest.step} is there (C3)")
        check_history(history.records)
        self.storage.fuse = fuse


def check_history(records: Sequence[Mapping[str, Any]]) -> None:
    """Invariants of a journal: G1, S3, X1, fencing."""
    epoch, held = 0, dict[str, str]()
    for record in records:
        if record["epoch"] < epoch:
            raise Violation(f"epoch {record['epoch']} wrote after epoch {epoch} was opened (fencing)")
        if record.get("stale"):
            raise Violation("a stale write was accepted (fencing)")
        epoch = record["epoch"]
        if record["kind"] == "resume":
            held = {}
        if record["kind"] == "swap" and not record.get("stale"):
            moves = record["moves"]
            if sorted(m["player"] for m in moves) != sorted(m["from"] for m in moves):
                raise Violation(f"not a permutation: {moves} (G1)")
            held |= {m["player"]: m["identity"] for m in moves}
            if len(set(held.values())) != len(held):
                raise Violation(f"a discriminator is in two places: {held} (G1)")
    for record in (r for r in records if r["kind"] == "checkpoint"):
        if set(record["steps"].values()) != {record["step"]}:
            raise Violation(f"checkpoint {record['step']} is of steps {record['steps']} (C1, X1)")


class Fixture:
    """What all seeds share: data, and the undisturbed end of each kind of run."""

    def __init__(self) -> None:
        self.configs = {k: tiny_config(**{**SMALL, **v}) for k, v in KINDS.items()}
        self.setups = {k: setup_of(c) for k, c in self.configs.items()}
        self.ends = {
            k: {p: digest(unpack(r)) for p, r in final_states(c, lambda k=k: InlineExecutor(self.setups[k])).items()}  # type: ignore[misc]
            for k, c in self.configs.items()
        }

    def simulate(self, seed: int) -> Counter[str]:
        """One seed; returns the faults that struck. Raises Violation."""
        kind = sorted(KINDS)[seed % len(KINDS)]
        folder = Path(tempfile.mkdtemp(dir="/dev/shm" if Path("/dev/shm").is_dir() else None))
        try:
            (folder / "samples").mkdir()
            world = World(seed, self.configs[kind], self.setups[kind], folder)
            found = world.run()
            check_history(read_journal(world.storage).records)
            if found != self.ends[kind]:
                raise Violation("the final weights are not those of the undisturbed run (C4, G2, X1)")
            return world.faults
        except Violation as violation:
            raise Violation(f"{violation}\nrepeat: python -m benchmarks.simulate 1 {seed}   ({kind})") from None
        finally:
            shutil.rmtree(folder)


def simulate_share(first: int, last: int, step: int) -> Counter[str]:
    """Every `step`-th seed of a range, in a process of its own."""
    torch.set_num_threads(1)
    fixture, faults = Fixture(), Counter[str]()
    for seed in range(first, last, step):
        faults += fixture.simulate(seed)
    return faults


def simulate_all(seeds: int, first: int = 0) -> Counter[str]:
    """So many seeds, on all cores; the faults that struck. Raises Violation."""
    cores = min(os.cpu_count() or 1, seeds)
    with ProcessPoolExecutor(cores, multiprocessing.get_context("spawn")) as pool:
        shares = [pool.submit(simulate_share, first + i, first + seeds, cores) for i in range(cores)]
        return sum((share.result() for share in shares), Counter[str]())
