"""Shared by the benchmarks: where results go, and what must stand beside every figure."""

from __future__ import annotations

import itertools
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from raygan.config import resolve
from raygan.controller.files import write_atomically
from raygan.service.papers.reproduce import spread as spread
from raygan.service.runs.provenance import processor
from raygan.service.training import train
from raygan.strategies.roles import GLOBAL

RESULTS = Path(__file__).parent / "results"
BEFORE = "before"
"""Folder in it, not in git: a short try of a benchmark replaces the result of a whole one."""
WRITTEN = set[Path]()
"""By this process."""


def conditions() -> dict[str, Any]:
    """Machine, date, versions, commit."""
    import torch

    git = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False
    )
    return {
        "date": time.strftime("%Y-%m-%d"),
        "machine": f"{processor()}, {os.cpu_count()} cores",
        "python": platform.python_version(),
        "torch": torch.__version__,
        "commit": git.stdout.strip(),
    }


def write(name: str, payload: dict[str, Any]) -> Path:
    """Keep a result with its conditions; the one from before this process goes to `BEFORE`."""
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{name}.json"
    if path not in WRITTEN and path.exists():
        before = RESULTS / BEFORE / path.name
        before.parent.mkdir(exist_ok=True)
        write_atomically(before, path.read_bytes())
        print(f"{path.name}: what it was before is in {before}", file=sys.stderr)
    WRITTEN.add(path)
    text = json.dumps({"conditions": conditions(), **payload}, indent=1, default=float) + "\n"
    # a kill in the middle would lose the hours that are kept so far
    write_atomically(path, text.encode())
    return path


def kept(name: str) -> dict[str, Any]:
    """What `write` kept; empty where there is nothing."""
    path = RESULTS / f"{name}.json"
    found: dict[str, Any] = json.loads(path.read_text()) if path.exists() else {}
    return found


def gone_on(
    name: str, what: Iterable[str], seeds: int, one: Callable[[str, int], Any]
) -> dict[str, list[Any]]:
    """`one(w, seed)` of each in turn, kept after each; what was kept before is not done again."""
    found: dict[str, list[Any]] = kept(name).get("results", {})
    for seed, w in itertools.product(range(seeds), what):
        if len(found.setdefault(w, [])) <= seed:
            found[w].append(one(w, seed))
            write(name, {"results": found})
    return found


def scored(
    preset: str, flags: Mapping[str, Any], metrics: Sequence[str], single: str
) -> tuple[dict[str, dict[str, float]], dict[str, Any]]:
    """A preset's whole run in this process: {generator: {metric: value}}, the mean over the single
    ones under the name `single`; and what the run says of itself (run.json).
    """
    with tempfile.TemporaryDirectory() as folder:
        run = train(resolve(preset, flags=flags), run_dir=Path(folder), name="run", inline=True)
        rows = run.scores()
        pairs = [rows[p] for p in run.pairs]
        found = {single: {m: sum(r[m] for r in pairs) / len(pairs) for m in metrics}}
        return found | {
            w: {m: rows[w][m] for m in metrics} for w in (GLOBAL, "mixture") if w in rows
        }, dict(run.info)


def second_half(rows: list[dict[str, Any]], steps: int) -> float:
    """Seconds of training, from its second half, when all processes are up: twice from the last row
    of its middle to the end.
    """
    return 2 * float(
        max(r["elapsed"] for r in rows) - max(r["elapsed"] for r in rows if r["step"] == steps // 2)
    )


def middle(values: Iterable[float], form: str = ".2f", unit: str = "x") -> str:
    """The median of several turns (min .. max); ratios, unless told otherwise."""
    all_ = sorted(values)
    return f"{statistics.median(all_):{form}}{unit} ({all_[0]:{form}} .. {all_[-1]:{form}})"


def show(header: list[str], rows: list[list[str]]) -> None:
    """A markdown table."""
    print("| " + " | ".join(header) + " |")
    print("|" + " --- |" * len(header))
    for row in rows:
        print("| " + " | ".join(row) + " |")
