"""Trains two runs in this process, samples, plots and compares them: python examples/compare.py [FOLDER]"""

import sys
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt

import raygan

HERE = Path(__file__).parent
folder = Path(sys.argv[1] if len(sys.argv) > 1 else "runs")
steps = int(sys.argv[2]) if len(sys.argv) > 2 else 300
common = {"steps": steps, "num_pairs": 3, "inline": True, "run_dir": folder, "evaluation": {"samples": 1500}}

runs = [
    raygan.train("ring8-gap", name="gap", **common),
    raygan.train("ring8-gap", name="ring-gap", strategy=f"{HERE}/ring_gap.py", **common),
]
fig, axes = plt.subplots(1, len(runs), figsize=(8, 4))
for run, axis in zip(runs, axes, strict=True):
    x = run.generator("mixture").sample(500, seed=0)
    axis.scatter(x[:, 0], x[:, 1], s=2)
    axis.set_title(run.path.name)
    print(run.path.name, run.metrics.groupby("player")["loss_d"].mean().round(3).to_dict())
fig.savefig(folder / "compare.png")
