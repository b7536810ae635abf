"""A sweep's space, search and scheduler, as Ray Tune says them."""

from __future__ import annotations

from typing import Any

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
    return {"uniform": tune.uniform, "log_uniform": tune.loguniform, "randint": tune.randint}[kind](
        *ends
    )


def scheduler_of(spec: Sweep) -> Any:
    from ray import tune

    first = spec.resolved(spec.points()[0]).config
    every = first.evaluation.every_steps
    if spec.scheduler == "asha":
        return tune.schedulers.ASHAScheduler(
            # One past the end: at max_t ASHA stops a trial, also one that has just finished, as if
            # it had lost.
            time_attr="step",
            grace_period=every,
            max_t=first.steps + 1,
            reduction_factor=2,
        )
    if spec.scheduler == "hyperband":
        return tune.schedulers.HyperBandScheduler(time_attr="step", max_t=first.steps + 1)
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
