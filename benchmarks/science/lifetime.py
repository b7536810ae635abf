"""How long an SGAN messenger should live, on R15: `python -m benchmarks lifetime [SEEDS]`

Writes results/lifetime.json.

`r15-sgan` (5-S-DRAGAN, 100 of 600 points) with messengers that are copied anew every R iterations;
one process, one thread. The locals are the same in all rows. Goes on where it was.
"""

from __future__ import annotations

import sys

import torch

from benchmarks.common import gone_on, scored, show, spread
from raygan.config import resolve
from raygan.strategies.roles import GLOBAL

LIFETIMES = ("5", "25", "100")
METRICS = ("modes", "modes@10%", "high_quality", "width", "reverse_kl")


def one(lifetime: str, seed: int) -> dict[str, dict[str, float]]:
    """{generator: {metric: value}}."""
    steps = resolve("r15-sgan").config.steps
    flags = {
        "seed": seed,
        "strategy.messenger_lifetime": int(lifetime),
        "evaluation.every_steps": steps,
    }
    return scored("r15-sgan", flags, METRICS, "one local (mean of 5)")[0]


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
