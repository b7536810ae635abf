"""What a process costs, and 40 pairs on one machine: `python -m benchmarks footprint`.

Private bytes (Private_Clean + Private_Dirty of /proc/PID/smaps_rollup) and seconds until the first
answer, of: an empty Ray actor, one that has imported torch (the floor), a player that has trained
20 steps of the toy net (MLP 4 x 512). Five of each, one after the other. Then 40 such pairs: an
actor each, and 20 to an actor; a GAP run of 40 steps with two swaps, from `raygan train` on.
"""

from __future__ import annotations

import os
import statistics
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import ray
import torch

from benchmarks.common import show, write
from benchmarks.speed.plain import MLP
from raygan.actors.board import BoardActor
from raygan.actors.cluster import cluster
from raygan.actors.player import player_class
from raygan.actors.process import actor_class
from raygan.config import resolve
from raygan.service.training import train
from raygan.strategies.base import load_data
from raygan.strategies.orders import Train

REPEATS = 5
TOY: dict[str, Any] = {
    **dict(MLP), "network.hidden": 512, "strategy": {"name": "gap", "swap_every": 15}, "steps": 40,
    "round_steps": 5, "evaluation.every_steps": 1000, "checkpoint.every_steps": 1000,
    "resources.spares": 0,
}  # fmt: skip


def private_mb(pid: int) -> float:
    """Memory that is nobody else's."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return sum(int(line.split()[1]) for line in lines if line.startswith("Private_")) / 1024


class Empty:
    """Does nothing."""

    def pid(self) -> int:
        return os.getpid()


class WithTorch(Empty):
    """The floor."""

    def __init__(self) -> None:
        import torch as torch_

        self.torch = torch_


def process(cls: type) -> tuple[float, float]:
    """(seconds to the first answer, private MB)."""
    remote: Any = ray.remote(cls)
    began = time.perf_counter()
    actor = remote.options(num_cpus=0).remote()
    pid = ray.get(actor.pid.remote())
    out = time.perf_counter() - began, private_mb(pid)
    ray.kill(actor)
    return out


def player() -> tuple[float, float]:
    """(seconds until it is ready to train, private MB after 20 steps)."""
    config = resolve("ring8-gap", flags={**TOY, "num_pairs": 2}).config
    data = ray.put(load_data(config))
    board = actor_class(BoardActor).options(num_cpus=0).remote()
    ray.get(board.players.remote())
    began = time.perf_counter()
    actor = player_class().options(num_cpus=0).remote("footprint", "pair-00", [data])
    ray.get(actor.begin.remote(0, ["pair-00"], config, {}, board, {}))
    seconds = time.perf_counter() - began
    ray.get(actor.train.remote([Train("pair-00", 20)]))
    out = seconds, private_mb(ray.get(actor.where.remote("pair-00"))["pid"])
    for handle in (actor, board):
        ray.kill(handle)
    return out


def used_mb() -> float:
    """Of the machine's memory."""
    facts = dict(line.split(":") for line in Path("/proc/meminfo").read_text().splitlines())
    return (int(facts["MemTotal"].split()[0]) - int(facts["MemAvailable"].split()[0])) / 1024


def forty(per_actor: int) -> dict[str, float]:
    """Seconds to the end of training and in all; the most memory that the machine had in use, above
    what it had before.
    """
    before, peak, over = used_mb(), [0.0], threading.Event()

    def watch() -> None:
        while not over.wait(0.2):
            peak[0] = max(peak[0], used_mb() - before)

    thread = threading.Thread(target=watch)
    thread.start()
    began = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        flags = {**TOY, "num_pairs": 40, "resources.pairs_per_actor": per_actor}
        run = train(
            resolve("ring8-gap", flags=flags), run_dir=Path(folder), name="forty", address="local"
        )
        at = [r["elapsed"] for r in run.rows if r["kind"] == "train"]
        swaps = float(run.info["swaps"])
    seconds = time.perf_counter() - began
    over.set()
    thread.join()
    return {
        "start_s": min(at),
        "train_s": max(at),
        "all_s": seconds,
        "peak_mb": peak[0],
        "swaps": swaps,
    }


def main() -> None:
    """Measure, print, keep."""
    torch.set_num_threads(1)
    with cluster("local", 512):
        process(Empty)  # the first one starts Ray's workers
        kinds = {
            "empty actor": [process(Empty) for _ in range(REPEATS)],
            "with torch (floor)": [process(WithTorch) for _ in range(REPEATS)],
            "player, toy net, 20 steps": [player() for _ in range(REPEATS)],
        }
    rows = [
        [
            k,
            f"{statistics.median(s for s, _ in v):.2f} s",
            f"{statistics.median(m for _, m in v):.0f} MB",
        ]
        for k, v in kinds.items()
    ]
    show(["process", "to the first answer", "private"], rows)
    runs = {n: forty(n) for n in (1, 20)}
    show(
        ["40 pairs", "first round after", "trained after", "in all", "most memory"],
        [[f"{n} to an actor", *(f"{f[k]:.0f} s" for k in ("start_s", "train_s", "all_s")),
          f"{f['peak_mb'] / 1e3:.1f} GB"]
         for n, f in runs.items()],
    )  # fmt: skip
    write("footprint", {"processes": kinds, "forty": {str(n): f for n, f in runs.items()}})


if __name__ == "__main__":
    main()
