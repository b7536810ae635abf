"""Does the controller's process grow with a run's length?

    python -m benchmarks memory-growth [ROUNDS]    default 5,000

GAP of two tiny pairs inline, a round and a swap every 10 steps, a checkpoint every 100: after each
fifth of the rounds the process's resident memory and what the C library's allocator has given out
(mallinfo2), which no fragmentation hides.
"""

from __future__ import annotations

import ctypes
import gc
import json
import sys
import tempfile
from pathlib import Path

import torch

from benchmarks.common import write
from raygan.config import full_dump
from raygan.controller.controller import Controller
from raygan.controller.orders import Done
from raygan.controller.run_folder import RunFolder
from tests.conftest import Unscored, setup_of, tiny_config


class Mallinfo(ctypes.Structure):
    """struct mallinfo2 of glibc 2.33 and newer."""

    _fields_ = [
        (name, ctypes.c_size_t)
        for name in (
            "arena",
            "ordblks",
            "smblks",
            "hblks",
            "hblkhd",
            "usmblks",
            "fsmblks",
            "uordblks",
            "fordblks",
            "keepcost",
        )
    ]


def used() -> tuple[int, int]:
    """(resident kB, kB that were given out and not given back)."""
    gc.collect()
    libc = ctypes.CDLL("libc.so.6")
    libc.mallinfo2.restype = Mallinfo
    resident = int(Path("/proc/self/statm").read_text().split()[1]) * 4
    return resident, libc.mallinfo2().uordblks // 1024


def main() -> None:
    """Train, look, print."""
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 5000
    torch.set_num_threads(1)
    config = tiny_config(
        strategy={"name": "gap", "swap_every": 10}, steps=10 * rounds, round_steps=10, batch_size=4,
        network={"name": "mlp", "hidden": 4, "layers": 2, "z_dim": 2},
        checkpoint={"every_steps": 100}, evaluation={"every_steps": 10**9},
    )  # fmt: skip
    looks: list[tuple[int, int, int]] = []

    def look(controller: Controller, done: Done) -> None:
        at = controller.state.done["pair-00"] // 10
        if at >= (len(looks) + 1) * (rounds - 2) // 5:
            looks.append((at, *used()))
            print(
                "{:6d} rounds: resident {:,} kB, given out {:,} kB".format(*looks[-1]), flush=True
            )

    with tempfile.TemporaryDirectory() as scratch:
        folder = RunFolder.create(Path(scratch), "run")
        folder.write("config.json", json.dumps(full_dump(config)))
        setup = setup_of(config)
        Controller(config, folder, lambda: Unscored(setup), [look], 400).run()
    first, last = looks[0], looks[-1]
    per = 1e4 / (last[0] - first[0])
    print(
        f"a 10,000 rounds: resident {(last[1] - first[1]) * per:.0f} kB, given out"
        f" {(last[2] - first[2]) * per:.0f} kB"
    )
    write("memory-growth", {"looks": looks})


if __name__ == "__main__":
    main()
