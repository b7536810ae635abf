"""GAM-II on MNIST: GAP_D4 against 4 independent DCGANs of the same settings, lineage-exact, over
seeds.

    python -m benchmarks gam2 [SEEDS] [STEPS]    default 5 seeds; writes results/gam2-mnist.json

Judges of every generator: the discriminators of both groups that it never trained against, and
those of a second ("control") group of independent pairs, which nobody has met.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.common import show, spread, write
from raygan.config import resolve
from raygan.service.scores.gam2 import gam2
from raygan.service.training import train

PERIODS: dict[str, Any] = {"GAP_D4, K = 100 updates": {"name": "gap", "swap_every": 100}}


def main() -> None:
    """Train the groups, judge them, print and keep."""
    seeds = range(int(sys.argv[1]) if len(sys.argv) > 1 else 5)
    steps = int(sys.argv[2]) if len(sys.argv) > 2 else 1000
    rows: dict[str, dict[str, list[float]]] = {}
    words: dict[str, list[str]] = {}
    with tempfile.TemporaryDirectory() as folder:
        for seed in seeds:
            runs = {}
            kinds: dict[str, Any] = {"independent": "independent", **PERIODS}
            for kind, strategy in kinds.items():
                flags = {"seed": seed + (1000 if kind == "independent" else 0), "steps": steps,
                         "strategy": strategy,
                         "evaluation": {"every_steps": steps, "samples": 2000},
                         "checkpoint": {"every_steps": steps}}  # fmt: skip
                name = f"{'independent' if kind == 'independent' else 'gap'}-{seed}"
                runs[kind] = train(
                    resolve("mnist-gap", flags=flags), run_dir=Path(folder), name=name, inline=True
                )
            out = gam2([str(r.path) for r in runs.values()], 10_000, 0, control=4)
            for kind, run in runs.items():
                mine = [out["scores"][g] for g in out["groups"][run.name]]
                row = rows.setdefault(
                    kind, {"average": [], "worst": [], "elo": [], "mnist score": [], "entropy": []}
                )
                row["average"].append(float(np.mean([s["average"] for s in mine])))
                row["worst"].append(float(np.mean([s["worst"] for s in mine])))
                row["elo"].append(float(np.mean([s["elo"] for s in mine])))
                scores = [run.scores()[p] for p in run.pairs]
                row["mnist score"].append(float(np.mean([s["score"] for s in scores])))
                row["entropy"].append(float(np.mean([s["entropy"] for s in scores])))
                if kind != "independent":
                    control = next(r for r in out["groups"] if "-control-" in r)
                    words.setdefault(kind, []).append(
                        out["verdicts"][f"{run.name} against {control}"]
                    )
            show(
                ["group of 4", *next(iter(rows.values()))],
                [[k, *(spread(v) for v in r.values())] for k, r in rows.items()],
            )
            print(words, flush=True)
            write(
                "gam2-mnist",
                {
                    "seeds": list(seeds),
                    "done": seed + 1,
                    "steps": steps,
                    "rows": rows,
                    "verdicts": words,
                },
            )


if __name__ == "__main__":
    main()
