"""What it costs to record an asynchronous run so that it can be replayed: `python -m benchmarks
recording [TURNS]` (3); writes results/recording.json

Each preset in async in this process, with `record: nothing` and `record: schedule`, in turns:
seconds of training alone (`busy_seconds`, wall time),
and the bytes of schedule.jsonl a step of a player.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
from pathlib import Path

from benchmarks.common import middle, show, write
from raygan.config import resolve
from raygan.service.training import train

STEPS = 500
PRESETS = ("ring8-sgan", "ring8-gap", "ring8-pmgan")
WAYS = ("nothing", "schedule")


def one(preset: str, record: str) -> tuple[float, float]:
    """(seconds of training, bytes of the record a step)."""
    flags = {
        "seed": 0, "steps": STEPS, "tempo": "async", "record": record,
        "evaluation.every_steps": STEPS, "checkpoint.every_steps": STEPS,
    }  # fmt: skip
    with tempfile.TemporaryDirectory() as folder:
        run = train(resolve(preset, flags=flags), run_dir=Path(folder), name="run", inline=True)
        file = run.path / "schedule.jsonl"
        size = file.stat().st_size if file.exists() else 0
        return sum(run.info["busy_seconds"].values()), size / (STEPS * len(run.players))


def main() -> None:
    """Warm up, measure in turns, print, keep."""
    turns = int(sys.argv[1]) if len(sys.argv) > 1 else 3
    rows, kept = [], {}
    for preset in PRESETS:
        one(preset, "nothing")
        found = {way: list[tuple[float, float]]() for way in WAYS}
        for turn in range(turns):
            for way in sorted(WAYS, reverse=bool(turn % 2)):
                found[way].append(one(preset, way))
        seconds = {way: [s for s, _ in found[way]] for way in WAYS}
        ratios = [a / b for a, b in zip(seconds["schedule"], seconds["nothing"], strict=True)]
        size = statistics.median(b for _, b in found["schedule"])
        rows.append(
            [preset, *(middle(seconds[w], ".2f", "") for w in WAYS), middle(ratios), f"{size:.1f}"]
        )
        kept[preset] = {"seconds": seconds, "ratios": ratios, "bytes a step": size}
    show(["training, s", *WAYS, "ratio", "bytes a step"], rows)
    write("recording", {"steps": STEPS, "results": kept})


if __name__ == "__main__":
    main()
