"""R3GAN's loss on the ring of 8, alone and in packs: `python -m benchmarks r3gan [STEPS ...]`
(2000); writes results/r3gan.json

    python -m benchmarks r3gan stacked SECONDS PRESET ...   presets of stacked MNIST, SECONDS of CPU
                                                            time each, on one thread; writes
                                                            results/r3gan-stacked.json after each,
                                                            seed 0

Ten pairs that do not help each other, each with streams of its own, trained as one batched model:
ten seeds of one recipe. All have the networks, rates and batch of the preset ring8-sgan; what
differs stands in RECIPES. `width`: spread of the good samples within their modes, in units of the
data's (1 = as wide as the modes are).

Then the CPU seconds of a step of ten pairs with r3gan, as one pack and one after the other, in
turn.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from benchmarks.common import kept, middle, show, spread, write
from benchmarks.science.stacked import run as run_for
from raygan.config import resolve
from raygan.service.training import train
from raygan.strategies.base import load_data

RECIPES: dict[str, dict[str, Any]] = {
    "dragan .1 (the preset's)": {},
    "hinge": {"loss": "hinge"},
    "non-saturating, R1 = R2 = .1": {"loss": {"name": "non_saturating", "r1": 0.1, "r2": 0.1}},
    "r3gan .1": {"loss": {"name": "r3gan", "r1": 0.1, "r2": 0.1}},
    "r3gan .1, beta1 0": {"loss": {"name": "r3gan", "r1": 0.1, "r2": 0.1}, "pair.beta1": 0.0},
    "r3gan, schedule": {
        "loss": {"name": "r3gan", "r1": 0.1, "r2": 0.1},
        "pair.schedule": {"lr": 0.1, "gamma": 0.1, "ema": 0.999},
        "pair.ema": 0.99, "pair.lr_decay": "constant",
    },
}  # fmt: skip
PAIRS, SAMPLES = 10, 2500
METRICS = ("modes", "modes@10%", "high_quality", "reverse_kl")


def flags(recipe: dict[str, Any], steps: int, packed: int) -> dict[str, Any]:
    """Ten independent pairs."""
    return {
        "strategy": "independent", "num_pairs": PAIRS, "resources.pairs_per_actor": packed,
        "steps": steps, "evaluation.every_steps": steps, "checkpoint.every_steps": steps,
        "evaluation.mixture": False, **recipe,
    }  # fmt: skip


def width(x: npt.NDArray[np.float32], means: npt.NDArray[np.float32], std: float) -> float:
    """Spread of the samples within 3 std of a mode around it."""
    away = x[:, None] - means[None]
    nearest = np.linalg.norm(away, axis=2).argmin(1)
    own = away[np.arange(len(x)), nearest]
    good = own[np.linalg.norm(own, axis=1) <= 3 * std]
    return float(np.sqrt((good**2).mean())) if len(good) else float("nan")


def one(recipe: dict[str, Any], steps: int) -> dict[str, list[float]]:
    """Each pair's scores and width, and the CPU seconds of training a pair."""
    config = resolve("ring8-sgan", flags=flags(recipe, steps, PAIRS))
    data = load_data(config.config)
    assert data.modes is not None
    real = width(data.held_out[:SAMPLES], data.modes.means, data.modes.std)
    with tempfile.TemporaryDirectory() as folder:
        began = time.process_time()
        run = train(config, run_dir=Path(folder), name="run", inline=True)
        seconds = time.process_time() - began
        rows = run.scores()
        found = {m: [float(rows[p][m]) for p in run.pairs] for m in METRICS}
        made = [run.generator(p).sample(SAMPLES, seed=0) for p in run.pairs]
        found["width"] = [width(x, data.modes.means, data.modes.std) / real for x in made]
        return found | {"cpu_s": [seconds / PAIRS]}


def a_step(packed: int, steps: int = 200) -> float:
    """CPU seconds of a step of all ten."""
    config = resolve("ring8-sgan", flags=flags(RECIPES["r3gan .1"], steps, packed))
    with tempfile.TemporaryDirectory() as folder:
        run = train(config, run_dir=Path(folder), name="run", inline=True)
        return sum(run.info["busy_seconds"].values()) / steps


def stacked(seconds: float, names: Sequence[str]) -> None:
    """By preset: scores over 26,000 samples of one pair that has trained for so many CPU s."""
    old = kept("r3gan-stacked")
    found = dict(old["results"]) if old.get("seconds") == seconds else {}
    for name in names:
        config = resolve(
            name,
            flags={
                "seed": 0,
                "steps": 10**7,
                "evaluation.every_steps": 10**7,
                "checkpoint.every_steps": 10**7,
            },
        )
        found[name] = run_for(config.config, seconds)["single"]
        write("r3gan-stacked", {"seconds": seconds, "results": found})
    keys = ("modes", "modes@0.9", "reverse_kl", "confidence", "steps")
    show(
        ["preset", *keys], [[name, *(f"{row[k]:.4g}" for k in keys)] for name, row in found.items()]
    )


def rings(counts: Sequence[int]) -> None:
    """Both tables of the ring."""
    rows, made = [], {}
    for steps in counts:
        for name, recipe in RECIPES.items():
            found = made[f"{name}, {steps}"] = one(recipe, steps)
            rows.append(
                [
                    name,
                    str(steps),
                    *(spread(found[m]) for m in (*METRICS, "width")),
                    f"{found['cpu_s'][0]:.1f}",
                ]
            )
            print(rows[-1], flush=True)
    turns = [(a_step(PAIRS), a_step(1)) for _ in range(3)]
    ratios = [alone / packed for packed, alone in turns]
    write("r3gan", {"recipes": made, "turns": turns})
    show(["recipe", "steps", *METRICS, "width", "CPU s a pair"], rows)
    print(
        f"a step of ten pairs: {1e3 * statistics.median(p for p, _ in turns):.1f} ms as a pack,"
        f" {middle(ratios)} one by one"
    )


def main() -> None:
    """What was asked for."""
    torch.set_num_threads(1)
    match sys.argv[1:]:
        case ["stacked", seconds, *names]:
            stacked(float(seconds), names)
        case counts:
            rings([int(n) for n in counts] or [2000])


if __name__ == "__main__":
    main()
