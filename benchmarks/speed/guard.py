"""Is raygan as fast as it was? Ratios against the plain loop, one thread, in turn: `python -m
benchmarks guard`.

Writes results/guard.json; tests/test_speed.py measures again and fails where a ratio is more than
15 % below the committed one.

pair    a raygan pair against the plain PyTorch loop    MLP 4 x 64, batch 128, fused Adam, the
                                                        vanilla loss
pack    ten of them as one batched model against ten plain loops, one after the other
"""

from __future__ import annotations

import statistics

import torch

from benchmarks.common import show, write
from benchmarks.speed.plain import WORKS, Plain, timed
from raygan.controller.worker import Shelves
from raygan.gan.pair import Pair
from raygan.strategies.base import pair_name
from raygan.strategies.batching.pack import Pack

WORK = WORKS["small"]
STEPS = 40


def measure(repeats: int = 7) -> dict[str, float]:
    """Medians of ratios, each taken within one turn."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        setup, board = WORK.setup(), Shelves()
        names = [pair_name(i) for i in range(WORK.pairs)]
        plain = [Plain(setup, n, WORK.lr) for n in names]
        pair, pack = (
            Pair(names[0], setup.parts(names[0])),
            Pack([Pair(n, setup.parts(n)) for n in names]),
        )
        ratios: dict[str, list[float]] = {"pair": [], "pack": []}
        for turn in range(repeats + 1):  # the first warms up
            one = timed(lambda: plain[0].steps(5 * STEPS)) / timed(
                lambda: pair.train(5 * STEPS, board)
            )
            all_ = timed(lambda: [p.steps(STEPS) for p in plain]) / timed(
                lambda: pack.train(STEPS, board)
            )
            if turn:
                ratios["pair"].append(one)
                ratios["pack"].append(all_)
    finally:
        torch.set_num_threads(before)
    return {name: statistics.median(values) for name, values in ratios.items()}


def main() -> None:
    """Measure, print, keep."""
    found = measure()
    show(["against the plain loop", "x"], [[name, f"{ratio:.2f}"] for name, ratio in found.items()])
    write("guard", {"ratios": found})


if __name__ == "__main__":
    main()
