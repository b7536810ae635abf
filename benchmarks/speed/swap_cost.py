"""What a swap every 50 steps costs a run's throughput: `python -m benchmarks swap-cost [TURNS]
[WORK ...]`.

Two runs one after the other would differ by more than that on a shared machine. So one run does
both: blocks of 200 steps with a swap every 50 of them, and blocks without, in turn, by the same
processes; all pairs meet where a block ends. A block with swaps has three meetings more than one
without; what a turn says is (with / without - 1) * 4 / 3, for the four that 200 steps have.

That has two parts: the meeting itself, from the last pair's arrival until everybody has its new
network, which is timed; and waiting for the last one, which hangs on how evenly the cores run.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.common import middle, show, write
from benchmarks.speed.plain import SWAP, WORKS
from raygan.actors.cluster import cluster
from raygan.config import resolve
from raygan.controller.controller import Controller
from raygan.controller.orders import Adopt, Done
from raygan.service.training import train
from raygan.strategies.meetings import Points
from raygan.strategies.orders import Swap

MEETINGS = 4
BLOCK = MEETINGS * SWAP


def in_turn(self: Points, step: int) -> int:
    """Points.after: each SWAP steps in every second block, and where a block ends."""
    return step // SWAP * SWAP + SWAP if step // BLOCK % 2 else (step // BLOCK + 1) * BLOCK


class Watch:
    """A listener: when each meeting began and ended."""

    def __init__(self) -> None:
        self.began, self.ended = list[float](), list[float]()

    def __call__(self, controller: Controller, item: Done) -> None:
        """Orders are timed from their submission."""
        if isinstance(item.order, Swap):
            self.began.append(time.perf_counter() - item.seconds)
        elif isinstance(item.order, Adopt):
            self.ended.append(time.perf_counter())


def costs(name: str, pairs_per_actor: int | str, turns: int, folder: Path) -> dict[str, Any]:
    """Shares of the time that 50 steps take without swaps, of each turn; milliseconds of each
    meeting.
    """
    work, watch = WORKS[name], Watch()
    steps = BLOCK * 2 * (turns + 1)
    rare = {"evaluation.every_steps": steps, "checkpoint.every_steps": steps}
    flags = work.values(steps=steps, **{"resources.pairs_per_actor": pairs_per_actor}, **rare)
    run = train(
        resolve(work.preset, flags=flags), run_dir=folder, address="auto", listeners=[watch]
    )
    edge = range(
        0, len(watch.began), MEETINGS + 1
    )  # the meetings with which a block begins that has swaps
    ms = [1e3 * (ended - began) for began, ended in zip(watch.began, watch.ended, strict=True)]
    whole, alone = list[float](), list[float]()
    for i in edge[1:-1]:  # the first blocks warm up
        swapping = watch.began[i + MEETINGS] - watch.began[i]
        without = watch.began[i + MEETINGS + 1] - watch.began[i + MEETINGS]
        whole.append((swapping / without - 1) * MEETINGS / (MEETINGS - 1))
        alone.append(statistics.mean(ms[i : i + MEETINGS]) / 1e3 * MEETINGS / without)
    return {
        "whole": whole,
        "meeting": alone,
        "ms": ms[MEETINGS + 1 :],
        "packs": run.info.get("packs", {}),
    }


def main() -> None:
    """Each work with packs as raygan takes them, and with an actor a pair."""
    words = sys.argv[1:]
    turns = int(words.pop(0)) if words and words[0].isdigit() else 10
    found: dict[str, Any] = {}
    Points.after = in_turn  # type: ignore[method-assign]
    with cluster("local", 512), tempfile.TemporaryDirectory() as folder:
        for name in words or list(WORKS):
            for per in ("auto", 1):
                found[f"{name}, {per}"] = costs(name, per, turns, Path(folder) / f"{name}-{per}")
                print(name, per, found[f"{name}, {per}"], flush=True)
    show(
        ["pairs", "a meeting", f"one every {SWAP} steps", "with waiting for the last one"],
        [
            [
                who,
                middle(f["ms"], ".0f", " ms"),
                *(middle([100 * v for v in f[k]], ".1f", " %") for k in ("meeting", "whole")),
            ]
            for who, f in found.items()
        ],
    )
    write("swap-cost", {"turns": turns, "block": BLOCK, "found": found})


if __name__ == "__main__":
    main()
