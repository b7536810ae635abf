"""A sweep's space, search and scheduler, as Ray Tune says them."""

from __future__ import annotations

import contextlib
import itertools
import math
from typing import Any

from raygan.errors import ConfigError
from raygan.service.sweeps.draws import within
from raygan.service.sweeps.file import Sweep, listed
from raygan.service.sweeps.reporter import LAST

NEEDS = {
    "optuna": "optuna", "ax": "ax-platform", "bayesopt": "bayesian-optimization", "hebo": "HEBO",
    "hyperopt": "hyperopt", "nevergrad": "nevergrad", "zoopt": "zoopt",
}  # fmt: skip
"""What a sweep file names -> the package that it needs."""
MODULES = {"ax-platform": "ax", "bayesian-optimization": "bayes_opt", "HEBO": "hebo"}
"""Packages whose module has another name."""


def search_of(spec: Sweep, mode: str) -> tuple[dict[str, Any], Any]:
    """What Tune is given: (its space, its search algorithm)."""
    from ray import tune

    if spec.search == "grid":
        return {"point": tune.grid_search(spec.points())}, None
    from ray.tune.search import create_searcher

    space = {"point": {path: domain(values) for path, values in spec.space.items()}}
    seeded = {SEEDS[spec.search]: spec.seed} if spec.search in SEEDS else {}
    return space, create_searcher(spec.search, metric="metric", mode=mode, **seeded)


HALVING = 3
"""hyperband: one of so many goes on."""
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


def longest(spec: Sweep) -> tuple[int, int]:
    """(Steps of the longest trial, steps between the rarest evaluations): they may differ from
    point to point.
    """
    points = spec.walk()
    if spec.search != "grid":
        # Its points are still to be made: all of the lists, and the ends of what is drawn.
        ends = {p: listed(v) for p, v in spec.space.items()}
        corners = spec.model_copy(update={"space": ends, "samples": 1}).walk()
        points = itertools.islice(itertools.chain(itertools.islice(points, 1), corners), MOST)
    steps, every = list[int](), list[int]()
    for point in points:
        # the end of a range may be no value itself: a beta2 of 1
        with contextlib.suppress(ConfigError):
            config = spec.resolved(point).config
            steps.append(config.steps)
            every.append(config.evaluation.every_steps)
    return max(steps), max(every)


def scheduler_of(spec: Sweep) -> Any:
    from ray import tune

    if spec.scheduler == "none":
        return None
    # `every`: nobody is stopped, or taken over, before its first score.
    steps, every = longest(spec)
    # One past the end of the longest: at max_t ASHA stops a trial, also one that has just finished,
    # as if it had lost.
    end = steps + 1
    if spec.scheduler == "asha":
        return leaving(tune.schedulers.ASHAScheduler)(
            time_attr="step", grace_period=min(every, end), max_t=end, reduction_factor=2
        )
    if spec.scheduler == "hyperband":
        return hyperband(end)
    if spec.scheduler == "median_stopping_rule":
        return leaving(tune.schedulers.MedianStoppingRule)(time_attr="step", grace_period=every)
    return population(spec, every)


def leaving(kind: type) -> Any:
    """The schedule, which leaves a trial alone that has told its last step."""

    class Leaving(kind):  # type: ignore[misc]  # Tune's classes come untyped
        def on_trial_result(self, tune_controller: Any, trial: Any, result: dict[str, Any]) -> str:
            # Who is stopped or paused there has had all of its steps, and would not count as done;
            # who takes over a state with no steps left, or gives up its own there, ends unscored.
            # That it has ended is told next (`on_trial_complete`), with the same result.
            if result[LAST]:
                return str(self.CONTINUE)
            return str(super().on_trial_result(tune_controller, trial, result))

    return Leaving


def hyperband(end: int) -> Any:
    """HyperBand in which nobody waits for a trial that is gone."""
    from ray.tune.schedulers import HyperBandScheduler

    class Bands(leaving(HyperBandScheduler)):  # type: ignore[misc]  # made here
        def _process_bracket(self, tune_controller: Any, bracket: Any) -> str:
            try:
                return str(super()._process_bracket(tune_controller, bracket))
            finally:
                # Tune leaves it set (2.60): after a bracket's first halving one that ends, or dies,
                # before the next would leave those that wait for it paused for ever.
                bracket.is_being_processed = False

    return Bands(time_attr="step", max_t=end, reduction_factor=HALVING)


def unstopped(steps: int) -> int:
    """How many trials hyperband begins with that it lets come to their end (its bracket 0)."""
    return round(math.log(steps + 1) / math.log(HALVING)) + 1


def population(spec: Sweep, every: int) -> Any:
    """PBT that stays within the space."""
    from ray.tune.schedulers import PopulationBasedTraining

    def explored(values: dict[str, Any]) -> dict[str, Any]:
        # Tune multiplies by 1.2 or 0.8, wherever that leads.
        point = dict(values["point"])
        for path in spec.perturb:
            if isinstance(drawn := perturbed(spec.space[path]), dict):
                point[path] = within(drawn, point[path])
        return {**values, "point": point}

    changes = {path: perturbed(spec.space[path]) for path in spec.perturb}
    return leaving(PopulationBasedTraining)(
        time_attr="step", perturbation_interval=every, custom_explore_fn=explored,
        hyperparam_mutations={
            "point": {p: v if isinstance(v, list) else domain(v) for p, v in changes.items()}
        },
    )  # fmt: skip


def perturbed(values: Any) -> Any:
    """What PBT goes through: a list, to a neighbour, or a range. A choice is no number."""
    return values if isinstance(values, list) else values.get("choice", values)
