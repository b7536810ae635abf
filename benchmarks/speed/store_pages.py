"""What two networks of 10 MB cost that two processes write into the object store at once: `python
-m benchmarks.speed.store_pages`.

Timed from the call until both are there, page faults counted: a process has to ask the kernel for
each 4 KiB of the store that it has not written before, and the kernel has to clear those that
nobody has. Once as Ray's store is by default, once with RAY_preallocate_plasma_memory=1, where the
store has cleared all its pages when it started. Writes results/store_pages.json.
"""

from __future__ import annotations

import json
import os
import resource
import statistics
import subprocess
import sys
import time
from typing import Any

import numpy as np

from benchmarks.common import show, write

SIZE = 10_000_000
TIMES, WARM = 14, 4


class Writer:
    """Returns a fresh copy, as `offer` does."""

    def __init__(self) -> None:
        from raygan.actors.process import keep_freed_memory

        keep_freed_memory()
        self.network = np.random.default_rng(0).random(SIZE // 4, dtype=np.float32)

    def offer(self) -> np.ndarray[Any, Any]:
        """10 MB."""
        return self.network.copy()

    def faults(self) -> int:
        """So far."""
        return resource.getrusage(resource.RUSAGE_SELF).ru_minflt


def measure() -> dict[str, float]:
    """Medians in ms, mean faults of a write."""
    import ray

    from raygan.actors.cluster import cluster

    with cluster("local", 512):
        made: Any = ray.remote(Writer)
        writers = [made.options(num_cpus=0).remote() for _ in range(2)]
        ray.get([w.faults.remote() for w in writers])
        ours, raw = [], []
        network = np.random.default_rng(0).random(SIZE // 4, dtype=np.float32)
        before = sum(ray.get([w.faults.remote() for w in writers]))
        for i in range(TIMES):
            began = time.perf_counter()
            offered = [w.offer.remote() for w in writers]
            ray.wait(offered, num_returns=2, fetch_local=False)
            took = time.perf_counter() - began
            began = time.perf_counter()
            for _ in range(2):
                ray.get(ray.put(network))
            if i >= WARM:
                ours.append(took)
                raw.append(time.perf_counter() - began)
        faults = sum(ray.get([w.faults.remote() for w in writers])) - before
    return {
        "two_writes_ms": 1e3 * statistics.median(ours),
        "raw_ms": 1e3 * statistics.median(raw),
        "faults": faults / TIMES / 2,
    }


def main() -> None:
    """Each setting in a process and a Ray of its own, in turn."""
    if "--one" in sys.argv:
        print(json.dumps(measure()))
        return
    found: dict[str, list[dict[str, float]]] = {}
    for _ in range(3):
        for value in ("0", "1"):
            out = subprocess.run(
                [sys.executable, "-m", "benchmarks.speed.store_pages", "--one"],
                check=True, capture_output=True, text=True,
                env=os.environ | {"RAY_preallocate_plasma_memory": value},
            )  # fmt: skip
            found.setdefault(value, []).append(json.loads(out.stdout.splitlines()[-1]))
    rows = [
        [
            f"RAY_preallocate_plasma_memory={value}",
            *(f"{statistics.median(t[k] for t in turns):.1f}" for k in turns[0]),
        ]
        for value, turns in found.items()
    ]
    show(
        [
            "store",
            "two processes write 10 MB each, ms",
            "one writes both by put + get, ms",
            "page faults a write",
        ],
        rows,
    )
    write("store_pages", {"turns": found, "bytes": SIZE})


if __name__ == "__main__":
    main()
