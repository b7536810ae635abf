"""What the hub costs a run, and how many rows it takes.

python -m benchmarks.hub [REPEATS]          default 5; writes results/hub.json

Cost: GAP, 8 pairs on Ray, with and without the hub in turn: seconds from the first report of a player to the last. Rows: 100,000
rows of metrics.jsonl through the driver's link into the actor, gauges set, until the hub knows the last one.
"""

from __future__ import annotations

import json
import statistics
import sys
import tempfile
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch

from benchmarks.common import show, write
from raygan.actors import hub as hub_module
from raygan.actors.cluster import cluster
from raygan.actors.hub import HubLink
from raygan.config import resolve
from raygan.controller.run_folder import RunFolder
from raygan.service.training import train

FLAGS: dict[str, Any] = {
    "num_pairs": 8, "steps": 400, "round_steps": 25, "strategy": {"name": "gap", "swap_every": 50}, "resources.spares": 0,
    "evaluation.every_steps": 500, "checkpoint.every_steps": 500,
}  # fmt: skip
ROWS = 100_000


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
        "kind": "train", "player": "pair-03", "step": 1, "steps": 1, "seconds": 0.01, "wait_s": 0.0, "loss_d": 1.3, "loss_g": 0.7,
        "d_accuracy": 0.6, "bad_steps": 0.0, "grad_d": 0.1, "grad_g": 0.1, "elapsed": 1.0,
    }  # fmt: skip
    (run.path / "metrics.jsonl").write_text("".join(json.dumps({**row, "step": i}) + "\n" for i in range(ROWS)))
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
    hub_module.PUSH_BYTES = 1 << 20  # so that the first push does not take all rows at once
    with tempfile.TemporaryDirectory() as name, cluster("local", 512):
        folder = Path(name)
        pairs = [(seconds(True, folder, 2 * i), seconds(False, folder, 2 * i + 1)) for i in range(repeats)]
        rate = rows_per_second(folder)
    cost = statistics.median(a / b - 1 for a, b in pairs)
    write("hub", {"with_and_without_s": pairs, "cost": cost, "rows_per_second": rate})
    show(["what", "measured", "aim"], [
        ["8 pairs with the hub / without", f"{cost:+.1%} ({', '.join(f'{a / b - 1:+.1%}' for a, b in pairs)})", "<= 1 %"],
        ["rows a second into the hub", f"{rate:,.0f}", ">= 10,000"],
    ])  # fmt: skip


if __name__ == "__main__":
    main()
