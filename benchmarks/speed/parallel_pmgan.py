"""PMGAN: time for equal updates, asynchronous against one after the other (the paper's section
4.3).

python -m benchmarks parallel-pmgan [K ...]    default 4 8 12 16; writes results/parallel-pmgan.json

K generators (DCGAN of width 8 on MNIST, batch 64) do STEPS updates each. One after the other:
lockstep in one process, judge and generators in turn. Asynchronous: Ray actors, on one core and on
all of this machine (by CPU affinity). Seconds are those of the second half of the steps, doubled,
when all processes are up. Beside them the paper's percentages, and a model of more cores:

model: T(c) = max((K g + j) / c, g, j) an update: g a generator's, j the judge's time in one
process; handing over is free.
"""

from __future__ import annotations

import os
import statistics
import sys
import tempfile
from pathlib import Path
from typing import Any

import torch

from benchmarks.common import second_half, show, write
from raygan.actors.cluster import cluster
from raygan.config import resolve
from raygan.service.training import train
from raygan.strategies.roles import JUDGE

PAPER = {4: 54, 8: 42, 12: 37, 16: 35}
STEPS = 60
CORES = sorted(os.sched_getaffinity(0))


def one(k: int, tempo: str, inline: bool, folder: Path) -> dict[str, float]:
    """Seconds for all updates, and for one of a generator, of the judge; the judge's updates; the
    share of time spent waiting.
    """
    flags: dict[str, Any] = {
        "num_pairs": k, "steps": STEPS, "round_steps": STEPS // 4, "tempo": tempo,
        "resources.spares": 0, "batch_size": 64,
        "network": {"name": "dcgan", "width": 8, "z_dim": 64}, "evaluation.every_steps": 10 * STEPS,
        "checkpoint.every_steps": 10 * STEPS,
    }  # fmt: skip
    run = train(resolve("mnist-pmgan", flags=flags), run_dir=folder, inline=inline, address="auto")
    rows = [r for r in run.rows if r["kind"] == "train"]
    made = [r for r in rows if r["player"] != JUDGE]
    late = [r for r in made if r["step"] > STEPS // 2]
    judged = [r for r in rows if r["player"] == JUDGE]
    return {
        "seconds": second_half(made, STEPS),
        "generator_s": statistics.median(r["seconds"] / r["steps"] for r in late),
        "judge_s": statistics.median(
            r["seconds"] / max(1, r["steps"]) for r in judged[len(judged) // 2 :]
        ),
        "judge_updates": max(r.get("updates", 0.0) for r in judged),
        "idle": sum(r.get("wait_s", 0.0) for r in late) / sum(r["seconds"] for r in late),
    }


def on(cores: list[int], k: int, folder: Path) -> dict[str, float]:
    """Asynchronously, by a Ray that has these cores only."""
    os.sched_setaffinity(0, cores)
    try:
        with cluster("local", 512):
            return one(k, "async", False, folder)
    finally:
        os.sched_setaffinity(0, CORES)


def main() -> None:
    """All K in turn."""
    torch.set_num_threads(1)
    ks = [int(k) for k in sys.argv[1:]] or list(PAPER)
    raw: dict[int, dict[str, dict[str, float]]] = {}
    rows = []
    with tempfile.TemporaryDirectory() as name:
        for k in ks:
            folder = Path(name) / str(k)
            taken = raw[k] = {
                "sequential": one(k, "lockstep", True, folder / "s"),
                "one core": on(CORES[:1], k, folder / "1"),
                "all cores": on(CORES, k, folder / "all"),
            }
            base = taken["sequential"]["seconds"]
            g, j = (taken["sequential"][key] for key in ("generator_s", "judge_s"))

            def model(cores: int, k: int = k, g: float = g, j: float = j) -> float:
                return max((k * g + j) / cores, g, j) / (k * g + j)

            rows.append([
                str(k), f"{base:.1f} s", f"{taken['one core']['seconds'] / base:.0%}",
                f"{model(1):.0%}", f"{taken['all cores']['seconds'] / base:.0%}",
                f"{model(len(CORES)):.0%}", f"{model(k + 1):.0%}", f"{PAPER.get(k, 0)} %",
                f"{taken['all cores']['idle']:.1%}",
                f"{taken['all cores']['judge_updates']:.0f} of {STEPS}",
            ])  # fmt: skip
            print(rows[-1], flush=True)
    n = len(CORES)
    header = [
        "K",
        "sequential",
        "one core",
        "model",
        f"{n} cores",
        "model",
        "model, K + 1 cores",
        "paper",
    ]
    show([*header, "generators idle", "judge's updates"], rows)
    write("parallel-pmgan", {"raw": raw, "steps": STEPS, "cores": n})


if __name__ == "__main__":
    main()
