"""The claims: what a paper says, the runs that it takes, and the two numbers that it compares.

A claim is measured on runs that differ in one thing. Each arm is a run, or a part of one (its
global pair, its mixture); both numbers of a seed stand side by side, so that a verdict is about
differences within seeds. Sizes are those that a CPU can do, not always the papers'; `scope` says
what is another than there.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from raygan.metrics.modes import mode_counts, uncovered_by_union
from raygan.service.runs.run import Run
from raygan.strategies.base import load_data
from raygan.strategies.roles import GLOBAL, MIXTURE

Measure = Callable[[Mapping[str, Run]], tuple[float, float]]
"""Runs of one seed by their arm -> (what the paper puts forward, what it is put against)."""
SAMPLES = 2500


@dataclass(frozen=True)
class Arm:
    """One run of each seed."""

    preset: str
    flags: Mapping[str, Any]


@dataclass(frozen=True)
class Claim:
    """What `raygan reproduce NAME` does."""

    paper: str
    says: str
    arms: Mapping[str, Arm]
    measure: Measure
    number: str
    """What is compared."""
    first: str
    """Its name where the paper puts it forward .."""
    second: str
    """.. and where that is put against."""
    wants: Literal["higher", "lower", "as high"]
    quick: Mapping[str, Any]
    """Settings of --quick."""
    scope: str
    minutes: float
    """Of one core, all seeds, at full size; measured on a machine of two cores."""
    margin: float = 0.0
    """as high: so much less is no less."""


def mean_over_pairs(run: Run, metric: str) -> float:
    """Of single generators, at their last scores."""
    return float(np.mean([run.scores()[p][metric] for p in run.pairs]))


def over_last_half(run: Run, metric: str) -> float:
    """Of single generators, over the evaluations of the second half: GANs go to and fro."""
    # Of one evaluation the number hangs on when it was: GANs go to and fro.
    rows = [r[metric] for r in last_half(run, "score") if r["player"] in run.pairs]
    return float(np.mean(rows))


def last_half(run: Run, kind: str) -> list[dict[str, Any]]:
    """Rows of this kind of the second half of its steps."""
    return [r for r in run.rows if r["kind"] == kind and r["step"] > run.config.steps / 2]


def uncovered(run: Run) -> float:
    """Share of modes that none of a run's pairs covers."""
    modes = load_data(run.config).modes
    assert modes is not None
    counts = [
        mode_counts(run.generator(p).sample(SAMPLES, seed=run.config.seed), modes)
        for p in run.pairs
    ]
    return float(uncovered_by_union(np.array(counts), SAMPLES / len(modes.means))[-1])


def costs(run: Run) -> list[dict[str, Any]]:
    """Rows of the second half with D's costs."""
    return [r for r in last_half(run, "train") if "cost_held_out" in r]


def cost_gap(run: Run) -> float:
    """Held-out less training cost of D, over the second half, mean over pairs."""
    return float(np.mean([r["cost_held_out"] - r["cost_train"] for r in costs(run)]))


def cost_spread(run: Run) -> float:
    """Standard deviation of D's held-out cost over pairs and the second half."""
    return float(np.std([r["cost_held_out"] for r in costs(run)]))


def half_an_epoch(runs: Mapping[str, Run]) -> tuple[float, float]:
    """Spread of D's cost where swaps are half an epoch apart, and the least of the others'."""
    half, *others = (cost_spread(runs[name]) for name in ("half", "tenth", "whole"))
    return half, min(others)


def gam2_means(runs: Mapping[str, Run]) -> tuple[float, float]:
    """Elo by GAM-II's matrix of the swapping group and of the independent one: how often unseen
    discriminators take their samples for real.

    Not the average of eq. 3: those who have swapped are judged by the others' discriminators alone,
    the independent ones by both groups', and one group's may be the milder judges.
    """
    from raygan.service.scores.gam2 import gam2

    groups = [runs["swapping"], runs["independent"]]
    found = gam2([str(r.path) for r in groups], SAMPLES, groups[0].config.seed)
    first, second = (
        float(np.mean([found["scores"][f"{r.name}/{p}"]["elo"] for p in r.pairs])) for r in groups
    )
    return first, second


VANILLA = {
    "loss": "non_saturating", "pair.lr_g": 1e-3, "pair.lr_d": 1e-3, "pair.lr_decay": "constant",
    "pair.ema": 0.0,
}  # fmt: skip
R15_COSTS = {
    **VANILLA, "pair.lr_g": 5e-4, "pair.lr_d": 5e-4, "pair.beta2": 0.9, "round_steps": 20,
    "network": {"name": "mlp", "hidden": 128, "z_dim": 2}, "evaluation.mixture": False,
    "evaluation.every_steps": 3000,
}  # fmt: skip
SWAP = {"name": "gap", "swap_every": 50}


def apart(epochs: float) -> Arm:
    """Four pairs on R15 that swap at this period; an epoch is 20 updates there."""
    swaps = {"name": "gap", "swap_every": epochs, "unit": "epochs"}
    return Arm("r15-gap", {**R15_COSTS, "batch_size": 5, "strategy": swaps})


CLAIMS: dict[str, Claim] = {
    "sgan-fig2d": Claim(
        "SGAN, Fig. 2d (vanilla GAN on the ring of 8)",
        "the share of modes that none covers falls with the number of pairs",
        {
            "pairs": Arm("ring8-sgan", {"strategy": "independent", "num_pairs": 6, **VANILLA}),
            "longer": Arm("ring8-sgan", {"strategy": "independent", "num_pairs": 1,
                                         "steps": 12_000, **VANILLA}),
        },
        # not against one of the six: together they never cover less than one of them
        lambda runs: (uncovered(runs["pairs"]), uncovered(runs["longer"])),
        "share of modes that none covers", "six pairs", "one pair, 6 times the steps", "lower",
        {"steps": 600}, "at equal compute, at the end of the run, not at a random iteration", 12,
    ),
    "sgan-fig3": Claim(
        "SGAN, Fig. 3 (toy data)",
        "the global generator is comparable with one that is trained N times as long",
        {
            "sgan": Arm("ring8-sgan", {}),
            "longer": Arm("ring8-sgan",
                          {"strategy": "independent", "num_pairs": 1, "steps": 10_000}),
        },
        lambda runs: (runs["sgan"].scores()[GLOBAL]["high_quality"],
                      mean_over_pairs(runs["longer"], "high_quality")),
        "high quality", "global pair of 5", "one pair, 5 times the steps", "as high",
        {"steps": 300}, "DRAGAN instead of WGAN; comparable: within .02", 10, margin=0.02,
    ),
    "gap-fig3": Claim(
        "GAP, Fig. 3 (R15, 100 of its points)",
        "with few training points, swapping covers more modes than GANs alone",
        {
            "swapping": Arm("r15-gap", VANILLA),
            "independent": Arm("r15-gap", {**VANILLA, "strategy": "independent"}),
        },
        lambda runs: (over_last_half(runs["swapping"], "modes"),
                      over_last_half(runs["independent"], "modes")),
        "modes of 15, a single generator", "swapping", "independent", "higher",
        {"steps": 500}, "", 8,
    ),
    "gap-fig6": Claim(
        "GAP, Fig. 6 (there CIFAR-10, here R15 of 100 points)",
        "the more GANs swap, the less D's training and validation costs are apart",
        {
            "swapping": Arm("r15-gap", {**R15_COSTS, "strategy": SWAP}),
            "alone": Arm("r15-gap", {**R15_COSTS, "strategy": "independent", "num_pairs": 1}),
        },
        lambda runs: (cost_gap(runs["swapping"]), cost_gap(runs["alone"])),
        "held-out less training cost of D", "four that swap", "one alone", "lower",
        {"steps": 600}, "R15 instead of images", 8,
    ),
    "gap-fig7": Claim(
        "GAP, Fig. 7 (there CIFAR-10, here R15 of 100 points)",
        "validation costs vary the least where swaps are half an epoch apart",
        {"half": apart(0.5), "tenth": apart(0.1), "whole": apart(1.0)},
        half_an_epoch,
        "spread of D's held-out cost", "every half epoch", "every .1 or 1, the least", "lower",
        {"steps": 600}, "R15 in batches of 5 instead of images; half against .1 and 1", 12,
    ),
    "gap-table2": Claim(
        "GAP, Table 2 (MNIST)",
        "GAP_D4's generators deceive unseen discriminators more often than independent DCGANs'",
        {
            "swapping": Arm("mnist-gap", {"steps": 1000}),
            "independent": Arm("mnist-gap", {"steps": 1000, "strategy": "independent"}),
        },
        gam2_means, "Elo by GAM-II, mean over generators", "swapping", "independent", "higher",
        {"steps": 60}, "1,000 steps of DCGANs of width 32; judges exact by lineage", 100,
    ),
    "pmgan-fig2": Claim(
        "PMGAN, section 4.1 (ring of 8)",
        "all modes are found, also by more generators than there are modes",
        {"ten": Arm("ring8-pmgan-10", {})},
        lambda runs: (runs["ten"].scores()[MIXTURE]["modes@10%"], 8.0),
        "modes of 8, mixture", "ten generators", "all", "as high",
        {"steps": 400}, "the preset's settings; the paper gives few", 8,
    ),
    "pmgan-table2": Claim(
        "PMGAN, Table 2 (MNIST-1000)",
        "modes that the mixture captures grow with the number of generators",
        {
            "four": Arm("stacked-mnist-tiny-pmgan", {"num_pairs": 4}),
            "one": Arm("stacked-mnist-tiny-pmgan", {"num_pairs": 1}),
        },
        lambda runs: (runs["four"].scores()[MIXTURE]["modes"],
                      mean_over_pairs(runs["one"], "modes")),
        "modes of 1,000, mixture", "four generators", "one", "higher",
        {"steps": 30, "evaluation.samples": 2000}, "one and four generators, a small D", 240,
    ),
}  # fmt: skip
