"""Whole runs on a simulated disk, transport and spawner, under seeded faults.

python -m benchmarks.simulate [SEEDS] [FIRST]          default 1000 from 0; a failure prints the line that repeats it
"""

from __future__ import annotations

import sys
import time

from benchmarks.common import write
from tests.simulation.world import simulate_all


def main() -> None:
    """Run, count, say."""
    seeds = int(sys.argv[1]) if len(sys.argv) > 1 else 1000
    first = int(sys.argv[2]) if len(sys.argv) > 2 else 0
    began = time.perf_counter()
    faults = simulate_all(seeds, first)
    seconds = time.perf_counter() - began
    print(f"{seeds} runs, {sum(faults.values())} faults, no violation, {seconds:.0f} s")
    for name, count in faults.most_common():
        print(f"  {count:6d}  {name}")
    if seeds >= 1000:
        write("simulate", {"seeds": seeds, "faults": dict(faults), "violations": 0, "seconds": round(seconds, 1)})


if __name__ == "__main__":
    main()
