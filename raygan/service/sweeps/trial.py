"""One trial of a sweep, as Ray Tune calls it: a normal run, in this process or on actors in the
trial's placement group.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from raygan.config import Config, Resolved
from raygan.controller.listener import Listener, Running
from raygan.errors import Interrupted
from raygan.service.places import outlined
from raygan.service.resuming import resume_run
from raygan.service.runs.alive import TRAINED, at_work
from raygan.service.runs.identity import settled
from raygan.service.runs.run import Run
from raygan.service.runs.warm_start import fork
from raygan.service.sweeps.costs import costs, spent
from raygan.service.sweeps.file import Sweep, write_point
from raygan.service.sweeps.known import known
from raygan.service.sweeps.naming import known_name, trial_name
from raygan.service.sweeps.reporter import POINTER, Moment, Reporter, line, report, score_keys
from raygan.service.training import train

if TYPE_CHECKING:
    from ray.tune import Checkpoint

FORKED = "__"
"""Between the name by a forked run's settings, and who was forked at which step."""
FINAL = ("asha",)
"""Schedulers whose stop is for good: the others pause trials too, or have made a fork instead, and
a trial cannot tell which.
"""
CLAIMS = "claims"
"""Folder of a sweep's folder: which trial of this start has which name."""


def run_trial(values: dict[str, Any], sweep: Sweep, folder: str) -> None:
    """What Tune calls: `values` is the point. Goes on with a run that is there already."""
    from ray import tune

    point = values["point"]
    pointer = read_pointer(tune.get_checkpoint())
    resolved = settled(sweep.resolved(point))
    path = Path(folder) / "runs" / name_of(point, sweep, Path(folder), pointer)
    config, inline = resolved.config, sweep.executor == "inline"
    info = known(Path(folder), config, path)
    data = outlined(config, inline, info)
    # All columns in the first report: Tune's table ignores those that come later.
    keys = score_keys(config, data)
    reporter = Reporter(sweep, config, path, keys, data)
    report(line(sweep, keys, Moment(0, {}, costs(config, 0, 0.0, data)), []), None)
    if (path / "run.json").exists() and finished(Run.load(path), sweep, config):
        write_point(path, point)
        tell_finished(Run.load(path), sweep, keys)
        return
    try:
        if not (path / "run.json").exists():
            if pointer is None:
                train_here(resolved, path, sweep, reporter, point, info)
                return
            source, at = Path(pointer["run"]), pointer["step"]
            fork(source, path, resolved, at, pointer.get("player_seconds", 0.0))
        write_point(path, point)
        more = max(0, config.steps - Run.load(path).config.steps)
        resume_run(path, extra_steps=more, address="auto", inline=inline, listeners=[reporter])
    except Interrupted:
        mark(path, "budget", "its budget was spent")
    except SystemExit:  # Tune's: the schedule has no more steps for it; its last checkpoint stays
        if (path / "run.json").exists() and ended(Run.load(path).info) not in ("done", "degraded"):
            mark(path, "scheduler", "the sweep's scheduler has stopped it")
        raise


def name_of(
    point: Mapping[str, Any], sweep: Sweep, folder: Path, pointer: Mapping[str, Any] | None
) -> str:
    """The name of this trial's run."""
    from ray import tune

    trial = str(tune.get_context().get_trial_id())
    if pointer is not None:  # PBT: somebody else's state, our settings
        # by what it is now, not by what its source was
        return f"{trial_name(point)}{FORKED}{trial[-5:]}-{pointer['step']}"
    name = known_name(folder / "runs", point)
    return name if sweep.search == "grid" else claimed(folder / CLAIMS, name, trial)


def claimed(claims: Path, name: str, trial: str) -> str:
    """`name`, or NAME_2 and so on: a search may propose a point again, and two trials in one folder
    would write over each other. The same for the same trial.
    """
    claims.mkdir(parents=True, exist_ok=True)
    for number in itertools.count(1):
        mine = claims / (name if number == 1 else f"{name}_{number}")
        try:
            # exclusive: of two at once one has it
            with mine.open("x") as file:
                file.write(trial)
        except FileExistsError:
            if mine.read_text() != trial:
                continue
        return mine.name
    raise AssertionError("numbers do not end")


def train_here(
    resolved: Resolved, path: Path, sweep: Sweep, reporter: Reporter, point: dict[str, Any],
    info: Mapping[str, Any] | None,
) -> None:  # fmt: skip
    """A new run; its point is written as soon as its folder is there. info: run.json of one on the
    same data.
    """

    class Note(Listener):
        decides = True

        def begin(self, run: Running) -> None:
            write_point(run.log.folder.path, point)

    train(
        resolved,
        run_dir=path.parent,
        name=path.name,
        inline=sweep.executor == "inline",
        listeners=[Note(), reporter],
        command="raygan sweep",
        known=info,
    )


def finished(run: Run, sweep: Sweep, config: Config) -> bool:
    """Has an earlier start of the sweep ended this trial for good? Not where the file gives it more
    by now: steps, seconds or megabytes.
    """
    info = run.info
    how = ended(info)
    if run.config.steps < config.steps:
        return False
    if how == "budget":
        # trained on it would have had more than the others
        return sweep.budget.over(spent(run.config, info)[1])
    if how in TRAINED:
        # what was killed while it was measured is measured
        return not at_work(info)
    # one that was stopped at its very end, as before 0.3, has lost nothing: it is done
    short = max((info.get("steps") or {"": 0}).values()) < config.steps
    return how == "scheduler" and sweep.scheduler in FINAL and short


def ended(info: Mapping[str, Any]) -> str:
    """How a run ended: its status, or who stopped it. One that was stopped and has gone on since is
    not stopped any more.

    >>> [ended({"status": status, "ended_by": "scheduler"}) for status in ("stopped", "done")]
    ['scheduler', 'done']
    """
    by = info.get("ended_by") if info["status"] == "stopped" else None
    return str(by or info["status"])


def tell_finished(run: Run, sweep: Sweep, keys: list[str]) -> None:
    """A trial that an earlier start of the sweep has ended: its last scores, again."""
    step, cost = spent(run.config, run.info)
    report(line(sweep, keys, Moment(step, run.scores(), cost), run.pairs, last=True), None)


def mark(path: Path, by: str, why: str) -> None:
    """Who ended it before its last step."""
    from raygan.controller.run_folder import RunFolder

    RunFolder(path).status(ended_by=by, status="stopped", error=why, exit_code=0)


def read_pointer(checkpoint: Checkpoint | None) -> dict[str, Any] | None:
    """Which run, at which step, a PBT trial goes on from."""
    if checkpoint is None:
        return None
    with checkpoint.as_directory() as folder:
        out: dict[str, Any] = json.loads((Path(folder) / POINTER).read_text())
    return out
