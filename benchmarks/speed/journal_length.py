"""What a checkpoint and a look at the run cost after 10 to 40,000 swaps of five pairs: python -m
benchmarks journal-length.

A checkpoint: five parts of 1 kB, manifest, fsyncs, record, retention. A look: the newest checkpoint
is found, read and checked. Medians of 30 each, taken in turn over the journals, in one run.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from benchmarks.common import write
from raygan.controller.checkpoint import Checkpoint, newest_valid, write_checkpoint
from raygan.controller.checkpoint_index import retain
from raygan.controller.journal import Journal
from raygan.controller.storage import LocalStorage

SWAPS = (10, 1_000, 10_000, 40_000)
PAIRS = [f"pair-{i:02d}" for i in range(5)]
TURNS = 30


class Quick(LocalStorage):
    """Does not wait for the disk while the journal is filled."""

    def append(self, name: str, raw: bytes) -> None:
        with (self.root / name).open("ab") as file:
            file.write(raw)


def filled(folder: Path, swaps: int) -> Journal:
    """A journal with so many swaps."""
    journal = Journal.open(Quick(folder))
    moves = [
        {
            "player": p,
            "from": q,
            "what": "D",
            "identity": p,
            "at": 123456,
            "fingerprint": "0" * 32,
            "bytes": 123456,
        }
        for p, q in zip(PAIRS, [*PAIRS[1:], PAIRS[0]], strict=True)
    ]
    for step in range(swaps):
        journal.append("swap", step=step, carry="all", moves=moves)
    journal.storage = LocalStorage(folder)
    return journal


def checkpoint(journal: Journal, step: int) -> None:
    """One, with what follows it."""
    write_checkpoint(
        journal, Checkpoint(step, dict.fromkeys(PAIRS, b"x" * 1000), dict.fromkeys(PAIRS, step)), 2
    )
    retain(journal.storage, 2)


def took(work: Callable[[], object]) -> float:
    """Milliseconds."""
    began = time.perf_counter()
    work()
    return 1e3 * (time.perf_counter() - began)


def main() -> None:
    """Fill, measure in turn, print."""
    with tempfile.TemporaryDirectory() as scratch:
        journals = {n: filled(Path(scratch) / str(n), n) for n in SWAPS}
        saves: dict[int, list[float]] = {n: [] for n in SWAPS}
        looks: dict[int, list[float]] = {n: [] for n in SWAPS}
        for turn in range(TURNS):
            for swaps, journal in journals.items():
                saves[swaps].append(
                    took(lambda j=journal, s=swaps + turn: checkpoint(j, s))  # type: ignore[misc]
                )
                looks[swaps].append(
                    took(lambda j=journal: newest_valid(j.storage))  # type: ignore[misc]
                )
    rows = [
        {
            "swaps": n,
            "checkpoint_ms": statistics.median(saves[n]),
            "look_ms": statistics.median(looks[n]),
        }
        for n in SWAPS
    ]
    for row in rows:
        print(
            f"{row['swaps']:6d} swaps: a checkpoint {row['checkpoint_ms']:.2f} ms, a look"
            f" {row['look_ms']:.2f} ms"
        )
    ratio = rows[-1]["checkpoint_ms"] / rows[0]["checkpoint_ms"]
    print(f"{SWAPS[-1]} against {SWAPS[0]}: {ratio:.2f}x")
    write("journal-length", {"rows": rows, "ratio": ratio})


if __name__ == "__main__":
    main()
