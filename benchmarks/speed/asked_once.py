"""What it saves that strategy and homes are made once: `python -m benchmarks asked-once [PRESET
[TURNS]]`

200 steps of a preset in this process, one thread, with the two remembered and made anew at each
question; in turns, CPU seconds: of the training alone (orders, players, nothing scored or written),
and of the whole run. Writes results/asked-once.json.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import torch

from benchmarks.common import middle, show, write
from raygan.config import Resolved, resolve
from raygan.controller.inline import InlineExecutor
from raygan.service.training import train
from raygan.service.verify import final_states
from raygan.strategies.base import Setup, load_data
from raygan.strategies.base import chosen as strategy

STEPS = 200
WAYS = {
    "made once": (strategy._strategy, strategy._homes),
    "made at each question": (strategy._strategy.__wrapped__, strategy._homes.__wrapped__),
}


def training(resolved: Resolved) -> None:
    """Orders and players."""
    config = resolved.config
    setup = Setup(config, load_data(config), torch.device("cpu"))
    final_states(config, lambda: InlineExecutor(setup), samples=len(setup.data.train))


def run(resolved: Resolved) -> None:
    """And scores, checkpoints, logs."""
    with tempfile.TemporaryDirectory() as folder:
        train(resolved, run_dir=Path(folder), name="run", inline=True)


def seconds(what: Callable[[Resolved], None], resolved: Resolved, way: str) -> float:
    """CPU seconds."""
    strategy._strategy, strategy._homes = WAYS[way]  # type: ignore[assignment]
    began = time.process_time()
    what(resolved)
    return time.process_time() - began


def main() -> None:
    """Warm up, measure in turns, print, keep."""
    preset, turns = (sys.argv[1:] + ["ring8-pmgan", "5"][len(sys.argv) - 1 :])[:2]
    resolved = resolve(preset, flags={"seed": 0, "steps": STEPS})
    rows, kept = [], {}
    for what in (training, run):
        seconds(what, resolved, "made once")
        taken = {way: list[float]() for way in WAYS}
        for turn in range(int(turns)):
            for way in sorted(WAYS, reverse=bool(turn % 2)):
                taken[way].append(seconds(what, resolved, way))
        ratios = [
            old / new
            for old, new in zip(taken["made at each question"], taken["made once"], strict=True)
        ]
        rows.append(
            [
                f"{preset}, {what.__name__}",
                *(middle(taken[way], ".2f", "") for way in WAYS),
                middle(ratios),
            ]
        )
        kept[what.__name__] = {"seconds": taken, "ratios": ratios}
    show(["CPU s", *WAYS, "ratio"], rows)
    write("asked-once", {"preset": preset, "steps": STEPS, **kept})


if __name__ == "__main__":
    main()
