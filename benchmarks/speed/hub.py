"""What the hub costs a run, and how many rows it takes.

python -m benchmarks hub [REPEATS]          default 5; writes results/hub.json

Cost: GAP, 8 pairs on Ray, with and without the hub in turn: seconds from the first report of a
player to the last; and what does not depend on how busy the machine is, the CPU time of the hub's
process (less its start) and of the driver's end. Rows: 100,000 rows of metrics.jsonl through the
driver's link into the actor, gauges set, until the hub knows the last one.
"""

from __future__ import annotations

import json
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar

import ray
import torch

from benchmarks.common import show, write
from raygan.actors import hub_link
from raygan.actors.cluster import cluster
from raygan.actors.hub_link import HubLink
from raygan.config import resolve
from raygan.controller.run_folder import RunFolder
from raygan.service.training import train

FLAGS: dict[str, Any] = {
    "num_pairs": 8, "steps": 400, "round_steps": 25, "strategy": {"name": "gap", "swap_every": 50},
    "resources.spares": 0, "evaluation.every_steps": 500, "checkpoint.every_steps": 500,
}  # fmt: skip
ROWS = 100_000
CORES = os.cpu_count() or 1


class Counting(HubLink):
    """Notes, when the run ends, what share of all cores' time it has cost."""

    costs: ClassVar[list[float]] = []

    def __init__(self, run: str, folder: Path) -> None:
        super().__init__(run, folder)
        self.before, self.began = self.cpu(), time.monotonic()

    def cpu(self) -> float:
        """CPU seconds of the hub's process."""
        used: float = ray.get(self.hub.__ray_call__.remote(lambda hub: time.process_time()))
        return used

    def close(self) -> None:
        """Note, then close."""
        self.costs.append(
            (self.cpu() - self.before + self.seconds) / (time.monotonic() - self.began) / CORES
        )
        super().close()


def seconds(hub: bool, folder: Path, number: int) -> float:
    """From the first report to the last."""
    resolved = resolve("ring8-gap", flags={**FLAGS, "resources.hub": hub})
    run = train(resolved, run_dir=folder, name=f"run{number}")
    at = [row["elapsed"] for row in run.rows if row["kind"] == "train"]
    return float(max(at) - min(at))


def rows_per_second(folder: Path) -> float:
    """Until the hub knows them all."""
    run = RunFolder.create(folder, "rows")
    row = {
        "kind": "train", "player": "pair-03", "step": 1, "steps": 1, "seconds": 0.01, "wait_s": 0.0,
        "loss_d": 1.3, "loss_g": 0.7, "d_accuracy": 0.6, "bad_steps": 0.0, "grad_d": 0.1,
        "grad_g": 0.1, "elapsed": 1.0,
    }  # fmt: skip
    (run.path / "metrics.jsonl").write_text(
        "".join(json.dumps({**row, "step": i}) + "\n" for i in range(ROWS))
    )
    size = (run.path / "metrics.jsonl").stat().st_size
    link = HubLink("rows", run.path)
    nobody: Any = SimpleNamespace(executor=None)
    link.tick(nobody)
    while not link.life:  # the hub's process starts
        time.sleep(0.05)
        link.tick(nobody)
    began, known = time.perf_counter(), link.known["metrics.jsonl"]
    while link.known["metrics.jsonl"] < size:
        link.tick(nobody)
        time.sleep(0.01)
    took = time.perf_counter() - began
    link.close()
    return ROWS * (1 - known / size) / took


def main() -> None:
    """Both."""
    torch.set_num_threads(1)
    repeats = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    hub_link.HubLink = Counting  # type: ignore[misc]
    with tempfile.TemporaryDirectory() as name, cluster("local", 512):
        folder = Path(name)
        pairs = [
            (seconds(True, folder, 2 * i), seconds(False, folder, 2 * i + 1))
            for i in range(repeats)
        ]
        hub_link.PUSH_BYTES = (
            4 << 20
        )  # the first push, when the hub is not up yet, must not take all rows at once
        rate = rows_per_second(folder)
    cost = statistics.median(a / b - 1 for a, b in pairs)
    shares = Counting.costs
    write(
        "hub",
        {"with_and_without_s": pairs, "cost": cost, "cpu_share": shares, "rows_per_second": rate},
    )
    show(["what", "measured", "aim"], [
        ["8 pairs with the hub / without",
         f"{cost:+.1%} ({', '.join(f'{a / b - 1:+.1%}' for a, b in pairs)})", "<= 1 %"],
        [
            "CPU time for the hub, of all cores'",
            f"{statistics.median(shares):.2%} ({min(shares):.2%} .. {max(shares):.2%})", "<= 1 %",
        ],
        ["rows a second into the hub", f"{rate:,.0f}", ">= 10,000"],
    ])  # fmt: skip


if __name__ == "__main__":
    main()
