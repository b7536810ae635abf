"""Where batching pairs pays: ten pairs as one batched model against one after the other, one
thread, in turn.

python -m benchmarks packs [REPEATS]          default 5; writes results/packs.json
"""

from __future__ import annotations

import sys
from typing import Any

import torch

from benchmarks.common import middle, show, write
from benchmarks.speed.plain import WORKS, Work, timed
from raygan.config import resolve
from raygan.controller.worker import Shelves
from raygan.gan.pair import Pair
from raygan.strategies.base import Setup, load_data, pair_name
from raygan.strategies.batching.pack import Pack

DRAGAN = {"loss": {"name": "dragan", "weight": 0.1}}
CASES: dict[str, tuple[Work, dict[str, Any], int]] = {
    **{
        f"MLP 4 x {h}": (WORKS["small"], {"network.hidden": h}, 3200 // h)
        for h in (64, 128, 256, 512)
    },
    **{
        f"MLP 4 x {h}, DRAGAN": (WORKS["small"], {"network.hidden": h, **DRAGAN}, 2000 // h)
        for h in (64, 128)
    },
    **{
        f"DCGAN, width {w}": (WORKS["dcgan"], {"network.width": w, "num_pairs": 10}, 6)
        for w in (8, 16)
    },
}


def ratios(work: Work, flags: dict[str, Any], steps: int, repeats: int) -> list[float]:
    """Seconds one after the other / seconds as one model."""
    config = resolve(work.preset, flags=work.values(**flags)).config
    setup, board = Setup(config, load_data(config), torch.device("cpu")), Shelves()
    names = [pair_name(i) for i in range(config.num_pairs)]
    alone, pack = (
        [Pair(n, setup.parts(n)) for n in names],
        Pack([Pair(n, setup.parts(n)) for n in names]),
    )
    out = [
        timed(lambda: [p.train(steps, board) for p in alone])
        / timed(lambda: pack.train(steps, board))
        for _ in range(repeats + 1)
    ]
    return out[1:]


def main() -> None:
    """Measure, print, keep."""
    torch.set_num_threads(1)
    repeats = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    found = {name: ratios(*case, repeats) for name, case in CASES.items()}
    show(
        ["ten pairs", "one model against one after the other"],
        [[name, middle(r)] for name, r in found.items()],
    )
    write("packs", {"ratios": found})


if __name__ == "__main__":
    main()
