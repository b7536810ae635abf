"""The best single generator on the ring of 8, plain and with rejection: `python -m benchmarks
ring8-best`; writes results/ring8-best.json

Five seeds of the preset ring8-best, each a run of its own (runs/seeds, as `seeds.py`), scored over
10,000 samples. The settings of rejection were chosen on other runs than these.
"""

from __future__ import annotations

from benchmarks.common import show, spread, write
from benchmarks.science.seeds import SEEDS, trained
from raygan.service.scores.evaluate import evaluate_runs

SAMPLES = 10_000
METRICS = ("modes@10%", "high_quality", "width", "reverse_kl")


def main() -> None:
    """Train what is missing, score, print, keep."""
    runs = [trained("ring8-best", seed) for seed in range(SEEDS)]
    found = {}
    for kind in ("plain", "rejected"):
        entries = [
            evaluate_runs([str(r.path)], None, SAMPLES, None, 0, reject=kind == "rejected")[0]
            for r in runs
        ]
        rows = [next(iter(e["scores"].values())) for e in entries]
        found[kind] = [{m: float(row[m]) for m in METRICS} for row in rows]
        if kind == "rejected":
            for row, entry in zip(found[kind], entries, strict=True):
                row["kept"] = float(next(iter(entry["kept"].values())))
    busy = [sum(r.info["busy_seconds"].values()) for r in runs]
    show(
        ["", *METRICS],
        [[k, *(spread([r[m] for r in v]) for m in METRICS)] for k, v in found.items()],
    )
    seeds = [r.config.seed for r in runs]
    write("ring8-best", {"seeds": seeds, "samples": SAMPLES, "busy_s": busy, "results": found})


if __name__ == "__main__":
    main()
