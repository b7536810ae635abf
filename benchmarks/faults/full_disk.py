"""A disk that is really full, at every size from nothing to what a run needs: `python -m
benchmarks full-disk` (Linux, root).

For each size: a tmpfs of that size, a run in it to whatever end it comes to, more room, the run
again to its end.

right   it ends done or with one line, never with another exception; run.json says how; no log has
        half a line; what it had committed is there; gone on with it ends with the bits of a run
        that was never short of room
"""

from __future__ import annotations

import argparse
import contextlib
import json
import logging
import os
import shutil
import subprocess
import tempfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from raygan.config import Resolved, resolve
from raygan.controller.checkpoint import newest_valid
from raygan.controller.jsonl import NOTES, parse
from raygan.errors import RayganError
from raygan.gan.bundle import unpack
from raygan.gan.weights import digest
from raygan.service.resuming import resume_run
from raygan.service.training import train

PAGE = 4096
FLAGS: dict[str, Any] = {
    "strategy": "gap", "strategy.swap_every": 4, "strategy.unit": "updates", "steps": 40,
    "num_pairs": 2, "network": "mlp", "network.hidden": 8, "batch_size": 8, "round_steps": 2,
    "tempo": "lockstep", "data": "ring8", "data.train": 400, "data.held_out": 2000,
    "evaluation.samples": 1500, "evaluation.every_steps": 4, "checkpoint.every_steps": 4, "seed": 0,
}  # fmt: skip


@dataclass(frozen=True)
class Outcome:
    """What became of a run on a disk of a size."""

    size: int
    end: str
    """done, stopped, failed, or not begun."""
    text: str
    """The line that it ended with."""
    wrong: tuple[str, ...]


@contextlib.contextmanager
def disk(size: int) -> Iterator[Path]:
    """A tmpfs of a size. Raises CalledProcessError where this user may not mount."""
    with tempfile.TemporaryDirectory(prefix="raygan-disk-") as folder:
        subprocess.run(
            ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", folder],
            check=True,
            capture_output=True,
        )
        try:
            yield Path(folder)
        finally:
            subprocess.run(["umount", "-l", folder], check=True)


def config() -> Resolved:
    """A run of a second."""
    return resolve(flags=FLAGS)


def bits(run: Path) -> dict[str, str]:
    """Of the newest checkpoint."""
    checkpoint, _ = newest_valid(run)
    assert checkpoint is not None, f"{run} has no checkpoint"
    return {player: digest(unpack(raw)) for player, raw in checkpoint.parts.items()}


def whole(where: Path) -> tuple[dict[str, str], int]:
    """The bits of a run with room, and the bytes that it takes."""
    run = train(config(), run_dir=where, name="whole", inline=True)
    return bits(run.path), sum(f.stat().st_blocks * 512 for f in run.path.rglob("*"))


def on_a_disk_of(size: int, expected: dict[str, str]) -> Outcome:
    """One run, and what is wrong with how it ended."""
    with disk(max(size, PAGE)) as root:
        filled = root / "filled"
        if size < PAGE:  # a tmpfs without a size has no limit
            with contextlib.suppress(OSError):
                filled.write_bytes(os.urandom(2 * PAGE))
        run, text, cause, wrong = root / "runs/r", "", "", list[str]()
        try:
            train(config(), run_dir=root / "runs", name="r", inline=True)
        except (RayganError, OSError) as error:
            text, cause = str(error), type(error).__name__
        begun = (run / "run.json").exists() and status(run) != "starting"
        end = status(run) if begun else "not begun"
        wrong += half_lines(run)
        wrong += [f"{cause} of a run under way"] if begun and cause == "OSError" else []
        wrong += ["run.json says it goes on"] if end == "running" else []
        subprocess.run(["mount", "-o", "remount,size=64m", str(root)], check=True)
        filled.unlink(missing_ok=True)
        try:
            if end == "not begun":
                shutil.rmtree(run, ignore_errors=True)
                train(config(), run_dir=root / "runs", name="r", inline=True)
            elif end != "done":
                resume_run(run, inline=True)
            wrong += [] if status(run) == "done" else [f"with room it ended {status(run)}"]
            wrong += [] if bits(run) == expected else ["other bits than of a run with room"]
        except Exception as error:
            wrong.append(f"with room: {type(error).__name__}: {error}")
    return Outcome(size, end, text, tuple(wrong))


def status(run: Path) -> str:
    """By run.json."""
    found = json.loads((run / "run.json").read_text())
    return str(found["status"])


def half_lines(run: Path) -> list[str]:
    """Lines of the logs that are no objects."""
    logs = [run / name for name in ("metrics.jsonl", "events.jsonl") if (run / name).exists()]
    return [
        f"{log.name}: half a line"
        for log in logs
        for line in log.read_bytes().splitlines()
        if parse(line) is None
    ]


def main() -> None:
    """A line a size that is wrong, and the sums."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--every", type=int, default=1, help="pages between two sizes")
    every = parser.parse_args().every
    NOTES.addHandler(logging.NullHandler())
    with tempfile.TemporaryDirectory() as folder:
        expected, need = whole(Path(folder))
    ends, wrong = Counter[str](), 0
    for size in range(0, need + 40 * PAGE, every * PAGE):
        outcome = on_a_disk_of(size, expected)
        ends[outcome.end] += 1
        wrong += bool(outcome.wrong)
        for fault in outcome.wrong:
            print(f"{size:8d} B  {outcome.end}: {fault}  ({outcome.text})", flush=True)
    print(f"{sum(ends.values())} sizes from 0 to {need + 40 * PAGE} B: {dict(ends)}; {wrong} wrong")


if __name__ == "__main__":
    main()
