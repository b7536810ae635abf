"""How good one generator gets, plain and with rejection: `python -m benchmarks single-generator
RUNS DATA [SCALE] [STEPS]`; adds to results/single_generator.json

The preset ring8-best on ring8, grid25 or r15:limit, five pairs that do not help each other as one
batched model: five seeds of one recipe, each with streams of its own. RUNS: a folder for run
folders; one that is done is scored and not trained again. Scores are over 10,000 samples. CPU
seconds are of training a pair, without a score; of D's going on for rejection, and the draw.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import torch

from benchmarks.common import kept, show, spread, write
from benchmarks.science.rejected import METRICS, scored
from raygan.config import resolve
from raygan.service.runs.run import Run
from raygan.service.scores.rejection import rejection_protocol
from raygan.service.training import train

SEEDS = 5


def trained(runs: Path, data: str, scale: float, steps: int) -> Run:
    """Five pairs by the recipe, from `runs` where they are there."""
    name = f"{data.replace(':', '-').replace('.', '-')}-{scale:g}-{steps}"
    if (runs / name / "run.json").exists():
        return Run.load(runs / name)
    flags = {
        "data": data, "num_pairs": SEEDS, "resources.pairs_per_actor": SEEDS, "steps": steps,
        "network.fourier_scale": scale, "evaluation.every_steps": steps,
        "checkpoint.every_steps": steps, "evaluation.mixture": False,
    }  # fmt: skip
    return train(resolve("ring8-best", flags=flags), run_dir=runs, name=name, inline=True)


def measured(run: Run) -> dict[str, dict[str, list[float]]]:
    """Scores of each seed, plain and rejected."""
    out: dict[str, dict[str, list[float]]] = {}
    for kind in ("plain", "rejected"):
        rows = [scored(run, pair, kind == "rejected") for pair in run.pairs]
        out[kind] = {key: [row[key] for row in rows] for key in rows[0]}
    return out


def main(runs: Path, data: str, scale: float, steps: int) -> None:
    """One row plain, one rejected."""
    torch.set_num_threads(1)
    run = trained(runs, data, scale, steps)
    a_pair = sum(run.info["busy_seconds"].values()) / SEEDS
    found: dict[str, Any] = measured(run) | {
        "busy_s": a_pair,
        "seeds": SEEDS,
        "rejection": rejection_protocol(run.config),
    }
    results = kept("single_generator").get("results", {})
    results[f"{data}, scale {scale:g}, {steps} steps"] = found
    write("single_generator", {"results": results})
    columns = (*METRICS, "kept", "cpu_s")
    rows = [[k, *(spread(found[k][c]) for c in columns)] for k in ("plain", "rejected")]
    show([f"{data}, {steps} steps", *columns], rows)


if __name__ == "__main__":
    given = dict(enumerate(sys.argv[1:]))
    main(Path(given[0]), given[1], float(given.get(2, 8)), int(given.get(3, 8000)))
