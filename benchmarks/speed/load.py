"""What it takes to load a model that has left the house: `python -m benchmarks load [TURNS]`

A short run is exported; then each turn is a fresh process without Ray: torch is imported, the model
loaded (`raygan.load`), ten samples drawn. Seconds of wall clock and of the CPU; a turn that imports
torch alone stands beside each, as no load of a network can be quicker. Writes results/load.json.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.common import middle, show, write
from raygan.config import resolve
from raygan.service.scores.export import export
from raygan.service.training import train

TURN = """
import json, sys, time
wall, cpu = time.perf_counter(), time.process_time()
import torch
if len(sys.argv) > 1:
    import raygan
    assert raygan.load(sys.argv[1]).sample(10).shape[0] == 10
    assert "ray" not in sys.modules
print(json.dumps({"s": time.perf_counter() - wall, "cpu_s": time.process_time() - cpu}))
"""


def turn(*model: str) -> Any:
    """Of a fresh process."""
    done = subprocess.run(
        [sys.executable, "-c", TURN, *model], check=True, capture_output=True, text=True
    )
    return json.loads(done.stdout)


def main() -> None:
    """Export, warm the disk's cache, measure in turns, print, keep."""
    turns = int(sys.argv[1]) if len(sys.argv) > 1 else 10
    found: dict[str, list[Any]] = {"torch alone": [], "torch, raygan.load, ten samples": []}
    with tempfile.TemporaryDirectory() as folder:
        resolved = resolve("ring8-sharp", flags={"steps": 20, "evaluation.every_steps": 20})
        run = train(resolved, run_dir=Path(folder), name="run", inline=True)
        model = export(run, run.best, Path(folder) / "model")
        turn(str(model))
        for _ in range(turns):
            found["torch alone"].append(turn())
            found["torch, raygan.load, ten samples"].append(turn(str(model)))
    show(
        ["a fresh process", "wall clock", "CPU"],
        [
            [who, *(middle([f[k] for f in each], ".2f", " s") for k in ("s", "cpu_s"))]
            for who, each in found.items()
        ],
    )
    write("load", {"turns": turns, "found": found})


if __name__ == "__main__":
    main()
