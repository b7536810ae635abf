"""What Ray Tune is told of a trial: its scores and costs at each step, and where its run's state
lies.
"""

from __future__ import annotations

import json
import math
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from raygan.config import Config
from raygan.controller.evaluator import Evaluator
from raygan.controller.listener import Listener, Running
from raygan.controller.orders import Done, Evaluate
from raygan.data.base import Samples
from raygan.errors import ConfigError
from raygan.metrics.ranking import lower_is_better
from raygan.metrics.suite import Suite
from raygan.service.runs.run import Run
from raygan.service.runs.warm_start import inherited_seconds
from raygan.service.sweeps.costs import costs, metric_of
from raygan.service.sweeps.file import Sweep, scored
from raygan.strategies.base import Setup

POINTER = "run.json"
LAST = "last"
"""Key of a report: has the trial no more steps, or no more budget?"""
WORST = 1e30
Scores = Mapping[str, Mapping[str, Any]]
"""player -> its row."""


@dataclass(frozen=True)
class Moment:
    """A step, as it was when the last of its scores came."""

    step: int
    scores: Scores
    spent: Mapping[str, float]


class Reporter(Listener):
    """Tells Tune the scores of a step, once everybody's are there; ends the run when its budget is
    spent, or Tune says so.
    """

    decides = True

    def __init__(
        self, sweep: Sweep, config: Config, path: Path, keys: list[str], data: Samples
    ) -> None:
        self.sweep = sweep
        self.path = path
        self.keys = keys
        # once: it builds the networks to count their bytes
        self.per_step = costs(config, 1, 0.0, data)
        if sweep.budget.megabytes is not None and math.isnan(self.per_step["megabytes"]):
            name = config.strategy["name"]
            raise ConfigError(
                f"budget.megabytes: strategy {name} does not say what it sends (bytes_a_step). Use"
                " seconds."
            )
        self.seen: dict[int, dict[str, Mapping[str, Any]]] = {}
        """step -> player -> its row, until everybody's are there."""
        self.waiting: list[Moment] = []
        self.inherited: float | None = None
        """Seconds that were spent before a fork; known once the run's folder is there."""

    def __call__(self, run: Running, done: Done) -> None:
        """An order was carried out."""
        if isinstance(done.order, Evaluate):
            step = done.order.step
            rows = self.seen.setdefault(step, {})
            rows.update({row["player"]: row for row in done.result.rows})
            # of those who are there now: members come and go
            if set(rows) >= set(scored(run.state.config)):
                del self.seen[step]
                self.waiting.append(Moment(step, rows, self._spent(run, step)))
        for moment in [m for m in self.waiting if self._counts(run, m.step)]:
            # what is older has no checkpoint, and Tune's clock does not go back
            self.waiting = [m for m in self.waiting if m.step > moment.step]
            self.tell(run, moment)

    def _spent(self, run: Running, step: int) -> dict[str, float]:
        if self.inherited is None:
            self.inherited = inherited_seconds(Run.load(self.path).info)
        seconds = self.inherited + sum(run.state.totals.busy.values())
        return {k: cost * step for k, cost in self.per_step.items()} | {"player_seconds": seconds}

    def _counts(self, run: Running, step: int) -> bool:
        """With PBT a score counts when its own checkpoint is there: somebody may go on from it."""
        return self.sweep.scheduler != "pbt" or any(
            entry.step == step and entry.promised for entry in run.log.journal.index
        )

    def tell(self, run: Running, moment: Moment) -> None:
        """Report a step; look at the budget."""
        pairs = run.state.strategy.locals(run.state.config)
        seconds = moment.spent["player_seconds"]
        pointer = {"run": str(self.path), "step": moment.step, "player_seconds": seconds}
        over = self.sweep.budget.over(moment.spent)
        ending = moment.step >= run.state.plan.steps
        report(
            line(self.sweep, self.keys, moment, pairs, last=over or ending),
            pointer if self.sweep.scheduler == "pbt" else None,
        )
        # Not at the last step: a run that is done anyway must not be told as cut off.
        if over and run.state.stop_signal is None and not ending:
            run.stop(15)


def line(
    sweep: Sweep, keys: Sequence[str], moment: Moment, pairs: list[str], last: bool = False
) -> dict[str, Any]:
    """What Tune hears of a step."""
    there = flattened(moment.scores)
    return {
        "step": moment.step,
        LAST: last,
        "metric": finite_metric(sweep, metric_of(sweep, moment.scores, pairs)),
        **moment.spent,
        **{key: float(there.get(key, math.nan)) for key in keys},
    }


def report(values: dict[str, Any], pointer: dict[str, Any] | None) -> None:
    """To Tune; its way to end a trial is a SystemExit out of this call."""
    from ray import tune

    if pointer is None:
        tune.report(values)
        return
    # A pointer, not the weights: they are in the run folder already, and Tune would copy them.
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / POINTER).write_text(json.dumps(pointer))
        tune.report(values, checkpoint=tune.Checkpoint.from_directory(folder))


def finite_metric(sweep: Sweep, value: float) -> float:
    """The metric for Tune, which counts NaN as a success: the worst there is instead. The tables
    keep NaN.
    """
    worst = WORST if lower_is_better(sweep.metric.partition(".")[2]) else -WORST
    return value if math.isfinite(value) else worst


def flattened(scores: Scores) -> dict[str, Any]:
    """Scores by player as one table: player.score -> value."""
    return {
        f"{player}.{key}": value
        for player, row in scores.items() for key, value in row.items()
        if isinstance(value, float | int) and key != "step"
    }  # fmt: skip


def score_keys(config: Config, data: Samples) -> list[str]:
    """Every score that a run of this config can report: Tune's table has the columns of the first
    report only.
    """
    scores = named_by(Evaluator(Setup(config, data, torch.device("cpu"))).full)
    return [f"{player}.{score}" for player in scored(config) for score in scores]


def named_by(suite: Suite) -> list[str]:
    """What a suite's numbers are called. Names of users' own are known once they have measured, and
    they measure nothing of data that nobody holds.
    """
    return list(suite.floor()) if suite.own and suite.data.whole else suite.names
