"""SGAN, Fig. 2d: share of modes that none of n independent pairs covers, for n = 1 .. N; vanilla
GAN on the ring of 8.

A mode is covered by a generator with at least 10 % of a fair share of its 2,500 samples within 3
std. Averaged over all subsets of n pairs and over the last 1,000 iterations; the paper's curve
falls exponentially. Pairs that miss modes independently give just that: the curve says that they
do, not that they help each other. Beside it, at equal compute: one pair with N times the steps.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from benchmarks.common import RESULTS, show, spread, write
from raygan.config import resolve
from raygan.controller.evaluator import Sampler
from raygan.controller.inline import InlineExecutor
from raygan.metrics.modes import mode_counts, uncovered_by_union
from raygan.strategies.base import Setup, load_data, strategy_of
from raygan.strategies.orders import Train

PAIRS, SEEDS, STEPS, EVERY, SAMPLES = 6, 5, 2000, 100, 2500
FLAGS: dict[str, Any] = {
    "strategy": "independent",
    "num_pairs": PAIRS,
    "loss": "non_saturating",
    "pair.lr_g": 1e-3,
    "pair.lr_d": 1e-3,
    "pair.lr_decay": "constant",
    "pair.ema": 0.0,
    "steps": STEPS,
}


LOOKED_AT = 1000
"""Iterations at the end."""


def one_seed(seed: int, pairs: int = PAIRS, steps: int = STEPS) -> np.ndarray[Any, Any]:
    """(pairs,) share of uncovered modes, averaged over the last 1,000 iterations."""
    import torch

    flags = {**FLAGS, "num_pairs": pairs, "steps": steps, "seed": seed}
    config = resolve("ring8-sgan", flags=flags).config
    data = load_data(config)
    assert data.modes is not None
    setup = Setup(config, data, torch.device("cpu"))
    executor = InlineExecutor(setup)
    names = strategy_of(config).players(config)
    executor.start(names, {})
    sampler = Sampler(setup)
    found = []
    for step in range(EVERY, steps + 1, EVERY):
        counts = []
        for name in names:
            executor.submit(Train(name, EVERY))
            executor.wait(0)
            if step > steps - LOOKED_AT:
                vector = executor.players[name].generator_vector()
                counts.append(
                    mode_counts(sampler.draw(name, vector, SAMPLES, step).numpy(), data.modes)
                )
        if counts:
            found.append(uncovered_by_union(np.array(counts), SAMPLES / len(data.modes.means)))
    executor.close()
    return np.mean(found, axis=0)


def main() -> None:
    """Run, fit, print, draw."""
    shares = np.array([one_seed(s) for s in range(SEEDS)])
    longer = [float(one_seed(s, pairs=1, steps=PAIRS * STEPS)[0]) for s in range(SEEDS)]
    n = np.arange(1, PAIRS + 1)
    mean = shares.mean(0)
    seen = mean > 0
    slope, start = np.polyfit(n[seen], np.log(mean[seen]), 1)
    residual = np.log(mean[seen]) - (slope * n[seen] + start)
    r2 = 1 - residual.var() / np.log(mean[seen]).var()
    rows = [[str(k), spread(list(shares[:, k - 1])), f"{np.exp(slope * k + start):.3g}"] for k in n]
    show(["pairs", "share of uncovered modes (5 seeds)", "fitted a exp(-b n)"], rows)
    print(
        f"each further pair leaves {np.exp(slope):.0%} of the uncovered modes; R2 of the log-linear"
        f" fit {r2:.3f}"
    )
    print(f"one pair with {PAIRS} times the steps: {spread(longer)}")
    write(
        "fig2d",
        {
            "shares": shares.tolist(),
            "longer": longer,
            "factor": float(np.exp(slope)),
            "r2": float(r2),
            "flags": FLAGS,
        },
    )
    draw(n, shares, slope, start, float(np.mean(longer)))


def draw(n: Any, shares: Any, slope: float, start: float, longer: float) -> None:
    """benchmarks/results/fig2d.png."""
    from raygan.service.views.colours import MAIN
    from raygan.service.views.paper import STYLE, plt

    with plt.rc_context(STYLE):
        figure, axis = plt.subplots(figsize=(5, 3.2), layout="constrained")
        for row in shares:
            axis.plot(n, row, color="#c9c9c9", linewidth=0.9)
        axis.plot(n, shares.mean(0), color=MAIN, marker="o", label="mean over 5 seeds")
        axis.plot(
            n,
            np.exp(slope * n + start),
            color="#333333",
            linestyle="--",
            linewidth=0.9,
            label="a exp(-b n)",
        )
        axis.plot(
            n[-1], longer, color="#333333", marker="D", linestyle="none",
            label=f"one pair, {n[-1]} times the steps",
        )  # fmt: skip
        axis.set_xlabel("pairs n")
        axis.set_ylabel("share of modes that none covers")
        axis.legend(frameon=False)
        figure.savefig(RESULTS / "fig2d.png", dpi=130)


if __name__ == "__main__":
    main()
