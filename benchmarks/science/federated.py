"""Data that may not leave its worker, and data that are divided on purpose: `python -m
benchmarks federated [SEEDS] [METHOD ...]` (5 seeds, all methods); writes results/federated.json
after each run, and goes on from it.

ring8 over four workers with two modes each (`data.partition by_class`), everywhere the same
networks, rates, loss and steps:

    odds, sum    federated: D_n beside its shard; G0 on the aggregated odds,
                 or on the summed losses (MD-GAN, D swapped)
    fedavg       weighted means of weights every 25 steps
    mixture      four pairs by themselves, samples by the shards' sizes; `local`: each of them alone
    central      one pair that sees all data: the ceiling
    divide       k-means finds the parts (`clusters`), a pair each, mixture
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import torch

from benchmarks.common import gone_on, show, spread
from raygan.config import resolve
from raygan.service.training import train
from raygan.strategies.base import Setup, load_data, strategy_of

PRESET = "ring8-federated"
SHORT, LONG = 2000, 8000
ALONE = {"resources.pairs_per_actor": 4}
METHODS: dict[str, dict[str, Any]] = {
    "central": {
        "strategy": "independent",
        "num_pairs": 1,
        "data.partition": "shared",
        "steps": SHORT,
    },
    "odds": {"steps": SHORT},
    "sum": {"strategy": "mdgan", "steps": SHORT},
    "fedavg": {"strategy": "fedavg", "steps": SHORT + 2},  # one step after an average
    "mixture": {"strategy": "independent", "steps": SHORT, **ALONE},
    "divide": {"strategy": "independent", "steps": SHORT, "data.partition": "clusters", **ALONE},
    "central, 8,000 steps": {"strategy": "independent", "num_pairs": 1, "data.partition": "shared"},
    "odds, 8,000 steps": {},
}
SCORES = ("modes@10%", "high_quality", "reverse_kl")
WHOSE = {"central": "pair-00", "odds": "global", "sum": "global", "fedavg": "pair-00"}


def one(method: str, seed: int) -> dict[str, Any]:
    """A run's scores, CPU seconds, and bytes that players send a step."""
    flags = {"seed": seed, "evaluation.every_steps": LONG, "checkpoint.every_steps": LONG}
    config = resolve(PRESET, flags=flags | METHODS[method])
    began = time.process_time()
    with tempfile.TemporaryDirectory() as folder:
        rows = train(config, run_dir=Path(folder), name="run", inline=True).scores()
    cpu = time.process_time() - began
    row = rows[WHOSE.get(method.partition(",")[0], "mixture")]
    found: dict[str, Any] = {m: row.get(m) for m in SCORES} | {"cpu_s": round(cpu, 1)}
    if "mixture" in rows:
        pairs = [r for p, r in rows.items() if p != "mixture"]
        found["local"] = {m: sum(float(r[m]) for r in pairs) / len(pairs) for m in SCORES}
    setup = Setup(config.config, load_data(config.config), torch.device("cpu"))
    return found | {"bytes_a_step": strategy_of(config.config).bytes_a_step(setup)}


def table(found: dict[str, list[dict[str, Any]]]) -> None:
    """For RESULTS.md."""

    def row(name: str, runs: list[dict[str, Any]], last: list[str]) -> list[str]:
        values = [[float(r[m] if r[m] is not None else "nan") for r in runs] for m in SCORES]
        return [name, str(len(runs)), *map(spread, values), *last]

    lines = []
    for method, runs in found.items():
        cost = [
            f"{runs[0]['bytes_a_step'] / 1e3:.1f} kB",
            f"{sum(r['cpu_s'] for r in runs) / len(runs):.0f}",
        ]
        lines.append(row(method, runs, cost))
        if "local" in runs[0]:
            lines.append(row(f"{method}: a pair", [r["local"] for r in runs], ["", ""]))
    show(["method", "seeds", *SCORES, "a step", "CPU s"], lines)


def main() -> None:
    """In turn, seed by seed."""
    seeds = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    torch.set_num_threads(1)
    table(gone_on("federated", sys.argv[2:] or METHODS, seeds, one))


if __name__ == "__main__":
    main()
