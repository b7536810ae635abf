"""One trial of a sweep, as Ray Tune calls it: a normal run, in this process or on actors in the
trial's placement group.
"""

from __future__ import annotations

import json
import math
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from raygan.config import Config
from raygan.controller.evaluator import Evaluator
from raygan.controller.listener import Listener, Running
from raygan.controller.orders import Done, Evaluate
from raygan.errors import ConfigError, Interrupted
from raygan.metrics.ranking import lower_is_better
from raygan.service.resuming import resume_run
from raygan.service.runs.run import Run
from raygan.service.runs.warm_start import fork, inherited_seconds
from raygan.service.sweeps.costs import costs, metric_of
from raygan.service.sweeps.file import Sweep, scored, write_point
from raygan.service.sweeps.naming import known_name, trial_name
from raygan.service.training import train
from raygan.strategies.base import Setup, load_data

if TYPE_CHECKING:
    from ray.tune import Checkpoint

POINTER = "run.json"
WORST = 1e30
FORKED = "__"
"""Between the name by a forked run's settings, and who was forked at which step."""


class Reporter(Listener):
    """Tells Tune the scores of a step, once everybody's are there; ends the run when its budget is
    spent, or Tune says so.
    """

    def __init__(self, sweep: Sweep, config: Config, path: Path, keys: list[str]) -> None:
        self.sweep = sweep
        self.config = config
        self.path = path
        self.keys = keys
        self.per_step = costs(config, 1, 0.0)  # once: it builds the networks to count their bytes
        if sweep.budget.megabytes is not None and math.isnan(self.per_step["megabytes"]):
            name = config.strategy["name"]
            raise ConfigError(
                f"budget.megabytes: strategy {name} does not say what it sends (bytes_a_step). Use"
                " seconds."
            )
        self.seen: dict[int, set[str]] = {}
        self.waiting: list[int] = []
        self.inherited: float | None = None
        """Seconds that were spent before a fork; known once the run's folder is there."""

    def __call__(self, run: Running, done: Done) -> None:
        """An order was carried out."""
        if isinstance(done.order, Evaluate):
            step = done.order.step
            self.seen.setdefault(step, set()).update(row["player"] for row in done.result.rows)
            # of those who are there now: members come and go
            if self.seen[step] >= set(scored(run.state.config)):
                del self.seen[step]
                self.waiting.append(step)
        # with PBT a score counts when its checkpoint is there: somebody may go on from it
        saved = run.loop.saving.assembly.saved_step if run.loop else -1
        ready = [s for s in self.waiting if self.sweep.scheduler != "pbt" or saved >= s]
        for step in ready:
            self.waiting.remove(step)
            self.tell(run, step)

    def tell(self, run: Running, step: int) -> None:
        """Report a step; look at the budget."""
        pairs = run.state.strategy.locals(run.state.config)
        spent = {name: cost * step for name, cost in self.per_step.items()}
        if self.inherited is None:
            self.inherited = inherited_seconds(Run.load(self.path).info)
        spent["player_seconds"] = self.inherited + sum(run.state.totals.busy.values())
        values = dict.fromkeys(self.keys, math.nan) | {
            k: float(v) for k, v in flattened(run.state.scores).items() if k in self.keys
        }
        report(
            {
                "step": step,
                "metric": told(self.sweep, metric_of(self.sweep, run.state.scores, pairs)),
                **spent,
                **values,
            },
            self._pointer(step, spent["player_seconds"]),
        )
        budget = self.sweep.budget
        over = [
            budget.seconds is not None and spent["player_seconds"] >= budget.seconds,
            budget.megabytes is not None and spent["megabytes"] >= budget.megabytes,
        ]
        # Not at the last step: a run that is done anyway must not be told as cut off.
        if any(over) and run.state.stop_signal is None and step < run.state.plan.steps:
            run.stop(15)

    def _pointer(self, step: int, seconds: float) -> dict[str, Any] | None:
        if self.sweep.scheduler != "pbt":
            return None
        return {"run": str(self.path), "step": step, "player_seconds": seconds}


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


def told(sweep: Sweep, value: float) -> float:
    """The metric for Tune, which counts NaN as a success: the worst there is instead. The tables
    keep NaN.
    """
    worst = WORST if lower_is_better(sweep.metric.partition(".")[2]) else -WORST
    return value if math.isfinite(value) else worst


def flattened(scores: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """player.score -> value."""
    return {
        f"{player}.{key}": value
        for player, row in scores.items() for key, value in row.items()
        if isinstance(value, float | int) and key != "step"
    }  # fmt: skip


def run_trial(values: dict[str, Any], sweep: Sweep, folder: str) -> None:
    """What Tune calls: `values` is the point. Goes on with a run that is there already."""
    from ray import tune

    point = values["point"]
    pointer = read_pointer(tune.get_checkpoint())
    runs = Path(folder) / "runs"
    resolved = sweep.resolved(point)
    name = known_name(runs, point)
    if pointer is not None:  # PBT: somebody else's state, our settings
        trial = tune.get_context().get_trial_id()[-5:]
        # by what it is now, not by what its source was
        name = f"{trial_name(point)}{FORKED}{trial}-{pointer['step']}"
    path = runs / name
    config = resolved.config
    # All columns in the first report: Tune's table ignores those that come later.
    keys = score_keys(config)
    reporter = Reporter(sweep, config, path, keys)
    report(
        {
            "step": 0,
            "metric": told(sweep, math.nan),
            **costs(config, 0, 0.0),
            **dict.fromkeys(keys, math.nan),
        },
        None,
    )
    try:
        if not (path / "run.json").exists():
            if pointer is not None:
                fork(
                    Path(pointer["run"]),
                    path,
                    resolved,
                    pointer["step"],
                    pointer.get("player_seconds", 0.0),
                )
            else:
                train_here(resolved, runs, name, sweep, reporter, point)
                return
        write_point(path, point)
        if Run.load(path).info["status"] not in ("done", "degraded"):
            resume_run(
                path, address="auto", inline=sweep.executor == "inline", listeners=[reporter]
            )
        else:
            tell_finished(Run.load(path), sweep, keys)
    except Interrupted:
        mark(path, "budget", "its budget was spent")
    except SystemExit:  # Tune's: the schedule has no more steps for it; its last checkpoint stays
        if (path / "run.json").exists() and Run.load(path).info["status"] not in (
            "done",
            "degraded",
        ):
            mark(path, "scheduler", "the sweep's scheduler has stopped it")
        raise


def train_here(
    resolved: Any, runs: Path, name: str, sweep: Sweep, reporter: Reporter, point: dict[str, Any]
) -> None:
    """A new run; its point is written as soon as its folder is there."""

    class Note(Listener):
        def begin(self, run: Running) -> None:
            write_point(run.log.folder.path, point)

    train(
        resolved,
        run_dir=runs,
        name=name,
        inline=sweep.executor == "inline",
        listeners=[Note(), reporter],
        command="raygan sweep",
    )


def tell_finished(run: Run, sweep: Sweep, keys: list[str]) -> None:
    """A trial that an earlier start of the sweep has ended: its last scores, again."""
    values = dict.fromkeys(keys, math.nan) | {
        k: v for k, v in flattened(run.scores()).items() if k in keys
    }
    seconds = inherited_seconds(run.info) + sum(run.info["busy_seconds"].values())
    step = run.config.steps
    report(
        {
            "step": step,
            "metric": told(sweep, metric_of(sweep, run.scores(), run.pairs)),
            **costs(run.config, step, seconds),
            **values,
        },
        None,
    )


def mark(path: Path, by: str, why: str) -> None:
    """Who ended it before its last step."""
    from raygan.controller.run_folder import RunFolder

    RunFolder(path).status(ended_by=by, status="stopped", error=why, exit_code=0)


def score_keys(config: Config) -> list[str]:
    """Every score that a run of this config can report: Tune's table has the columns of the first
    report only.
    """
    evaluator = Evaluator(Setup(config, load_data(config), torch.device("cpu")))
    scores = list(evaluator.full.floor())
    return [f"{player}.{score}" for player in scored(config) for score in scores]


def read_pointer(checkpoint: Checkpoint | None) -> dict[str, Any] | None:
    """Which run, at which step, a PBT trial goes on from."""
    if checkpoint is None:
        return None
    with checkpoint.as_directory() as folder:
        out: dict[str, Any] = json.loads((Path(folder) / POINTER).read_text())
    return out
