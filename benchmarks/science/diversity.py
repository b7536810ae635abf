"""PMGAN's diversity factor lambda on the ring of 8: what it changes, and whether the paper's three
intuitions hold on real runs.

python -m benchmarks diversity [SEEDS]          default 5; writes results/diversity.json and .png
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

LAMBDAS = (-20.0, -4.0, -2.0, 0.0, 1.0, 2.0)
METRICS = ("modes", "modes@10%", "high_quality", "width", "reverse_kl")


def intuitions(run: Run) -> dict[str, float]:
    """Over the judge's rounds: rank correlations of beta with what the paper says it follows.

    beta against overlap: over generators, with -c_k/d_k, which is large for one near the data (d
    low) whose samples C takes for another's (c low), and small for one that has run outward (d
    high, c high): intuitions 3 and 2. spread: beta's relative standard deviation over generators in
    the first and last tenth of the run (1: alike in everything, alike in beta).
    """
    rows = [r for r in run.rows if r["kind"] == "train" and r["player"] == "judge"]
    names = [k.partition("/")[2] for k in rows[-1] if k.startswith("beta/")]
    beta = np.array([[r[f"beta/{n}"] for n in names] for r in rows])
    share = beta / beta.mean(1, keepdims=True)
    ratio = np.array(
        [[r[f"j_c/{n}"] * (1 + np.exp(-r[f"j_d/{n}"])) for n in names] for r in rows]
    )  # c_k / d_k
    overlap = [spearman(share[i], -ratio[i]) for i in range(len(rows)) if share[i].std() > 1e-6]
    tenth = max(1, len(rows) // 10)
    return {
        "beta against overlap": float(np.mean(overlap)) if overlap else float("nan"),
        "spread of beta, first tenth": float(share[:tenth].std(1).mean()),
        "spread of beta, last tenth": float(share[-tenth:].std(1).mean()),
    }


def spearman(a: Any, b: Any) -> float:
    """Rank correlation."""
    ranks = [np.argsort(np.argsort(v)).astype(float) for v in (a, b)]
    return float(np.corrcoef(*ranks)[0, 1])


def main() -> None:
    """Sweep, print, keep, draw."""
    seeds = range(int(sys.argv[1]) if len(sys.argv) > 1 else 5)
    found: dict[str, list[dict[str, float]]] = {}
    for value in LAMBDAS:
        for seed in seeds:
            flags = {"seed": seed, "steps": 1000, "strategy.diversity": value,
                     "strategy.decay": 0.0, "num_pairs": 10, "round_steps": 50,
                     "evaluation": {"every_steps": 1000},
                     "checkpoint": {"every_steps": 1000}}  # fmt: skip
            with tempfile.TemporaryDirectory() as folder:
                run = train(
                    resolve("ring8-pmgan", flags=flags),
                    run_dir=Path(folder),
                    name="run",
                    inline=True,
                )
                scores = run.scores()
                singles = [scores[p] for p in run.pairs]
                dead = sum(s["high_quality"] < 0.1 for s in singles) / len(singles)
                found.setdefault(f"{value:g}", []).append(
                    {m: float(scores["mixture"][m]) for m in METRICS}
                    | {"dead generators": dead}
                    | intuitions(run)
                )
    keys = list(next(iter(found.values()))[0])
    show(
        ["lambda", *keys],
        [[k, *(spread([v[m] for v in values]) for m in keys)] for k, values in found.items()],
    )
    write("diversity", {"seeds": list(seeds), "results": found})
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(1, 3, figsize=(9.6, 2.8), layout="constrained")
    for axis, metric in zip(axes, ("high_quality", "reverse_kl", "dead generators"), strict=True):
        values = np.array([[v[metric] for v in found[f"{k:g}"]] for k in LAMBDAS])
        axis.errorbar(
            range(len(LAMBDAS)),
            np.nanmean(values, 1),
            np.nanstd(values, 1, ddof=1),
            marker="o",
            capsize=3,
            color="#2e8b57",
        )
        axis.set_xticks(
            range(len(LAMBDAS)), [f"{k:g}" if k > -20 else "off (-20)" for k in LAMBDAS]
        )
        axis.set_xlabel("lambda")
        axis.set_title(
            f"{metric}, mixture of 10" if metric != "dead generators" else metric, fontsize=9
        )
    figure.savefig(RESULTS / "diversity.png", dpi=110)


if __name__ == "__main__":
    main()
