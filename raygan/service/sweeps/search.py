"""A sweep's space, search and scheduler, as Ray Tune says them."""

from __future__ import annotations

import contextlib
import itertools
from typing import Any

from raygan.errors import ConfigError
from raygan.service.sweeps.file import Sweep

NEEDS = {
    "optuna": "optuna", "ax": "ax-platform", "bayesopt": "bayesian-optimization", "hebo": "HEBO",
    "hyperopt": "hyperopt", "nevergrad": "nevergrad", "zoopt": "zoopt",
}  # fmt: skip
"""What a sweep file names -> the package that it needs."""
MODULES = {"ax-platform": "ax", "bayesian-optimization": "bayes_opt", "HEBO": "hebo"}
"""Packages whose module has another name."""


def search_of(spec: Sweep, mode: str) -> tuple[dict[str, Any], Any]:
    """(Tune's space, Tune's search)."""
    from ray import tune

    if spec.search == "grid":
        return {"point": tune.grid_search(spec.points())}, None
    from ray.tune.search import create_searcher

    space = {"point": {path: domain(values) for path, values in spec.space.items()}}
    seeded = {SEEDS[spec.search]: spec.seed} if spec.search in SEEDS else {}
    return space, create_searcher(spec.search, metric="metric", mode=mode, **seeded)


MOST = 1000
"""Points that are looked at for what is longest, of a search's."""
SEEDS = {
    "optuna": "seed", "hyperopt": "random_state_seed", "bayesopt": "random_state",
    "hebo": "random_state_seed",
}  # fmt: skip
"""How each search takes a seed; the others have no such argument."""


def domain(values: Any) -> Any:
    """A setting's values, as Tune says it."""
    from ray import tune

    if isinstance(values, list):
        return tune.choice(values)
    kind, ends = next(iter(values.items()))
    if kind == "choice":
        return tune.choice(ends)
    if kind == "randint":  # Tune's ends before the upper one
        return tune.randint(ends[0], ends[1] + 1)
    return {"uniform": tune.uniform, "log_uniform": tune.loguniform}[kind](*ends)


def longest(spec: Sweep) -> int:
    """Steps of the longest trial: where a budget gives them, they differ from point to point."""
    points = spec.walk()
    if spec.search != "grid":
        # Its points are still to be made: all of the lists, and the ends of what is drawn.
        ends = {
            p: v if isinstance(v, list) else next(iter(v.values())) for p, v in spec.space.items()
        }
        corners = spec.model_copy(update={"space": ends, "samples": 1}).walk()
        points = itertools.islice(itertools.chain(itertools.islice(points, 1), corners), MOST)
    steps = []
    for point in points:
        # the end of a range may be no value itself: a beta2 of 1
        with contextlib.suppress(ConfigError):
            steps.append(spec.resolved(point).config.steps)
    return max(steps)


def scheduler_of(spec: Sweep) -> Any:
    from ray import tune

    every = spec.resolved(spec.points()[0]).config.evaluation.every_steps
    if spec.scheduler == "asha":
        return tune.schedulers.ASHAScheduler(
            # One past the end of the longest: at max_t ASHA stops a trial, also one that has just
            # finished, as if it had lost.
            time_attr="step",
            grace_period=every,
            max_t=longest(spec) + 1,
            reduction_factor=2,
        )
    if spec.scheduler == "hyperband":
        return tune.schedulers.HyperBandScheduler(time_attr="step", max_t=longest(spec) + 1)
    if spec.scheduler == "median_stopping_rule":
        return tune.schedulers.MedianStoppingRule(time_attr="step", grace_period=every)
    if spec.scheduler == "pbt":
        changes = {
            path: (
                spec.space[path] if isinstance(spec.space[path], list) else domain(spec.space[path])
            )
            for path in spec.perturb
        }
        return tune.schedulers.PopulationBasedTraining(
            time_attr="step", perturbation_interval=every, hyperparam_mutations={"point": changes}
        )
    return None
