"""Layers in bfloat16, images with channels last, both, two threads: what a step costs, and what it
does to quality.

    python -m benchmarks precision          writes results/precision.json

Time: one pair, a second a turn, the variants in turn, medians of five turns' ratios to float32 on
one thread. Quality: one DCGAN on MNIST, equal steps, five seeds; floor and ceiling beside it.
"""

from __future__ import annotations

import multiprocessing
import statistics
import tempfile
from pathlib import Path
from typing import Any

import torch

from benchmarks.common import show, spread, write
from benchmarks.speed.plain import timed
from raygan.config import resolve
from raygan.controller.worker import Shelves
from raygan.gan.pair import Pair
from raygan.service.training import train
from raygan.strategies.base import Setup, load_data

VARIANTS: dict[str, dict[str, Any]] = {
    "float32": {},
    "bfloat16": {"precision": "bfloat16"},
    "channels last": {"channels_last": True},
    "both": {"precision": "bfloat16", "channels_last": True},
}
NETWORKS: dict[str, dict[str, Any]] = {
    "DCGAN, width 8": {
        "data": "stacked_mnist",
        "network": {"name": "dcgan", "width": 8, "z_dim": 64},
    },
    "DCGAN, width 16": {
        "data": "stacked_mnist",
        "network": {"name": "dcgan", "width": 16, "z_dim": 64},
    },
    "DCGAN, width 32": {
        "data": "stacked_mnist",
        "network": {"name": "dcgan", "width": 32, "z_dim": 64},
    },
    "DCGAN, width 64": {
        "data": "stacked_mnist",
        "network": {"name": "dcgan", "width": 64, "z_dim": 64},
    },
    "MLP 4 x 512": {"data": "ring", "network": {"name": "mlp", "hidden": 512, "z_dim": 2}},
}
TURN_S, TURNS = 1.0, 5
QUALITY_STEPS, SEEDS = 2000, range(5)
METRICS = ("fid@cnn-mnist-f7720083", "score", "tv", "confidence")


def pair_of(spec: dict[str, Any], switches: dict[str, Any]) -> Pair:
    """One pair, batch 64, the vanilla loss, Adam."""
    flags = {
        "loss": "non_saturating",
        "batch_size": 64,
        "data": spec["data"],
        "network": {**spec["network"], **switches},
    }
    config = resolve("ring8-gap", flags=flags).config
    return Pair("pair-00", Setup(config, load_data(config), torch.device("cpu")).parts("pair-00"))


def speed(spec: dict[str, Any]) -> dict[str, float]:
    """Milliseconds of a float32 step on one thread, and how many times faster the others are."""
    variants = [
        (name, switches, threads) for threads in (1, 2) for name, switches in VARIANTS.items()
    ]
    if spec["data"] == "ring":  # no images
        variants = [v for v in variants if "channels_last" not in v[1]]
    pairs, board = [pair_of(spec, switches) for _, switches, _ in variants], Shelves()
    ratios: dict[str, list[float]] = {}
    base = list[float]()
    pairs[0].train(3, board)
    steps = max(3, round(TURN_S / timed(lambda: pairs[0].train(3, board)) * 3))
    for turn in range(TURNS + 1):  # the first warms up
        seconds = []
        for pair, (_, _, threads) in zip(pairs, variants, strict=True):
            torch.set_num_threads(threads)
            seconds.append(timed(lambda: pair.train(steps, board)))  # noqa: B023
        if turn:
            base.append(1e3 * seconds[0] / steps)
            for took, (name, _, threads) in zip(seconds, variants, strict=True):
                ratios.setdefault(f"{name}, {threads} thread{'s' * (threads > 1)}", []).append(
                    seconds[0] / took
                )
    torch.set_num_threads(1)
    return {
        "ms": statistics.median(base),
        **{name: statistics.median(r) for name, r in ratios.items()},
    }


def quality(job: tuple[str, int]) -> tuple[str, dict[str, Any]]:
    """The last scores of one run."""
    variant, seed = job
    network = {"name": "dcgan", "width": 16, "z_dim": 64, **VARIANTS[variant]}
    flags = {
        "seed": seed, "steps": QUALITY_STEPS, "num_pairs": 1, "strategy": "independent",
        "batch_size": 64, "network": network, "pair": {"lr_g": 0.0004, "lr_d": 0.0004},
        "evaluation": {"every_steps": QUALITY_STEPS, "samples": 5000},
    }  # fmt: skip
    with tempfile.TemporaryDirectory() as folder:
        run = train(
            resolve("mnist-gap", flags=flags), run_dir=Path(folder), name="run", inline=True
        )
        row = run.scores()["pair-00"]
        return variant, {
            **{m: row[m] for m in METRICS},
            "protocol": run.info["protocols"][row["protocol"]],
        }


def main() -> None:
    """Measure, print, keep."""
    times = {name: speed(spec) for name, spec in NETWORKS.items()}
    columns = list(times["DCGAN, width 8"])[2:]
    show(
        ["", "float32, 1 thread", *columns],
        [
            [name, f"{t['ms']:.1f} ms", *(f"{t[c]:.2f}x" if c in t else "" for c in columns)]
            for name, t in times.items()
        ],
    )
    jobs = [(variant, seed) for seed in SEEDS for variant in ("float32", "both")]
    with multiprocessing.get_context("spawn").Pool(2) as pool:
        found = pool.map(quality, jobs, chunksize=1)
    scores = {
        v: {m: [row[m] for variant, row in found if variant == v] for m in METRICS}
        for v in ("float32", "both")
    }
    protocol = found[0][1]["protocol"]
    rows = [[v, *(spread(values) for values in by.values())] for v, by in scores.items()]
    bounds = [
        [name, *(f"{protocol[name].get(m, float('nan')):.3g}" for m in METRICS)]
        for name in ("ceiling", "floor")
    ]
    show([f"MNIST, {QUALITY_STEPS} steps", *METRICS], [*rows, *bounds])
    write("precision", {"times": times, "scores": scores, "protocol": protocol})


if __name__ == "__main__":
    main()
