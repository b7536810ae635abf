"""What a global pair costs ten locals in time: `python -m benchmarks supervisor`; writes
results/supervisor.json.

Ten toy pairs in one process, on one core, alone; beside ten others on the other core, who have
nothing to do with them; and with the global pair on the other core. The second says what a busy
second core costs by itself: "equal cores counted" is against it. Cores counted by work: the global
pair's busy seconds over the locals' say how many it needs to keep pace. Time of the second half.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from benchmarks.common import middle, second_half, show, write
from benchmarks.speed.plain import WORKS
from raygan.actors.cluster import cluster
from raygan.config import resolve
from raygan.service.training import train
from raygan.strategies.roles import GLOBAL

STEPS = {"small": 400, "toy": 120}
LEAD = 20
SGAN = {"name": "sgan", "max_lead": LEAD, "max_lag": LEAD}
ALONE, BESIDE = "alone", "beside ten others"
VARIANTS: dict[str, dict[str, Any] | str] = {
    ALONE: "independent",
    BESIDE: "independent",
    "global pair, simplified (no messengers)": {**SGAN, "variant": "simplified"},
    "global pair, 1 messenger update": {**SGAN, "messenger_steps": 1},
    "global pair, 5 messenger updates": {**SGAN, "messenger_steps": 5},
}


def run(name: str, strategy: dict[str, Any] | str, others: int) -> tuple[float, float, int]:
    """(seconds, the global pair's work as a share of the locals', most steps it was behind)."""
    work, steps = WORKS[name], STEPS[name]
    values = {
        **work.values(strategy=strategy), "num_pairs": work.pairs + others, "steps": steps,
        "round_steps": 10, "resources.pairs_per_actor": work.pairs,
        "resources.hub": False, "evaluation.every_steps": steps, "evaluation.samples": 1600,
        "checkpoint.every_steps": steps,
    }  # fmt: skip
    with tempfile.TemporaryDirectory() as folder:
        done = train(resolve(work.preset, flags=values), run_dir=Path(folder), name="run")
        busy = done.info["busy_seconds"]
        local = sum(s for p, s in busy.items() if p != GLOBAL)
        rows = [r for r in done.rows if r["kind"] == "train"]
        return second_half(rows, steps), busy.get(GLOBAL, 0.0) / local, behind(rows)


def behind(rows: Sequence[dict[str, Any]]) -> int:
    """Most steps between a local and the global pair, as their reports came in."""
    at: dict[str, int] = {GLOBAL: 0}
    most = 0
    for row in rows:
        at[row["player"]] = row["step"]
        most = max(most, max(at.values()) - at[GLOBAL])
    return most


def main() -> None:
    """In turn, so that a slower minute is everybody's."""
    torch.set_num_threads(1)
    repeats = int(sys.argv[1]) if len(sys.argv) > 1 else 3
    raw: dict[str, dict[str, list[tuple[float, float, int]]]] = {}
    with cluster("local", 512):
        for name in STEPS:
            for _ in range(repeats):
                for variant, strategy in VARIANTS.items():
                    raw.setdefault(name, {}).setdefault(variant, []).append(
                        run(name, strategy, WORKS[name].pairs if variant == BESIDE else 0)
                    )
                    print(name, variant, raw[name][variant][-1], flush=True)
    rows = []
    for name, taken in raw.items():
        for variant, found in taken.items():
            by = [
                [mine[0] / other[0] for mine, other in zip(found, taken[of], strict=True)]
                for of in (ALONE, BESIDE)
            ]
            has_global = variant not in (ALONE, BESIDE)
            rows.append([
                name, variant, f"{statistics.median(f[0] for f in found):.1f}", *map(middle, by),
                f"{statistics.median(f[1] for f in found):.2f}",
                str(max(f[2] for f in found)) if has_global else "",
            ])  # fmt: skip
    columns = ["of the time alone", "of the time beside ten others", "global's work / locals'"]
    show(["ten pairs", "what", "s", *columns, f"most behind (max_lead {LEAD})"], rows)
    write("supervisor", {"runs": raw, "steps": STEPS, "max_lead": LEAD})


if __name__ == "__main__":
    main()
