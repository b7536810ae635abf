"""GAP's Figs. 6 and 7 on R15 (100 points): D's cost on training and held-out batches for 1, 2, 4
pairs; its spread by period.

python -m benchmarks generalisation [SEEDS]    default 5;
                                               writes results/generalisation.json and .png
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.common import RESULTS, show, spread, write
from raygan.config import resolve
from raygan.service.training import train

STEPS = 3000
PERIODS = (10, 50, 200, 500)


def curves(seed: int, pairs: int, strategy: Any) -> dict[str, list[float]]:
    """{steps, cost_train, cost_held_out (means over pairs), std (of the held-out cost over pairs
    and the last half)}.
    """
    flags = {
        "seed": seed, "num_pairs": pairs, "steps": STEPS, "strategy": strategy,
        "loss": "non_saturating", "round_steps": 20,
        "network": {"name": "mlp", "hidden": 128, "z_dim": 2},
        "pair": {"lr_g": 5e-4, "lr_d": 5e-4, "beta2": 0.9, "lr_decay": "constant", "ema": 0.0},
        "evaluation": {"every_steps": STEPS, "mixture": False},
        "checkpoint": {"every_steps": STEPS},
    }  # fmt: skip
    with tempfile.TemporaryDirectory() as folder:
        run = train(resolve("r15-sgan", flags=flags), run_dir=Path(folder), name="run", inline=True)
        rows = [r for r in run.rows if r["kind"] == "train" and "cost_held_out" in r]
        steps = sorted({r["step"] for r in rows})
        out: dict[str, list[float]] = {"steps": [float(s) for s in steps]}
        for key in ("cost_train", "cost_held_out"):
            out[key] = [float(np.mean([r[key] for r in rows if r["step"] == s])) for s in steps]
        late = [r["cost_held_out"] for r in rows if r["step"] > STEPS / 2]
        out["std"] = [float(np.std(late))]
        return out


def main() -> None:
    """Run, print, keep, draw."""
    seeds = range(int(sys.argv[1]) if len(sys.argv) > 1 else 5)
    kinds: dict[str, tuple[int, Any]] = {
        "1 pair": (1, "independent"),
        "4 independent pairs": (4, "independent"),
    }
    kinds |= {f"GAP, {n} pairs, K = 50": (n, {"name": "gap", "swap_every": 50}) for n in (2, 4)}
    kinds |= {
        f"GAP, 4 pairs, K = {k}": (4, {"name": "gap", "swap_every": k}) for k in PERIODS if k != 50
    }
    found = {name: [curves(s, *kind) for s in seeds] for name, kind in kinds.items()}
    rows = []
    for name, runs in found.items():
        half = len(runs[0]["steps"]) // 2
        gap = [
            float(np.mean(r["cost_held_out"][half:]) - np.mean(r["cost_train"][half:]))
            for r in runs
        ]
        held = [float(np.mean(r["cost_held_out"][half:])) for r in runs]
        rows.append([name, spread(gap), spread(held), spread([r["std"][0] for r in runs])])
    show(["", "held-out minus training cost", "held-out cost", "std of the held-out cost"], rows)
    write("generalisation", {"seeds": list(seeds), "steps": STEPS, "results": found})
    draw(found)


def draw(found: dict[str, Any]) -> None:
    """Left: the two costs over time. Right: the spread by period."""
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    figure, (left, right) = plt.subplots(1, 2, figsize=(9.6, 3), layout="constrained")
    for name, tint in (
        ("1 pair", "#8a8a8a"),
        ("GAP, 2 pairs, K = 50", "#5b4fc7"),
        ("GAP, 4 pairs, K = 50", "#d1495b"),
    ):
        for key, style in (("cost_train", "-"), ("cost_held_out", "--")):
            mean = np.mean([r[key] for r in found[name]], 0)
            smooth = np.convolve(mean, np.ones(9) / 9, mode="valid")
            left.plot(
                found[name][0]["steps"][4:-4],
                smooth,
                style,
                color=tint,
                linewidth=1.1,
                label=f"{name}, {key[5:].replace('_', ' ')}",
            )
    left.set_xlabel("step")
    left.set_ylabel("cost of D (mean of 9 rows)")
    left.legend(fontsize=6, frameon=False)
    stds = np.array([[r["std"][0] for r in found[f"GAP, 4 pairs, K = {k}"]] for k in PERIODS])
    right.errorbar(
        PERIODS,
        stds.mean(1),
        stds.std(1, ddof=1),
        marker="o",
        capsize=3,
        color="#d1495b",
        label="GAP, 4 pairs",
    )
    alone = np.mean([r["std"][0] for r in found["4 independent pairs"]])
    right.axhline(
        alone, color="#8a8a8a", linestyle="--", linewidth=0.9, label="4 independent pairs"
    )
    right.set_xscale("log")
    right.set_xlabel("swap period K (updates)")
    right.set_ylabel("std of the held-out cost")
    right.legend(fontsize=7, frameon=False)
    figure.savefig(RESULTS / "generalisation.png", dpi=110)


if __name__ == "__main__":
    main()
