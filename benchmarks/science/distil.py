"""One generator out of several that each have a part of the data: `python -m benchmarks distil
[SEEDS] [TASK ...]` (5, all); writes results/distil.json after each seed, and goes on from it.

ring8   four pairs with two modes each (`data.partition by_class`), ring8-best's settings,
        6,000 steps; one pair, 8,000
mnist   five pairs with two digits each, mnist-sgan's settings, 2,000 steps; one pair, 3,000;
        and one that sees all, 3,000

The pairs' mixture, rejected by each pair's own D, gives 50,000 samples; one pair learns from them.
All scores are against real samples.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from benchmarks.common import gone_on, show, spread
from raygan.config import resolve
from raygan.metrics.suite import Suite
from raygan.service.distil import lesson
from raygan.service.runs.generators import Generators
from raygan.service.runs.run import Run
from raygan.service.scores.rejection import rejecting
from raygan.service.training import train
from raygan.strategies.base import load_data


@dataclass(frozen=True)
class Task:
    """Settings of both lessons, and what counts."""

    preset: str
    sites: int
    site_steps: int
    steps: int
    group: str
    scores: tuple[str, ...]
    count: int
    central: bool = False
    """Also one pair that sees all? (ring8-best.json has it of ring8)"""


TASKS = {
    "ring8": Task("ring8-best", 4, 6000, 8000, "modes",
                  ("modes@10%", "high_quality", "width", "reverse_kl"), 10_000),
    "mnist": Task("mnist-sgan", 5, 2000, 3000, "classes",
                  ("score", "confidence", "tv", "least digit", "most digit"), 5000, True),
}  # fmt: skip


def one(name: str, seed: int) -> dict[str, Any]:
    """All rows of one seed."""
    task, began = TASKS[name], time.process_time()
    alone = {"strategy": "independent", "num_pairs": 1, "seed": seed, **to_the_end(task.steps)}
    apart = {
        **alone,
        "num_pairs": task.sites,
        "data.partition": "by_class",
        **to_the_end(task.site_steps),
        "resources.pairs_per_actor": task.sites,
    }
    rows: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as folder:
        here = Path(folder)
        sites = train(resolve(task.preset, flags=apart), run_dir=here, name="sites", inline=True)
        cpu = {"sites": time.process_time() - began}
        student = {k: v for k, v in alone.items() if k not in ("strategy", "num_pairs")}
        learned = lesson(
            sites, reject=True, preset=task.preset, settings=student, run_dir=here, name="one"
        )
        one = train(learned.resolved, run_dir=here, name="one", inline=True)
        cpu["all"] = time.process_time() - began
        for who, run, which in (("mixture", sites, "mixture"), ("one generator", one, "pair:0")):
            rows[who] = scored(task, run, run.generator(which))
            rows[f"{who}, rejected"] = scored(task, run, rejecting(run, which))
        if task.central:
            all_seen = train(
                resolve(task.preset, flags=alone), run_dir=here, name="all", inline=True
            )
            rows["one that sees all"] = scored(task, all_seen, all_seen.generator("pair:0"))
    return {**rows, "cpu_s": cpu}


def to_the_end(steps: int) -> dict[str, int]:
    """Scored and saved at the end only."""
    return {"steps": steps, "evaluation.every_steps": steps, "checkpoint.every_steps": steps}


def scored(task: Task, run: Run, generators: Generators) -> dict[str, float]:
    """Against real samples; of digits also the least and most frequent one's share, of a tenth."""
    suite = Suite(load_data(run.config), [task.group], n_fake=task.count, n_real=task.count)
    samples = torch.from_numpy(generators.sample(task.count, 1)).float()
    row: Mapping[str, float] = suite.score(samples)
    if task.group == "classes":
        shares = [10 * share for share in suite.occupied(samples)]
        row = {**row, "least digit": min(shares), "most digit": max(shares)}
    return {name: row[name] for name in task.scores} | {"kept": generators.share_kept}


def main() -> None:
    """Seed by seed."""
    seeds = next((int(a) for a in sys.argv[1:] if a.isdigit()), 5)
    torch.set_num_threads(1)
    names = [a for a in sys.argv[1:] if not a.isdigit()] or [*TASKS]
    for name, runs in gone_on("distil", names, seeds, one).items():
        columns = (*TASKS[name].scores, "kept")
        rows = [who for who in runs[0] if who != "cpu_s"]
        table = [[who, *(spread([r[who][c] for r in runs]) for c in columns)] for who in rows]
        show([f"{name}, {len(runs)} seeds", *columns], table)


if __name__ == "__main__":
    main()
