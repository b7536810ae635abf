"""Finished runs that differ by their seed alone, as one table: `python -m benchmarks.seeds NAME RUN
RUN ...`.
"""

from __future__ import annotations

import sys
from typing import Any

from benchmarks.common import show, spread, write
from raygan.config import full_dump
from raygan.service.runs.run import Run


def main() -> None:
    """Check that only the seed differs, print, keep."""
    name, runs = sys.argv[1], [Run.load(p) for p in sys.argv[2:]]
    configs = [{**full_dump(r.config), "seed": None} for r in runs]
    if any(c != configs[0] for c in configs):
        raise SystemExit("these runs differ in more than their seed")
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
        name,
        {
            "seeds": [r.config.seed for r in runs],
            "scores": scores,
            "seconds": seconds,
            "protocol": protocol,
        },
    )


if __name__ == "__main__":
    main()
