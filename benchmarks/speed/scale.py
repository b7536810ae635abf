"""The control plane with players that do nothing: `python -m benchmarks scale [PLAYERS ...]`,
default 10 100 1000 10000.

The real controller, strategy (GAP, everybody meets every second round), journal, run folder, board
and hub, in one process; a null executor answers every order at once. So what is measured is what
all those who decide and record cost, per round of all players, and what a round must last for that
to be at most 1 % of it. Each count runs in a process of its own: its memory is its.
"""

from __future__ import annotations

import cProfile
import json
import multiprocessing
import pstats
import resource
import sys
import tempfile
import time
from collections import deque
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.common import show, write
from raygan.config import resolve
from raygan.controller.controller import Controller
from raygan.controller.orders import Adopt, Card, Done, Evaluate, Order, Save, Scored
from raygan.controller.run_folder import RunFolder
from raygan.strategies.orders import Swap, Train

ROUNDS = 10
REPORT = {
    "seconds": 1.0, "wait_s": 0.0, "loss_d": 1.386, "loss_g": 0.693, "bad_steps": 0.0,
    "d_real": 0.1, "d_fake": -0.1, "d_accuracy": 0.5, "cost_train": 1.386, "cost_held_out": 1.386,
    "grad_g": 0.01, "grad_d": 0.01,
}  # fmt: skip


class NullExecutor:
    """Every order is done as soon as it is given."""

    def __init__(self) -> None:
        self.queue: deque[Order] = deque()
        self.began = 0.0

    def start(self, players: Sequence[str], states: Mapping[str, bytes], epoch: int = 0) -> None:
        self.began = time.perf_counter()

    def submit(self, order: Order) -> None:
        self.queue.append(order)

    def wait(self, timeout_s: float) -> list[Done]:
        out = [Done(order, self._result(order), 1.0) for order in self.queue]
        self.queue.clear()
        return out

    def _result(self, order: Order) -> Any:
        if isinstance(order, Train):
            return REPORT
        if isinstance(order, Swap):
            return {p: Card(p, order.step, 10**7, "0" * 64) for p in set(order.moves.values())}
        if isinstance(order, Evaluate):
            return Scored([])
        assert isinstance(order, Adopt | Save), f"unknown order {order}"
        return b"null" if isinstance(order, Save) else None

    def last_move(self) -> float:
        return 0.0

    def configure(self, config: Any, listeners: Sequence[str] = ()) -> None: ...

    def no_room(self, players: int) -> str | None: ...
    def remove(self, player: str) -> None: ...

    def close(self) -> None: ...

    def info(self) -> dict[str, Any]:
        return {"executor": "null"}

    def ages(self) -> dict[str, float]:
        return {}

    def mishaps(self) -> list[Any]:
        return []

    def leaving(self) -> dict[str, str]:
        return {}


def measure(players: int, out: Any) -> None:
    """One count; puts its figures into `out`."""
    from raygan.actors.board import BoardActor
    from raygan.actors.hub import HubActor

    flags = {"num_pairs": players, "steps": 50 * ROUNDS, "round_steps": 50,
             "strategy": {"name": "gap", "swap_every": 100},
             "evaluation.every_steps": 10**6, "checkpoint.every_steps": 10**6}  # fmt: skip
    config = resolve("ring8-gap", flags=flags).config
    executor = NullExecutor()
    profile = cProfile.Profile()
    with tempfile.TemporaryDirectory() as folder:
        run = RunFolder.create(Path(folder), "scale")
        controller = Controller(config, run, lambda: executor, [], samples=100_000)
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        if players == 1000 and "--profile" in sys.argv:
            profile.enable()
        began = time.process_time()
        controller.run()
        seconds = time.process_time() - began
        profile.disable()
        memory = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
        rows = (run.path / "metrics.jsonl").read_bytes()
        events = (run.path / "events.jsonl").read_bytes()
        hub = HubActor("scale", gauges=False)
        began = time.perf_counter()
        hub.push(
            "",
            {"metrics.jsonl": (0, rows), "events.jsonl": (0, events)},
            {},
            dict.fromkeys(controller.state.players, 0.1),
        )
        hub_seconds = time.perf_counter() - began
    board = BoardActor()
    began = time.perf_counter()
    for step in range(ROUNDS):
        for p in controller.state.players:
            board.announce(p, step, 0)
        board.progress(controller.state.players)
    board_seconds = time.perf_counter() - began
    if players == 1000 and "--profile" in sys.argv:
        pstats.Stats(profile).sort_stats("tottime").print_stats(15)
    out.put({
        "players": players, "controller_s": seconds / ROUNDS, "hub_s": hub_seconds / ROUNDS,
        "board_s": board_seconds / ROUNDS, "memory_mb": memory,
        "bytes_a_round": (len(rows) + len(events)) / ROUNDS, "swaps": controller.state.totals.swaps,
    })  # fmt: skip


def main() -> None:
    """A process for each count."""
    counts = [int(a) for a in sys.argv[1:] if a.isdigit()] or [10, 100, 1000, 10_000]
    context, found = multiprocessing.get_context("spawn"), []
    for count in counts:
        out = context.Queue()
        process = context.Process(target=measure, args=(count, out))
        process.start()
        found.append(out.get(timeout=1200))
        process.join()
        print(json.dumps(found[-1]), flush=True)
    rows = []
    for f in found:
        total = f["controller_s"]
        rows.append([
            f"{f['players']:,}", f"{1e3 * total:.1f} ms ({1e6 * total / f['players']:.0f} us)",
            f"{1e3 * f['board_s']:.2f} ms", f"{1e3 * f['hub_s']:.1f} ms",
            f"{f['bytes_a_round'] / 1e3:.0f} kB", f"{f['memory_mb']:.0f} MB",
            f"{100 * total:.1f} s",
        ])  # fmt: skip
    show(
        [
            "players",
            "controller, a round (a player)",
            "board",
            "hub",
            "log",
            "memory",
            "round for 1 %",
        ],
        rows,
    )
    write("scale", {"rounds": ROUNDS, "counts": found})


if __name__ == "__main__":
    main()
