"""A preset over five seeds, as one table: `python -m benchmarks seeds [SEEDS] PRESET ...`.

Each run is trained by `raygan train` as a user would, into runs/seeds/PRESET-seedN; one that is
there and done is taken as it is.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

from benchmarks.common import show, spread, write
from raygan.config import full_dump
from raygan.service.runs.run import Run

SEEDS = 5
FOLDER = Path("runs/seeds")
GOOD = {"ring8-sgan": "modes=8,modes@10%=8,high_quality=0.8"}
PMGAN = "modes=8,modes@10%=8,high_quality=0.9"


def trained(preset: str, seed: int) -> Run:
    """Raises CalledProcessError where the run does not reach what its preset is known to reach."""
    pmgan = "pmgan" in preset
    good = GOOD.get(preset, PMGAN if pmgan else "")
    argv = ["raygan", "train", "--preset", preset, "--seed", str(seed), "--run-dir", str(FOLDER)]
    argv += ["--name", f"{preset}-seed{seed}", "--resume", "auto"]
    argv += ["--inline"] * pmgan + (["--require", good] if good else [])
    subprocess.run(argv, check=True)
    return Run.load(FOLDER / f"{preset}-seed{seed}")


def main() -> None:
    """Train, print, keep."""
    count = next((int(a) for a in sys.argv[1:] if a.isdigit()), SEEDS)
    for preset in [a for a in sys.argv[1:] if not a.isdigit()] or ["ring8-sgan"]:
        table(preset, [trained(preset, seed) for seed in range(count)])


def table(preset: str, runs: list[Run]) -> None:
    """Means and spreads over runs that differ by their seed alone; results/seeds-PRESET.json."""
    configs = [{**full_dump(r.config), "seed": None} for r in runs]
    if any(c != configs[0] for c in configs):
        raise SystemExit(f"{FOLDER}: runs of {preset} differ in more than their seed")
    scores: dict[str, list[dict[str, float]]] = {"global": [], "locals (mean)": [], "mixture": []}
    for run in runs:
        numbers = {
            p: {k: v for k, v in r.items() if isinstance(v, float)} for p, r in run.scores().items()
        }
        pairs = [numbers[p] for p in run.pairs]
        scores["locals (mean)"].append({k: sum(n[k] for n in pairs) / len(pairs) for k in pairs[0]})
        for who in ("global", "mixture"):
            if who in numbers:
                scores[who].append(numbers[who])
    protocol: dict[str, Any] = runs[0].info["protocols"][
        next(iter(runs[0].scores().values()))["protocol"]
    ]
    metrics = [m for m in protocol["ceiling"] if m in scores["locals (mean)"][0]]
    rows = [["ceiling (real data)", *(f"{protocol['ceiling'][m]:.3g}" for m in metrics)]]
    rows += [
        [who, *(spread([v[m] for v in values]) for m in metrics)]
        for who, values in scores.items()
        if values
    ]
    rows.append(["floor (noise)", *(f"{protocol['floor'][m]:.3g}" for m in metrics)])
    show(["generator", *metrics], rows)
    seconds = [float(r.info["elapsed"]) for r in runs]
    print(f"{len(runs)} seeds; seconds a run: {spread(seconds)}")
    write(
        f"seeds-{preset}",
        {
            "seeds": [r.config.seed for r in runs],
            "scores": scores,
            "seconds": seconds,
            "protocol": protocol,
        },
    )


if __name__ == "__main__":
    main()
