"""A folder of 60,000 pictures: seconds and memory to the first step, first and second start; and of
`evaluate --samples 50000`.

    python -m benchmarks large-data [--source raygan checkout to measure instead]

The pictures are MNIST's (RAYGAN_DATA), as PNG files in ten folders. Each start is a process of its
own; what it imports is apart.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from PIL import Image

from benchmarks.common import write
from raygan.data.idx_format import read_idx
from raygan.data.search import find

START = """
import json, sys, time
import torch
from raygan.config import load_component
from raygan.service import training
def peak():
    told = next(l for l in open("/proc/self/status") if l.startswith("VmHWM"))
    return int(told.split()[1]) / 1024
before, began = peak(), time.perf_counter()
data = load_component("data", {"name": "folder", "path": sys.argv[1]}).load(0)
data.batch(64, torch.Generator().manual_seed(0), torch.device("cpu"))
print(json.dumps({"seconds": time.perf_counter() - began, "imports_mb": before, "peak_mb": peak()}))
"""
SCORES = """
import json, sys, time
import numpy as np
from raygan.metrics.fidelity import fid, kid, prdc
def peak():
    told = next(l for l in open("/proc/self/status") if l.startswith("VmHWM"))
    return int(told.split()[1]) / 1024
count = int(sys.argv[1])
real, fake = (np.random.default_rng(i).normal(size=(count, 64)) for i in range(2))
before, began = peak(), time.perf_counter()
found = {"fid": fid(real, fake), "kid": kid(real, fake), **prdc(real, fake)}
took = time.perf_counter() - began
print(json.dumps({"seconds": took, "before_mb": before, "peak_mb": peak(), **found}))
"""


def folder(at: Path) -> None:
    """Mnist's training part, a picture a file."""
    images, labels = (
        read_idx(find("mnist", ["mnist"], [f"train-{what}-ubyte.gz"], None, "Set RAYGAN_DATA.")[0])
        for what in ("images-idx3", "labels-idx1")
    )
    for digit in range(10):
        (at / str(digit)).mkdir(parents=True)
    for i, (image, label) in enumerate(zip(images, labels, strict=True)):
        Image.fromarray(image).save(at / str(label) / f"{i:05}.png")


def measured(code: str, argument: str, source: str, cache: str) -> dict[str, Any]:
    """One process."""
    env = {**os.environ, "PYTHONPATH": source, "XDG_CACHE_HOME": cache}
    done = subprocess.run(
        [sys.executable, "-c", code, argument], capture_output=True, text=True, check=True, env=env
    )
    found: dict[str, Any] = json.loads(done.stdout)
    print(argument, found, flush=True)
    return found


def main() -> None:
    """Write results/large-data.json."""
    source = (
        sys.argv[sys.argv.index("--source") + 1]
        if "--source" in sys.argv
        else str(Path(__file__).parents[1])
    )
    with tempfile.TemporaryDirectory() as place:
        pictures, cache = Path(place) / "mnist", str(Path(place) / "cache")
        folder(pictures)
        starts = [measured(START, str(pictures), source, cache) for _ in range(2)]
        scores = {n: measured(SCORES, n, source, cache) for n in ("5000", "10000", "50000")}
    name = "large-data" if "--source" not in sys.argv else "large-data-before"
    print(
        write(name, {"pictures": 60_000, "first": starts[0], "second": starts[1], "scores": scores})
    )


if __name__ == "__main__":
    main()
