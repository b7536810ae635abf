"""Whole runs on a simulated disk, transport and spawner, under seeded faults.

python -m benchmarks simulate [SEEDS] [FIRST] [two]    default 2000 from 0; a failure prints the
                                                       line that repeats it
two: each run by two drivers at once, that take turns at any call to the disk
"""

from __future__ import annotations

import sys
import time

from benchmarks.common import write
from tests.simulation.world import simulate_all


def main() -> None:
    """Run, count, say."""
    seeds = int(sys.argv[1]) if len(sys.argv) > 1 else 2000
    first = int(sys.argv[2]) if len(sys.argv) > 2 else 0
    began = time.perf_counter()
    two = sys.argv[-1] == "two"
    faults = simulate_all(seeds, first, two)
    seconds = time.perf_counter() - began
    print(f"{seeds} runs, {sum(faults.values())} faults, no violation, {seconds:.0f} s")
    for name, count in faults.most_common():
        print(f"  {count:6d}  {name}")
    if seeds >= 1000:
        write(
            "simulate-two" if two else "simulate",
            {"seeds": seeds, "faults": dict(faults), "violations": 0, "seconds": round(seconds, 1)},
        )


if __name__ == "__main__":
    main()
