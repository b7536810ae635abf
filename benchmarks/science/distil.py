"""One generator out of four that each have a part of the data: `python -m benchmarks distil
[SEEDS]` (5); writes results/distil.json after each seed, and goes on from it.

ring8 by class over four pairs (`data.partition by_class`) with ring8-best's settings and 6,000
steps; their mixture, rejected by each pair's own D, gives 50,000 samples; one pair learns from them
for 8,000 steps. All scores against real points, 10,000 samples.
"""

from __future__ import annotations

import sys
import tempfile
import time
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

SITES = {
    "num_pairs": 4, "data.partition": "by_class", "steps": 6000, "resources.pairs_per_actor": 4,
    "evaluation.every_steps": 6000, "checkpoint.every_steps": 6000,
}  # fmt: skip
STUDENT = {"evaluation.every_steps": 8000, "checkpoint.every_steps": 8000}
SCORES = ("modes@10%", "high_quality", "width", "reverse_kl")
COUNT = 10_000


def one(_: str, seed: int) -> dict[str, Any]:
    """All rows of one seed."""
    began = time.process_time()
    with tempfile.TemporaryDirectory() as folder:
        here = Path(folder)
        sites = train(
            resolve("ring8-best", flags=SITES | {"seed": seed}),
            run_dir=here,
            name="sites",
            inline=True,
        )
        apart = time.process_time() - began
        learned = lesson(
            sites, reject=True, preset="ring8-best", settings=STUDENT | {"seed": seed}, run_dir=here, name="one"
        )  # fmt: skip
        student = train(learned.resolved, run_dir=here, name="one", inline=True)
        return {
            "mixture": scored(sites, sites.generator("mixture")),
            "mixture, rejected": scored(sites, rejecting(sites, "mixture")),
            "one generator": scored(sites, student.generator("pair:0")),
            "one generator, rejected": scored(sites, rejecting(student, "pair:0")),
            "cpu_s": {"sites": apart, "all": time.process_time() - began},
        }


def scored(run: Run, generators: Generators) -> dict[str, float]:
    """Against real points."""
    suite = Suite(load_data(run.config), ["modes"], n_fake=COUNT, n_real=COUNT)
    row = suite.score(torch.from_numpy(generators.sample(COUNT, 1)).float())
    return {name: row[name] for name in SCORES} | {"kept": generators.share_kept}


def main() -> None:
    """Seed by seed."""
    seeds = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    torch.set_num_threads(1)
    runs = gone_on("distil", ["ring8"], seeds, one)["ring8"]
    names = [name for name in runs[0] if name != "cpu_s"]
    columns = (*SCORES, "kept")
    show(
        ["", *columns],
        [[name, *(spread([r[name][c] for r in runs]) for c in columns)] for name in names],
    )


if __name__ == "__main__":
    main()
