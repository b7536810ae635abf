"""What a step of SGAN's global pair takes when its messengers are in one process, and in several:
`python -m benchmarks shards`.

Eight locals train a step, publish and stop; then the global pair trains against their messengers,
alone on the machine. One thread a process; `messenger_shards` 1 and one for each core, in turn.
"local step": what one step of one local pair takes.
"""

from __future__ import annotations

import os
import statistics
import sys
import time
from dataclasses import replace

import torch

from benchmarks.common import middle, show, write
from benchmarks.speed.plain import WORKS, Work, timed
from raygan.actors.cluster import cluster
from raygan.actors.executor import RayExecutor
from raygan.config import resolve
from raygan.controller.worker import Shelves
from raygan.gan.pair import Pair
from raygan.strategies.base import Setup, load_data, strategy_of
from raygan.strategies.orders import Train
from raygan.strategies.roles import GLOBAL

PAIRS, STEPS = 8, {"small": 60, "toy": 15, "dcgan": 8}
SGAN = {
    "name": "sgan",
    "messenger_lifetime": 10_000,
    "messenger_steps": 5,
    "share_generators": "weights",
}


def setup_of(work: Work, shards: int) -> Setup:
    """Eight pairs of a work under SGAN."""
    values = replace(work, pairs=PAIRS).values(
        strategy={**SGAN, "messenger_shards": shards}, tempo="lockstep"
    )
    config = resolve(work.preset, flags={**values, "resources.pairs_per_actor": PAIRS}).config
    return Setup(config, load_data(config), torch.device("cpu"))


def global_step(work: Work, shards: int, steps: int) -> float:
    """Seconds."""
    setup = setup_of(work, shards)
    executor = RayExecutor("shards", setup)
    try:
        executor.start(strategy_of(setup.config).players(setup.config), {})
        for name in strategy_of(setup.config).locals(setup.config):
            executor.submit(Train(name, 1))
        done = 0
        while done < PAIRS:
            done += len(executor.wait(1.0))
        taken = []
        for count in (3, steps):  # the first warms up
            began = time.perf_counter()
            executor.submit(Train(GLOBAL, count))
            while not executor.wait(1.0):
                pass
            taken.append((time.perf_counter() - began) / count)
        return taken[-1]
    finally:
        executor.close()


def local_step(work: Work, steps: int) -> float:
    """Seconds."""
    pair, board = Pair("pair-00", work.setup().parts("pair-00")), Shelves()
    pair.train(5, board)
    return timed(lambda: pair.train(steps * 5, board)) / (steps * 5)


def main() -> None:
    """In turn, so that a slower minute is everybody's."""
    torch.set_num_threads(1)
    repeats = int(sys.argv[1]) if len(sys.argv) > 1 else 3
    cores = os.cpu_count() or 1
    raw: dict[str, dict[str, list[float]]] = {}
    with cluster("local", 512):
        for name, steps in STEPS.items():
            taken = raw.setdefault(name, {})
            for _ in range(repeats):
                taken.setdefault("local", []).append(local_step(WORKS[name], steps))
                for shards in (1, cores):
                    taken.setdefault(str(shards), []).append(
                        global_step(WORKS[name], shards, steps)
                    )
            print(name, {k: [f"{1e3 * t:.1f} ms" for t in v] for k, v in taken.items()}, flush=True)
    rows = []
    for name, taken in raw.items():
        for who, times in taken.items():
            ratios = [one / t for one, t in zip(taken["1"], times, strict=True)]
            rows.append([
                name, "a local step" if who == "local" else f"global step, {who} process(es)",
                f"{1e3 * statistics.median(times):.1f}",
                "" if who == "local" else middle(ratios),
            ])  # fmt: skip
    show(["work", f"what ({PAIRS} messengers)", "ms", "of one process"], rows)
    write("shards", {"seconds": raw, "pairs": PAIRS, "cores": cores})


if __name__ == "__main__":
    main()
