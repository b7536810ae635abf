"""PMGAN and batch norm in D, on MNIST: `python -m benchmarks batch-norm [SEEDS]`

Writes results/batch-norm.json.

`mnist-pmgan` for 1,000 steps, four generators, one process, one thread: D and C learn on each
generator's own batch statistics (`strategy.statistics own`), on the mixture's, or have layer norm
or none in D. Goes on where it was.
"""

from __future__ import annotations

import sys
from typing import Any

import torch

from benchmarks.common import gone_on, scored, show, spread

STEPS = 1000
VARIANTS: dict[str, dict[str, Any]] = {
    "batch norm, statistics own": {},
    "batch norm, statistics mixture": {"strategy.statistics": "mixture"},
    "layer norm": {"network.norm_d": "layer"},
    "no norm in D": {"network.norm_d": "none"},
}
METRICS = ("fid@cnn-mnist-f7720083", "score", "tv", "confidence")


def one(variant: str, seed: int) -> dict[str, Any]:
    """{generator: {metric: value}} and the protocol with its floor and ceiling."""
    flags = {"seed": seed, "steps": STEPS, "evaluation.every_steps": STEPS, **VARIANTS[variant]}
    found, info = scored("mnist-pmgan", flags, METRICS, "one generator (mean of 4)")
    return {**found, "protocol": next(iter(info["protocols"].values()))}


def main() -> None:
    """Run, keep after each, print."""
    seeds = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    torch.set_num_threads(1)
    found = gone_on("batch-norm", VARIANTS, seeds, one)
    rows = [
        [variant, who, *(spread([r[who][m] for r in runs]) for m in METRICS)]
        for variant, runs in found.items()
        for who in ("one generator (mean of 4)", "mixture")
    ]
    protocol = next(iter(found.values()))[0]["protocol"]
    bounds = [
        [b, "", *(f"{protocol[b].get(m, float('nan')):.3g}" for m in METRICS)]
        for b in ("ceiling", "floor")
    ]
    show([f"mnist-pmgan, {STEPS} steps", "generator", *METRICS], [*rows, *bounds])


if __name__ == "__main__":
    main()
