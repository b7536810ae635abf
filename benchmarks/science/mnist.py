"""MNIST: the global pair beside its locals, and beside one single pair of equal compute.

`python -m benchmarks mnist [RUN]` scores a finished `mnist-sgan` run (runs/mnist, trained where it
is not there), then trains one pair alone, with the same networks, loss and rates, for as many steps
as its training seconds (all players together, measured on a core of its own here) pay for.
"""

from __future__ import annotations

import argparse
import subprocess
import tempfile
import time
from pathlib import Path

import torch

from benchmarks.common import show, write
from raygan.config import Config, Resolved, validate
from raygan.controller.worker import Shelves
from raygan.service.runs.run import Run
from raygan.service.scores.evaluate import evaluate_runs
from raygan.service.training import train
from raygan.strategies.base import Setup, load_data, strategy_of
from raygan.strategies.roles import GLOBAL

PROBE = 40


def cost_ratio(config: Config) -> float:
    """Seconds of one SGAN iteration (all players) over those of one pair's step, on one core."""
    setup = Setup(config, load_data(config), torch.device("cpu"))
    strategy = strategy_of(config)
    board = Shelves()
    seconds = dict.fromkeys(strategy.players(config), 0.0)
    players = {n: strategy.build(n, setup) for n in seconds}
    for measured in (False, True):
        for name, player in players.items():
            began = time.perf_counter()
            player.train(PROBE, board)
            if measured:
                seconds[name] = time.perf_counter() - began
    pairs = [s for n, s in seconds.items() if n != GLOBAL]
    return sum(seconds.values()) / (sum(pairs) / len(pairs))


def main() -> None:
    """Train, score alike, print, keep."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", nargs="?", default="runs/mnist")
    parser.add_argument("--samples", type=int, default=10_000)
    args = parser.parse_args()
    torch.set_num_threads(1)
    if not Path(args.run).exists():
        folder = str(Path(args.run).parent)
        here = ["--run-dir", folder, "--name", Path(args.run).name]
        subprocess.run(["raygan", "train", "--preset", "mnist-sgan", *here], check=True)
    run = Run.load(args.run)
    ratio = cost_ratio(run.config)
    steps = round(run.config.steps * ratio)
    single = validate(Config, {
        **run.config.model_dump(), "num_pairs": 1, "strategy": {"name": "independent"},
        "steps": steps, "evaluation": {"every_steps": 5000, "samples": 2000},
        "checkpoint": {"every_steps": 10_000},
    })  # fmt: skip
    with tempfile.TemporaryDirectory() as folder:
        alone = train(
            Resolved(config=single, origins={}), run_dir=Path(folder), name="single", inline=True
        )
        results = evaluate_runs([str(run.path), str(alone.path)], None, args.samples, None, 0)
    sgan, pair = results
    rows = {"ceiling (real data)": sgan["ceiling"], **sgan["scores"]}
    rows[f"single pair, {steps} steps (equal compute)"] = pair["scores"]["pair-00"]
    rows["floor (noise)"] = sgan["floor"]
    metrics = list(sgan["ceiling"])
    show(
        ["generator", *metrics],
        [[name, *(f"{row[m]:.3f}" for m in metrics)] for name, row in rows.items()],
    )
    print(
        f"one SGAN iteration costs {ratio:.2f} steps of a pair; protocol {sgan['protocol']['id']};"
        f" run {run.info['elapsed']} s"
    )
    write(
        "mnist",
        {
            "rows": rows,
            "ratio": ratio,
            "steps": steps,
            "protocol": sgan["protocol"],
            "seconds": run.info["elapsed"],
        },
    )


if __name__ == "__main__":
    main()
