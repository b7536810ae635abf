"""How long an SGAN messenger should live, on R15: `python -m benchmarks.lifetime [SEEDS]`      writes results/lifetime.json

`r15-sgan` (5-S-DRAGAN, 100 of 600 points) with messengers that are copied anew every R iterations; one process, one thread. The
locals are the same in all rows. Goes on where it was.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import Any

import torch

from benchmarks.common import gone_on, show, spread
from raygan.config import resolve
from raygan.service.training import train
from raygan.strategies.roles import GLOBAL

LIFETIMES = ("5", "25", "100")
METRICS = ("modes", "modes@10%", "high_quality", "reverse_kl")


def one(lifetime: str, seed: int) -> dict[str, Any]:
    """{generator: {metric: value}}."""
    steps = resolve("r15-sgan").config.steps
    flags = {"seed": seed, "strategy.messenger_lifetime": int(lifetime), "evaluation.every_steps": steps}
    with tempfile.TemporaryDirectory() as folder:
        run = train(resolve("r15-sgan", flags=flags), run_dir=Path(folder), name="run", inline=True)
        rows = run.scores()
        singles = [rows[p] for p in run.pairs]
        return {
            GLOBAL: {m: rows[GLOBAL][m] for m in METRICS},
            "one local (mean of 5)": {m: sum(r[m] for r in singles) / len(singles) for m in METRICS},
        }


def main() -> None:
    """Run, keep after each, print."""
    seeds = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    torch.set_num_threads(1)
    found = gone_on("lifetime", LIFETIMES, seeds, one)
    rows = [
        [f"R = {r}", who, *(spread([s[who][m] for s in runs]) for m in METRICS)]
        for r, runs in found.items()
        for who in runs[0]
        if who == GLOBAL or r == "5"
    ]
    show(["messengers live", "generator", *METRICS], rows)


if __name__ == "__main__":
    main()
