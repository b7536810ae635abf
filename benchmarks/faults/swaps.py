"""10,000 random matchings, a player killed at a random instant inside each swap: python -m
benchmarks swaps [MATCHINGS].
"""

from __future__ import annotations

import sys
import tempfile
from collections import Counter
from pathlib import Path

from benchmarks.common import write
from tests.strategies.test_gap import kill_in_every_swap


def main() -> None:
    """Run and say what was lost."""
    matchings = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000
    with tempfile.TemporaryDirectory() as folder:
        kills, hashes, same, events = kill_in_every_swap(Path(folder), matchings // 2 + 1, 5)
    instants = Counter(kills.values())
    swaps = sum(e["kind"] == "swap" for e in events)
    deaths = sum(e["kind"] == "death" for e in events)
    print(f"{2 * len(kills)} matchings in {len(kills)} swaps, {deaths} deaths: {dict(instants)}")
    print(
        f"adoptions equal to their source: {sum(hashes)} of {len(hashes)}; {swaps} records; final"
        f" bits as undisturbed: {same}"
    )
    write("swaps", {"matchings": 2 * len(kills), "deaths": deaths, "instants": instants,
                    "equal": sum(hashes),
                    "adoptions": len(hashes), "final_bits_as_undisturbed": same})  # fmt: skip
    if not same or not all(hashes):
        raise SystemExit("something was lost or doubled")


if __name__ == "__main__":
    main()
