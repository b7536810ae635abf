"""What a look at a run of N rows and N events costs.

    python -m benchmarks long-run [N]    default 10^6

A small GAP run whose logs are made longer, in the way that it would write them; `status` and the
first look of `watch` with and without the index that a run keeps of them (summary.json), each in a
process of its own: seconds, imports included, and peak memory.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.common import show, write
from raygan.config import resolve
from raygan.service.runs.summary import INDEX, Keeper
from raygan.service.training import train

LOOKS = {
    "status": "from raygan.cli import verbs; verbs.status([sys.argv[1]])",
    "first look of watch": (
        "from pathlib import Path; from raygan.service.views.follow import FolderFeed; "
        "from raygan.service.views.state import state; state(FolderFeed(Path(sys.argv[1])).run)"
    ),
}
TURNS = 3


def lengthened(run: Path, count: int) -> None:
    """As if it had gone on for `count` rows and as many events."""
    rows = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    trained, scores = (
        [r for r in rows if r["kind"] == "train"][:2],
        [r for r in rows if r["kind"] == "score"],
    )
    told = map(json.loads, (run / "events.jsonl").read_text().splitlines())
    swap = next(e for e in told if e["kind"] == "swap")
    with (run / "metrics.jsonl").open("w") as file:
        for i in range(count // 2):
            file.writelines(
                json.dumps({**r, "step": 10 * (i + 1), "elapsed": float(i)}) + "\n" for r in trained
            )
        file.writelines(json.dumps(r) + "\n" for r in scores)
    with (run / "events.jsonl").open("w") as file:
        file.writelines(json.dumps({**swap, "step": 10 * (i + 1)}) + "\n" for i in range(count))


def look(code: str, run: Path) -> dict[str, float]:
    """Seconds and peak memory of a process that looks."""
    timed = (
        "import sys, time, resource; began ="
        f" time.perf_counter()\n{code}\nprint(time.perf_counter() - began,"
        " resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)"
    )
    done = subprocess.run(
        [sys.executable, "-c", timed, str(run)], capture_output=True, text=True, check=True
    )
    seconds, peak = map(float, done.stdout.split()[-2:])
    return {"s": seconds, "peak_mb": peak}


def best(code: str, run: Path, turns: int) -> dict[str, float]:
    """The quickest of some."""
    return min((look(code, run) for _ in range(turns)), key=lambda one: one["s"])


def main() -> None:
    """Make it, look, print."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 10**6
    flags = {
        "strategy": {"name": "gap", "swap_every": 10}, "num_pairs": 2, "steps": 200,
        "checkpoint.every_steps": 100, "network": {"name": "mlp", "hidden": 8}, "batch_size": 8,
        "evaluation.samples": 1500,
    }  # fmt: skip
    found: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as parent:
        run = train(
            resolve("ring8-sgan", flags=flags), run_dir=Path(parent), name="run", inline=True
        ).path
        lengthened(run, count)
        (run / INDEX).unlink()
        found += [
            {"look": name, "index": False, **best(code, run, 1)} for name, code in LOOKS.items()
        ]
        Keeper(run).write()
        index = (run / INDEX).stat().st_size
        found += [
            {"look": name, "index": True, **best(code, run, TURNS)} for name, code in LOOKS.items()
        ]
    show(
        ["look", "index", "s", "MB"],
        [[f["look"], str(f["index"]), f"{f['s']:.2f}", f"{f['peak_mb']:.0f}"] for f in found],
    )
    write("long-run", {"lines": count, "index_bytes": index, "looks": found})


if __name__ == "__main__":
    main()
