"""PMGAN's beta: does competition end where modes are divided? Five ways to set it.

python -m benchmarks balance [SEEDS]          default 5; writes results/balance.json after each run

The ring of 8 with eight and with ten generators, 2,000 steps, the presets' other settings. All
numbers are of the mixture of all generators but `dead`: the share of generators of which less than
a tenth of the samples are good. Width: spread of the good samples within their mode, over the
data's. Overlap: 1 - exp(J^C), mean over generators and the last tenth of the run.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.common import gone_on, show, spread
from raygan.config import resolve
from raygan.service.runs.run import Run
from raygan.service.training import train
from raygan.strategies.base import load_data

WAYS: dict[str, dict[str, Any]] = {
    "bounded, decayed (the preset)": {"balance": "bounded", "decay": 0.001},
    "bounded": {"balance": "bounded", "decay": 0.0},
    "constant, decayed": {"balance": "constant", "decay": 0.001},
    "constant (MGAN)": {"balance": "constant", "decay": 0.0},
    "learned": {"balance": "learned", "decay": 0.0},
}
METRICS = ("modes@10%", "high_quality", "reverse_kl")


def within(run: Run) -> float:
    """Width of the mixture's good samples in their modes; real data has 1."""
    modes = load_data(run.config).modes
    assert modes is not None
    samples = run.generator("mixture").sample(10_000, seed=0)
    apart = samples[:, None] - np.asarray(modes.means)[None]
    near = np.linalg.norm(apart, axis=2).argmin(1)
    off = apart[np.arange(len(samples)), near]
    good = np.linalg.norm(off, axis=1) <= 3 * modes.std
    spreads = [
        off[good & (near == m)].std(0).mean()
        for m in range(len(modes.means))
        if (good & (near == m)).sum() > 10
    ]
    return float(np.mean(spreads) / modes.std) if spreads else float("nan")


def judged(run: Run) -> dict[str, float]:
    """What the judge's rows say of the end: overlap, and beta."""
    rows = [r for r in run.rows if r["kind"] == "train" and r["player"] == "judge"]
    last = rows[-max(1, len(rows) // 10) :]

    def mean(key: str, of: Any) -> float:
        return float(np.mean([of(v) for r in last for k, v in r.items() if k.startswith(key)]))

    return {"overlap": mean("j_c/", lambda v: 1 - np.exp(v)), "beta": mean("beta/", float)}


def one(what: str, seed: int) -> dict[str, float]:
    """Scores of one run."""
    way, _, count = what.rpartition(", K = ")
    flags = {f"strategy.{k}": v for k, v in WAYS[way].items()}
    flags |= {"num_pairs": int(count), "seed": seed, "evaluation.every_steps": 2000}
    with tempfile.TemporaryDirectory() as folder:
        config = resolve("ring8-pmgan", flags=flags)
        run = train(config, run_dir=Path(folder), name="run", inline=True)
        scores = run.scores()
        dead = np.mean([scores[p]["high_quality"] < 0.1 for p in run.pairs])
        mixture = {m: float(scores["mixture"][m]) for m in METRICS}
        return mixture | {"width": within(run), "dead": float(dead)} | judged(run)


def main() -> None:
    """Each way, K and seed in turn; print, keep."""
    seeds = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    found = gone_on("balance", [f"{w}, K = {k}" for k in (8, 10) for w in WAYS], seeds, one)
    keys = list(next(iter(found.values()))[0])
    rows = [[w, *(spread([r[k] for r in rs]) for k in keys)] for w, rs in found.items()]
    show(["beta", *keys], rows)


if __name__ == "__main__":
    main()
