"""Every preset on toy data, run to its end: `python -m benchmarks presets [SEEDS] [PRESET ...]`

Writes results/presets.json.

One process, one thread, all evaluation as each preset has it; goes on where it was (take out of
the file what has changed since). A row for each kind of generator: the global
one, one of the pairs (their mean), and the mixture of the pairs.
"""

from __future__ import annotations

import sys
from typing import Any

import torch

from benchmarks.common import gone_on, scored, show, spread

TOYS = (
    "ring8-sgan", "ring8-gap", "ring8-pmgan", "ring8-pmgan-10", "ring8-sgan-gap",
    "ring8-sgan-pmgan", "ring8-mgan", "ring8-madgan", "ring8-gman", "ring8-d2gan", "r15-sgan",
    "r15-gap", "grid25-sgan", "grid25-gap", "paper-5-sw-dragan-ring8", "paper-5-sw-wgan-ring8",
)  # fmt: skip
METRICS = ("modes", "modes@10%", "high_quality", "width", "reverse_kl")


def one(preset: str, seed: int) -> dict[str, Any]:
    """{generator: {metric: value}}, and the seconds."""
    found, info = scored(preset, {"seed": seed}, METRICS, "one pair (mean)")
    return {"scores": found, "seconds": info["elapsed"], "status": info["status"]}


def main() -> None:
    """Run, keep after each, print."""
    seeds = int(sys.argv[1]) if len(sys.argv) > 1 else 1
    presets = sys.argv[2:] or list(TOYS)
    torch.set_num_threads(1)
    found = gone_on("presets", presets, seeds, one)
    rows = [
        [preset, who, *(spread([r["scores"][who][m] for r in runs]) for m in METRICS),
         spread([r["seconds"] for r in runs])]
        for preset, runs in found.items()
        for who in runs[0]["scores"]
    ]  # fmt: skip
    show(["preset", "generator", *METRICS, "seconds"], rows)


if __name__ == "__main__":
    main()
