"""Faults on real Ray: whole runs whose processes are killed, stopped or paused, until so many
faults have struck.

    python -m benchmarks chaos [FAULTS] [--anew]      default 1000; writes
                                                      benchmarks/results/chaos.json after each run,
                                                      and goes on from there: each part with its
                                                      commit, seeds and machine

    SIGKILL             a player's process, or a helper's (the board, the matchmaker, a deputy)
    SIGTERM             to a player: notice of preemption, it moves and nobody loses a step;
                        to a helper: its end
    evaluator           SIGKILL or SIGSTOP of it: it is made again, and nobody goes back
    SIGSTOP             for good: only its lease finds it
    pause               SIGSTOP, SIGCONT after 0.1 to 1.5 s: late replies
    ray.kill            of a helper
    SIGKILL recovering  a second player, while the first is being replaced
    head                SIGKILL of Ray's own raylet or GCS: the run goes on on another Ray

A fault is drawn for a named point: right after a swap, an adoption, a save, a training round or an
evaluation was sent off, after a random delay of up to 20 ms. Each run is lockstep (the kinds below
in turn); one checker judges what is left: the journal's chain, permutations, exactly-once accounts,
and the final bits, which must be those of the undisturbed run.
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
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any

import ray
import torch
from ray._private import worker

from benchmarks.common import conditions, kept, write
from raygan.actors.cluster import cluster
from raygan.actors.executor import RayExecutor
from raygan.actors.worker_group import EVALUATOR
from raygan.config import Config
from raygan.controller.checkpoint import newest_valid
from raygan.controller.controller import Controller
from raygan.controller.history import read_journal
from raygan.controller.inline import InlineExecutor
from raygan.controller.orders import Done, Order
from raygan.controller.run_folder import RunFolder, read_jsonl
from raygan.controller.storage import LocalStorage
from raygan.gan.bundle import unpack
from raygan.gan.weights import digest
from raygan.service.verify import final_states
from raygan.strategies.base import Setup
from tests.conftest import setup_of, tiny_config
from tests.simulation.world import Violation, check_history

KINDS: dict[str, dict[str, Any]] = {
    "gap": {"strategy": {"name": "gap", "swap_every": 4}, "num_pairs": 2},
    "gap in packs": {
        "strategy": {"name": "gap", "swap_every": 4},
        "num_pairs": 4,
        "resources": {"spares": 1, "pairs_per_actor": 2},
    },
    "sgan": {"strategy": {"name": "sgan", "messenger_lifetime": 2}, "num_pairs": 2},
    "sgan with deputies": {"strategy": {"name": "sgan", "messenger_shards": 2}, "num_pairs": 2},
    "sgan over gap": {
        "strategy": {"name": "sgan", "over": {"name": "gap", "swap_every": 4}},
        "num_pairs": 2,
    },
    "pmgan": {"strategy": {"name": "pmgan"}, "loss": "reverse_kl", "num_pairs": 2},
}
SHARES = {
    "SIGKILL": 0.35,
    "SIGTERM": 0.5,
    "SIGSTOP": 0.58,
    "evaluator": 0.68,
    "pause": 0.85,
    "ray.kill": 0.98,
    "head": 1.0,
}
"""Upper ends of each kind's share of the faults."""
HEADS = ("raylet", "gcs_server")
FAULTS_A_RUN = 25
STEPS, EVERY, ROUND = 300, 10, 5


class Chaos:
    """What strikes in one run, and how long it took to go on."""

    def __init__(self, rng: random.Random) -> None:
        self.rng = rng
        self.left = FAULTS_A_RUN
        self.struck: Counter[str] = Counter()
        self.recovery: dict[str, list[float]] = {}
        self.since: tuple[str, float] | None = None
        self.paused: list[threading.Timer] = []

    def strike(self, executor: RayExecutor, point: str) -> bool:
        """Perhaps do something to somebody; True where that has to be recovered from."""
        if self.left == 0 or self.since is not None or self.rng.random() > 0.15:
            return False
        time.sleep(self.rng.random() * 0.02)
        drawn = self.rng.random()
        kind = next(k for k, share in SHARES.items() if drawn < share)
        if kind == "head":
            head = self.rng.choice(HEADS)
            worker._global_node.all_processes[head][0].process.kill()  # type: ignore
        elif kind == "ray.kill":
            ray.kill(
                executor.workers.helpers[
                    self.rng.choice(sorted(set(executor.workers.helpers) - {EVALUATOR}))
                ]
            )
        elif not (name := self.signal(executor, kind)):
            return False
        elif name in executor.workers.helpers and name != EVALUATOR:
            kind += " helper"
        self.left -= 1
        self.struck[f"{kind} after {point}"] += 1
        if kind.startswith(("pause", "evaluator")):
            return False
        self.since = kind, time.perf_counter()
        return True

    def signal(self, executor: RayExecutor, kind: str) -> str:
        """To a player or a helper; its name, or none when it is gone already."""
        there = sorted(
            p for p in executor.workers.places if (p == EVALUATOR) == (kind == "evaluator")
        )
        if not there:
            return ""  # the evaluator is on its way
        pid = executor.workers.places[name := self.rng.choice(there)][1]
        signals = {"SIGKILL": signal.SIGKILL, "SIGTERM": signal.SIGTERM}
        either = (
            self.rng.choice([signal.SIGKILL, signal.SIGSTOP])
            if kind == "evaluator"
            else signal.SIGSTOP
        )
        try:
            os.kill(pid, signals.get(kind, either))
        except ProcessLookupError:
            return ""
        if kind == "pause":
            self.paused.append(threading.Timer(self.rng.uniform(0.1, 1.5), wake, [pid]))
            self.paused[-1].start()
        return name

    def recovering(self, executor: RayExecutor) -> None:
        """A second death while the first is being mended."""
        if (
            self.left
            and executor.workers.places
            and self.rng.random() < 0.15
            and self.signal(executor, "SIGKILL")
        ):
            self.left -= 1
            self.struck["SIGKILL recovering"] += 1

    def heard(self) -> None:
        """An order of the new attempt was carried out."""
        if self.since is not None:
            kind, since = self.since
            self.recovery.setdefault(kind, []).append(time.perf_counter() - since)
            self.since = None


def wake(pid: int) -> None:
    """End a pause."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGCONT)


class Struck(RayExecutor):
    """Strikes right after an order was sent off."""

    def __init__(self, run: str, setup: Setup, chaos: Chaos) -> None:
        super().__init__(run, setup)
        self.chaos = chaos
        self.fresh = False

    def start(self, players: Any, states: Any, epoch: int = 0) -> None:
        """Another attempt."""
        self.chaos.recovering(self)
        super().start(players, states, epoch)
        self.fresh = True

    def submit(self, order: Order) -> None:
        """Send, then strike."""
        super().submit(order)
        if self.chaos.strike(self, type(order).__name__):
            self.fresh = False  # what is carried out before the next start is not the recovery

    def wait(self, timeout_s: float) -> list[Done]:
        """The first thing that a new attempt gets done ends the recovery."""
        done = super().wait(timeout_s)
        if done and self.fresh:
            self.fresh = False
            self.chaos.heard()
        return done


def config_of(kind: str) -> Config:
    """A small run with a checkpoint every few steps."""
    return tiny_config(
        steps=STEPS, checkpoint={"every_steps": EVERY}, evaluation={"every_steps": STEPS // 3},
        round_steps=ROUND, failures={"budget": 10**6, "lease_s": 3.0, "evaluator": 10**6},
        **{"resources": {"spares": 1}, **KINDS[kind]},
    )  # fmt: skip


def undisturbed(config: Config) -> tuple[Setup, dict[str, str]]:
    """What such a run is built from, and each player's final bits."""
    setup = setup_of(config)
    states = final_states(config, lambda: InlineExecutor(setup))
    return setup, {p: digest(unpack(raw)) for p, raw in states.items()}


def one_run(seed: int, setup: Setup, expected: dict[str, str]) -> tuple[Chaos, Counter[str], int]:
    """Of a disturbed run: (faults, what was wrong by kind, most steps that a restart undid)."""
    chaos = Chaos(random.Random(seed))
    with tempfile.TemporaryDirectory() as folder:
        controller = Controller(
            setup.config,
            RunFolder.create(Path(folder), "run"),
            lambda: Struck(f"chaos{seed}", setup, chaos),
            [],
            400,
        )
        controller.run()
        for timer in chaos.paused:
            timer.join()
        path = controller.log.folder.path
        return chaos, judge(path, expected, STEPS), rollback(path)


def judge(path: Path, expected: dict[str, str], steps_each: int) -> Counter[str]:
    """Everything that is wrong with what a run has left on the disk, counted."""
    storage, wrong = LocalStorage(path), Counter[str]()
    history = read_journal(storage)
    final, problems = newest_valid(storage)
    wrong["torn"] = len(problems) + len(history.problems)
    epochs = [record["epoch"] for record in history.records]
    wrong["stale_accepted"] = sum(later < earlier for earlier, later in itertools.pairwise(epochs))
    try:
        check_history(history.records)
    except Violation:
        wrong["invariant_broken"] += 1
    steps = final.steps if final else {}
    if any(
        e["kind"] == "death" and e["why"] == "preempted" and e["step"] - back > ROUND
        for e, back in restarts(path)
    ):
        wrong["preemption_cost_steps"] += 1
    wrong["lost"] = sum(max(0, steps_each - steps.get(p, 0)) for p in expected)
    wrong["repeated"] = sum(max(0, steps.get(p, 0) - steps_each) for p in expected)
    found = {p: digest(unpack(raw)) for p, raw in final.parts.items()} if final else {}
    wrong["other_final_bits"] = sum(found.get(p) != expected[p] for p in expected)
    return wrong


def restarts(path: Path) -> list[tuple[dict[str, Any], int]]:
    """Each death that took all back, and the step from which the run went on."""
    out, last = list[tuple[dict[str, Any], int]](), dict[str, Any]()
    for event in read_jsonl(path / "events.jsonl"):
        if event["kind"] == "death" and event["action"] != "replace":
            last = event
        elif event["kind"] == "restart":
            out.append((last, event["step"]))
    return out


def rollback(path: Path) -> int:
    """Most steps between where a player died and where the run went on from."""
    return max((death["step"] - back for death, back in restarts(path)), default=0)


def quantiles(seconds: list[float]) -> dict[str, float]:
    """Of one kind of fault."""
    cuts = statistics.quantiles(seconds, n=100) if len(seconds) > 1 else seconds * 99
    return {
        "n": len(seconds),
        "p50": cuts[49],
        "p99": min(cuts[98], max(seconds)),
        "max": max(seconds),
    }


def main() -> None:
    """Run until so many faults have struck."""
    wanted = next((int(a) for a in sys.argv[1:] if a.isdigit()), 1000)
    before = {} if "--anew" in sys.argv else kept("chaos")
    torch.set_num_threads(1)
    struck = Counter[str](before.get("faults", {}))
    recovery: dict[str, list[float]] = before.get("seconds", {})
    runs, wrong = Counter[str](before.get("runs", {})), Counter[str](before.get("wrong", {}))
    undone, parts = before.get("rollback_steps_max", {}), before.get("parts", [])
    first = parts[-1]["last_seed"] + 1 if parts else 0
    calm = {kind: undisturbed(config_of(kind)) for kind in KINDS}
    seed, began = first, time.perf_counter()
    with cluster("local", 256):
        while sum(struck.values()) < wanted:
            kind = sorted(KINDS)[seed % len(KINDS)]
            chaos, found, most = one_run(seed, *calm[kind])
            struck += chaos.struck
            wrong.update(found)
            undone[kind] = max(undone.get(kind, 0), most)
            for name, seconds in chaos.recovery.items():
                recovery.setdefault(name, []).extend(seconds)
            runs[kind] += 1
            seed += 1
            minutes = round((time.perf_counter() - began) / 60, 1)
            part = {**conditions(), "first_seed": first, "last_seed": seed - 1, "minutes": minutes}
            write("chaos", {
                "runs": dict(runs), "total": sum(struck.values()), "faults": dict(struck),
                "wrong": dict(wrong),
                "recovery_s": {name: quantiles(seconds) for name, seconds in recovery.items()},
                "checkpoint_every_steps": EVERY, "rollback_steps_max": undone,
                "parts": [*parts, part], "seconds": recovery,
            })  # fmt: skip
            print(
                f"{kind}, seed {seed - 1}: {sum(struck.values())} faults so far; wrong:"
                f" {dict(+wrong)}",
                flush=True,
            )
    if +wrong:
        sys.exit(1)


if __name__ == "__main__":
    main()
