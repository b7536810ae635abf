"""The generator that a preset is for, plain and sampled with rejection: `python -m benchmarks
rejected [SEEDS] [PRESET ...]` (10, ring8-sharp and ring8-best); adds to results/rejected.json

Each seed is a run of its own (runs/seeds, as `seeds.py`), scored over 10,000 samples that training
never saw. The settings of rejection were chosen on one run,
seed 0 of this recipe with R3GAN's loss.
"""

from __future__ import annotations

import sys
import time

import torch

from benchmarks.common import kept, show, spread, write
from benchmarks.science.seeds import trained
from raygan.metrics.modes import mode_scores
from raygan.service.runs.run import Run
from raygan.service.scores.rejection import generators_of, rejection_protocol
from raygan.strategies.base import load_data

SAMPLES = 10_000
METRICS = ("modes@10%", "high_quality", "width", "reverse_kl")


def scored(run: Run, who: str, reject: bool) -> dict[str, float]:
    """One generator's scores, the share of its samples that was kept, and the CPU seconds of D's
    going on and of the draw.
    """
    modes = load_data(run.config).modes
    assert modes is not None, "a preset of points with known modes"
    began = time.process_time()
    made = generators_of(run, who, reject)
    x = made.draw(SAMPLES, 0)
    seconds = time.process_time() - began
    scores = mode_scores(x, modes)
    row = {m: float(scores[m]) for m in METRICS}
    return row | {"kept": float(made.share_kept), "cpu_s": seconds}


def main() -> None:
    """Train what is missing, score, print, keep."""
    torch.set_num_threads(1)
    seeds = range(next((int(a) for a in sys.argv[1:] if a.isdigit()), 10))
    results = kept("rejected").get("results", {})
    for preset in [a for a in sys.argv[1:] if not a.isdigit()] or ["ring8-sharp", "ring8-best"]:
        runs = [trained(preset, seed) for seed in seeds]
        busy = [sum(r.info["busy_seconds"].values()) for r in runs]
        found: dict[str, list[dict[str, float]]] = {}
        for run in runs:
            locals_ = [p for p in run.pairs if p != run.main_player][:1]
            for who in (run.main_player, *locals_):
                for kind, reject in (("plain", False), ("rejected", True)):
                    found.setdefault(f"{who} {kind}", []).append(scored(run, who, reject))
        results[preset] = {"seeds": list(seeds), "busy_s": busy, **found}
        write(
            "rejected",
            {
                "samples": SAMPLES,
                "rejection": rejection_protocol(runs[0].config),
                "results": results,
            },
        )
        columns = [*METRICS, "kept"]
        rows = [[k, *(spread([r[m] for r in v]) for m in columns)] for k, v in found.items()]
        show([preset, *columns], rows)


if __name__ == "__main__":
    main()
