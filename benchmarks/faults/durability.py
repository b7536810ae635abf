"""What never losing a run costs, and whether anything grows.

    python -m benchmarks durability [ROUNDS]    default 20,000; writes
                                                benchmarks/results/durability.json

Cost: GAP, 2 pairs of the papers' toy net (4 layers of 512, batch 128), a swap every 50 steps, a
checkpoint about every 60 s, inline: the seconds spent on copies of states (for checkpoints, and to
undo a round with NaN), packing, checkpoints (hashes, writes, fsyncs) and the journal, as a share of
the run's. Soak: SGAN of 2 pairs on Ray, a round a step; private memory and open files of every
process, and bytes in the object store, over the rounds.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from benchmarks.common import show, write
from benchmarks.speed.overhead import store_bytes
from raygan.actors.cluster import cluster
from raygan.actors.executor import RayExecutor
from raygan.config import resolve
from raygan.controller import inline, saving
from raygan.controller.controller import Controller
from raygan.controller.inline import InlineExecutor
from raygan.controller.journal import Journal
from raygan.controller.orders import Done
from raygan.controller.run_folder import RunFolder
from raygan.gan.pair import Pair
from raygan.strategies.base import Setup, load_data

MINUTES = 3


def cost() -> dict[str, float]:
    """Seconds by what they were spent on, and the run's."""
    flags = {
        "strategy": {"name": "gap", "swap_every": 50}, "num_pairs": 2, "steps": 10**6,
        "round_steps": 50, "network": {"name": "mlp", "hidden": 512, "layers": 4, "z_dim": 100},
        "loss": "non_saturating", "data": "ring8", "checkpoint.every_steps": 1200,
        "evaluation.every_steps": 10**6,
    }  # fmt: skip
    config = resolve(flags=flags).config
    setup, spent = Setup(config, load_data(config), torch.device("cpu")), dict[str, float]()

    def timed(name: str, f: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            began = time.perf_counter()
            try:
                return f(*args, **kwargs)
            finally:
                spent[name] = spent.get(name, 0.0) + time.perf_counter() - began

        return call

    def stop(c: Controller, done: Done) -> None:
        if c.state.elapsed > 60 * MINUTES:
            raise KeyboardInterrupt

    parts: list[tuple[Any, str, str]] = [
        (Journal, "append", "journal"),
        (saving, "write_checkpoint", "checkpoints"),
        (inline, "pack", "packing"),
        (Pair, "state", "copies"),
        (Pair, "check", "copies"),
    ]
    originals = [getattr(owner, name) for owner, name, _ in parts]
    for (owner, name, what), original in zip(parts, originals, strict=True):
        setattr(owner, name, timed(what, original))
    began = time.perf_counter()
    with tempfile.TemporaryDirectory(dir=".") as folder:
        controller = Controller(
            config,
            RunFolder.create(Path(folder), "run"),
            lambda: InlineExecutor(setup),
            [stop],
            2000,
        )
        try:
            controller.run()
        except KeyboardInterrupt:
            seconds = time.perf_counter() - began
        finally:
            for (owner, name, _), original in zip(parts, originals, strict=True):
                setattr(owner, name, original)
        saved = controller.loop.saving.assembly.saved_step
    return {
        **spent,
        "run": seconds,
        "steps": min(controller.state.done.values()),
        "swaps": controller.state.totals.swaps,
        "saved_step": saved,
    }


def soak(rounds: int) -> list[dict[str, float]]:
    """A row every twentieth of the run."""
    flags = {
        "strategy": {"name": "sgan", "messenger_lifetime": 5}, "num_pairs": 2, "steps": rounds // 3,
        "round_steps": 1, "batch_size": 16, "network": {"name": "mlp", "hidden": 16, "z_dim": 2},
        "checkpoint.every_steps": 200, "evaluation.every_steps": rounds // 3, "resources.spares": 0,
    }  # fmt: skip
    config = resolve(flags=flags).config
    setup, rows, done_rounds = (
        Setup(config, load_data(config), torch.device("cpu")),
        list[dict[str, float]](),
        [0],
    )

    def look(c: Controller, done: Done) -> None:
        done_rounds[0] += type(done.order).__name__ == "Train"
        if done_rounds[0] >= (len(rows) + 1) * rounds // 20:
            assert isinstance(c.executor, RayExecutor)
            pids = ["self", *(str(pid) for _, pid in c.executor.workers.places.values())]
            rows.append({
                "rounds": done_rounds[0], "private_mb": sum(private_mb(p) for p in pids),
                "open_files": sum(len(list(Path(f"/proc/{p}/fd").iterdir())) for p in pids),
                "store_mb": store_bytes() / 2**20,
            })  # fmt: skip

    with cluster("local", 256), tempfile.TemporaryDirectory() as folder:
        Controller(
            config,
            RunFolder.create(Path(folder), "run"),
            lambda: RayExecutor("soak", setup),
            [look],
            2000,
        ).run()
    return rows


def private_mb(pid: str) -> float:
    """A process's private memory."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return sum(int(line.split()[1]) for line in lines if line.startswith("Private_")) / 1024


def main() -> None:
    """Both."""
    torch.set_num_threads(1)
    spent = cost()
    share = (
        sum(spent.get(k, 0.0) for k in ("packing", "copies", "journal", "checkpoints"))
        / spent["run"]
    )
    print({k: round(v, 3) for k, v in spent.items()}, f"cost {share:.2%}", flush=True)
    rows = soak(int(sys.argv[1]) if len(sys.argv) > 1 else 20_000)
    write("durability", {"cost": {**spent, "share": share}, "soak": rows})
    keys = list(rows[0])
    show(keys, [[f"{r[k]:.1f}" for k in keys] for r in rows])


if __name__ == "__main__":
    main()
