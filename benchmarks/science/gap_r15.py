"""GAP on R15, 100 of its 600 points, 4 pairs: swap periods against 4 independent pairs and a single
pair of equal compute.

python -m benchmarks gap-r15 [SEEDS]          default 5; writes results/gap-r15.json and .png
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.common import RESULTS, show, spread, write
from raygan.config import resolve
from raygan.service.runs.run import Run
from raygan.service.training import train

STEPS, PAIRS = 3000, 4
PERIODS = (1, 10, 50, 200, 1000)
METRICS = ("modes", "modes@10%", "high_quality", "width", "reverse_kl")
SETTINGS: dict[str, dict[str, Any]] = {
    "non_saturating": {
        "loss": "non_saturating",
        "pair": {"lr_g": 1e-3, "lr_d": 1e-3, "beta2": 0.9, "lr_decay": "constant", "ema": 0.0},
    },
    "dragan 0.1": {"loss": {"name": "dragan", "weight": 0.1}},
}


def last_half(run: Run, players: list[str]) -> dict[str, float]:
    """Each score's mean over the players and over the evaluations of the run's second half (GANs go
    to and fro).
    """
    rows = [
        r
        for r in run.rows
        if r["kind"] == "score" and r["player"] in players and r["step"] > run.config.steps / 2
    ]
    return {m: float(np.nanmean([r[m] for r in rows])) for m in METRICS}


def one(seed: int, loss: str, strategy: Any, pairs: int, steps: int) -> dict[str, dict[str, float]]:
    """Scores of the single generators (mean) and of the mixture."""
    flags = {"seed": seed, "num_pairs": pairs, "steps": steps, "strategy": strategy,
             "round_steps": 250, "evaluation": {"every_steps": 250, "samples": 2500},
             "checkpoint": {"every_steps": steps}, **SETTINGS[loss]}  # fmt: skip
    with tempfile.TemporaryDirectory() as folder:
        run = train(resolve("r15-sgan", flags=flags), run_dir=Path(folder), name="run", inline=True)
        out = {"single": last_half(run, run.pairs)}
        if pairs > 1:
            out["mixture"] = last_half(run, ["mixture"])
    return out


def main() -> None:
    """Run everything, print tables, keep the numbers, draw."""
    seeds = range(int(sys.argv[1]) if len(sys.argv) > 1 else 5)
    results: dict[str, dict[str, list[dict[str, dict[str, float]]]]] = {}
    for loss in SETTINGS:
        kinds: dict[str, tuple[Any, int, int]] = {
            "1 pair, equal compute": ("independent", 1, PAIRS * STEPS),
            "4 independent pairs": ("independent", PAIRS, STEPS),
            **{f"GAP, K = {k}": ({"name": "gap", "swap_every": k}, PAIRS, STEPS) for k in PERIODS},
        }
        results[loss] = {name: [one(s, loss, *kind) for s in seeds] for name, kind in kinds.items()}
        print(f"\n{loss}")
        for who in ("single", "mixture"):
            rows = [
                [name, *(spread([f[who][m] for f in found]) for m in METRICS)]
                for name, found in results[loss].items() if who in found[0]
            ]  # fmt: skip
            show([who, *METRICS], rows)
        write("gap-r15", {"seeds": list(seeds), "steps": STEPS, "pairs": PAIRS, "results": results})
    draw(results)


def draw(results: dict[str, Any]) -> None:
    """Modes of a single generator against the swap period; the band is the independent pairs'
    spread.
    """
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(
        1, len(results), figsize=(9.6, 3), layout="constrained", sharey=True
    )
    for axis, (loss, found) in zip(np.atleast_1d(axes), results.items(), strict=True):
        for who, tint in (("single", "#5b4fc7"), ("mixture", "#2e8b57")):
            gap = np.array([[f[who]["modes"] for f in found[f"GAP, K = {k}"]] for k in PERIODS])
            axis.errorbar(
                PERIODS,
                gap.mean(1),
                gap.std(1, ddof=1),
                color=tint,
                marker="o",
                capsize=3,
                label=f"GAP, {who}",
            )
            alone = np.array([f[who]["modes"] for f in found["4 independent pairs"]])
            axis.axhspan(
                alone.mean() - alone.std(ddof=1),
                alone.mean() + alone.std(ddof=1),
                color=tint,
                alpha=0.13,
                linewidth=0,
            )
            axis.axhline(
                alone.mean(), color=tint, linestyle="--", linewidth=0.8, label=f"independent, {who}"
            )
        axis.set_xscale("log")
        axis.set_title(loss, fontsize=9)
        axis.set_xlabel("swap period K (updates)")
    np.atleast_1d(axes)[0].set_ylabel("modes of 15")
    np.atleast_1d(axes)[-1].legend(fontsize=7, frameon=False)
    figure.savefig(RESULTS / "gap-r15.png", dpi=110)


if __name__ == "__main__":
    main()
