"""What a notebook would do: train twice, sample, plot, compare. `python examples/notebook.py`, or
again with another folder: `python examples/notebook.py runs/again`."""

import sys
from pathlib import Path

import matplotlib as mpl

mpl.use("Agg")
import matplotlib.pyplot as plt

import raygan
from raygan.service.scores.compare import compare_runs

folder = Path(sys.argv[1] if len(sys.argv) > 1 else "runs")
small = {"steps": 300, "num_pairs": 3, "evaluation": {"every_steps": 300, "samples": 1600}}

# 1. two runs that differ in one thing: do the pairs swap their discriminators?
small |= {"run_dir": folder, "inline": True, "seed": 1}
runs = [
    raygan.train("ring8-gap", name="swapping", **small),
    raygan.train("ring8-gap", name="alone", strategy="independent", **small),
]

# 2. samples of the mixture of all pairs, and how the loss of one pair went
figure, axes = plt.subplots(2, 2, figsize=(8, 7), layout="constrained")
for (left, right), run in zip(axes, runs, strict=True):
    x = run.generator("mixture").sample(1000, seed=0)
    left.scatter(*x.T, s=3)
    left.set(title=f"{run.name}: mixture", xlim=(-1.5, 1.5), ylim=(-1.5, 1.5))
    trained = run.metrics.query("kind == 'train' and player == 'pair-00'")
    right.plot(trained["step"], trained["loss_d"])
    right.set(title="loss of D, pair-00", xlabel="step")
figure.savefig(folder / "notebook.png")

# 3. one table
print(compare_runs([str(run.path) for run in runs]))
