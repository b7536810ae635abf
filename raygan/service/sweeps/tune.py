"""`raygan sweep FILE`: Ray Tune over a sweep file's points; then the table, the pictures, and the
best config as a preset.
"""

from __future__ import annotations

import json
import logging
import os
import shutil
import signal
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from raygan.actors.placement import place
from raygan.config import dotted
from raygan.controller.evaluator import Evaluator
from raygan.controller.lines import NOTES
from raygan.errors import ConfigError, InfeasibleError, Interrupted, RayganError, did_you_mean
from raygan.metrics.ranking import lower_is_better
from raygan.own.importing import refuse_while_loading
from raygan.own.inside import settled_here
from raygan.own.names import is_own
from raygan.service.runs.changes import FREE
from raygan.service.signals import wanted
from raygan.service.sweeps.file import Sweep, read_sweep
from raygan.service.sweeps.naming import trial_name
from raygan.service.sweeps.reporter import WORST
from raygan.service.sweeps.search import MODULES, NEEDS, scheduler_of, search_of
from raygan.service.sweeps.trial import CLAIMS, run_trial
from raygan.service.tracking.listener import trackers_of
from raygan.strategies.base import Setup, load_data, num_processes
from raygan.trackers.base import installed

DRIVER_CPUS = 0.01
"""Of a trial whose players are actors: its own process only decides."""


def sweep(
    file: Path, *, run_dir: Path = Path("runs"), resume: bool = False, address: str = "auto",
    max_concurrent: int | None = None, samples: int | None = None, track: str | None = None,
) -> Path:  # fmt: skip
    """Run a sweep file; returns its folder. Raises ConfigError, InfeasibleError, Interrupted (go on
    with `resume`), TrialsFailed once all have been tried. track: trackers of every trial, with
    commas, instead of the file's.
    """
    refuse_while_loading("sweep")
    spec = read_sweep(file, samples)
    if max_concurrent is not None:
        spec = spec.model_copy(update={"max_concurrent": max_concurrent})
    if track is not None:
        spec = spec.tracked(settled_here({"track": track}, Path())["track"])
    check(spec, file)
    folder = run_dir / spec.name
    if folder.exists() and not resume:
        raise ConfigError(
            f"sweep folder {str(folder)!r} exists already. Go on with --resume, or give the sweep"
            " another name."
        )
    stored = folder / "sweep.json"
    if resume and stored.exists() and (what := changed(json.loads(stored.read_text()), spec)):
        raise ConfigError(
            f"{file}: its {what} not that of {str(folder)!r}: some trials would be of the one, some"
            " of the other. Give the sweep another name."
        )
    (folder / "runs").mkdir(parents=True, exist_ok=True)
    # of an earlier start: its trials have other ids
    shutil.rmtree(folder / CLAIMS, ignore_errors=True)
    stored.write_text(spec.model_dump_json(indent=1) + "\n")
    from raygan.actors.cluster import cluster

    with cluster(address, 512):
        errors = _fit(spec, folder.resolve(), file)
    if errors:
        raise TrialsFailed(
            folder,
            f"sweep {spec.name}: {len(errors)} of its trials failed, the first: {errors[0]}. Their"
            f" runs are in {folder / 'runs'}; `raygan sweep {file} --resume` tries them again,"
            " which helps where a machine was at fault. The table has all others.",
        )
    return folder


class TrialsFailed(RayganError):
    """Some of a sweep's trials; what the others have found is in its folder."""

    def __init__(self, folder: Path, text: str) -> None:
        super().__init__(text)
        self.folder = folder


def check(spec: Sweep, file: Path) -> None:
    """Is what the file asks for there, and measured? Raises ConfigError."""
    if (needed := NEEDS.get(spec.search)) and not installed(MODULES.get(needed, needed)):
        raise ConfigError(
            f"{file}: {spec.search} is not installed. `pip install {needed}`, or take it out of"
            " the file."
        )
    try:
        # Refuses what is not installed.
        trackers_of(spec.resolved((spec.points() or [{}])[0]).config)
    except ConfigError as error:
        raise ConfigError(f"{file}: {error}") from None
    check_metric(spec, file)
    tell_saves(spec)


def tell_saves(spec: Sweep) -> None:
    """With PBT a run may be saved at other steps than the file says (`Sweep.fitted`)."""
    point = (spec.points() or [{}])[0]
    asked = spec.model_copy(update={"scheduler": "none"}).resolved(point).config
    if every := spec.fitted(asked).get("checkpoint.every_steps"):
        NOTES.warning(
            "scheduler pbt: checkpoint.every_steps is %d, not %d: trials go on from what has its"
            " scores, which is each evaluation",
            every,
            asked.checkpoint.every_steps,
        )


def changed(stored: Mapping[str, Any], spec: Sweep) -> str:
    """What of a sweep that is gone on with is not as it was, "" where nothing is: budget, trackers,
    concurrency and what a run may go on with (`runs.changes`) may be others.
    """
    now = json.loads(spec.model_dump_json())
    for key in ("space", "preset", "seed"):
        if stored.get(key) != now[key]:
            return f"{key} is"
    before, after = (
        {p: v for p, v in dotted(s["settings"]) if p.partition(".")[0] not in FREE}
        for s in (stored, now)
    )
    for path in sorted({*before, *after}):
        if before.get(path) != after.get(path):
            own = is_own(str(after.get(path)))
            return f"source of {path} is" if own else f"settings.{path} = {after.get(path)!r} is"
    return ""


def check_metric(spec: Sweep, file: Path) -> None:
    """Is the metric measured, and on the way too where a schedule needs it? Raises ConfigError."""
    config = spec.resolved((spec.points() or [{}])[0]).config
    evaluator = Evaluator(Setup(config, load_data(config), torch.device("cpu")))
    score = spec.metric.partition(".")[2]
    at_the_end, on_the_way = list(evaluator.full.floor()), list(evaluator.quick.floor())
    if score not in at_the_end:
        raise ConfigError(
            f"{file}: metric {spec.metric!r}: no score {score!r} is measured."
            f" {did_you_mean(score, at_the_end)}"
        )
    if spec.scheduler != "none" and score not in on_the_way:
        raise ConfigError(
            f"{file}: metric {spec.metric!r} is measured at the last step only; scheduler"
            f" {spec.scheduler} needs one of: {', '.join(on_the_way)}."
        )


def _fit(spec: Sweep, folder: Path, file: Path) -> list[str]:
    from ray import tune

    from raygan.actors.outlook import outlook, total

    nodes = [dict(room) for room in outlook(scale=False).nodes]
    room = total(nodes)
    demand = bundles(spec, room, nodes)
    concurrent = spec.max_concurrent or max(
        1, int(room.get("CPU", 1) / max(0.01, sum(b.get("CPU", 0) for b in demand)))
    )
    # What a trial has died of is told in its line, and lies in its run.
    logging.getLogger("ray.tune").setLevel(logging.CRITICAL)
    logging.getLogger("ray.train").setLevel(logging.CRITICAL)
    # Ours tells how to go on.
    os.environ["TUNE_DISABLE_SIGINT_HANDLER"] = "1"
    # Data is looked for where the sweep was started.
    os.environ["RAY_CHDIR_TO_TRIAL_DIR"] = "0"
    # A line a trial is ours.
    os.environ["RAY_AIR_NEW_OUTPUT"] = "0"
    trainable: Any = tune.with_resources(
        tune.with_parameters(run_trial, sweep=spec, folder=str(folder)),
        tune.PlacementGroupFactory(demand),
    )
    mode = "min" if lower_is_better(spec.metric.partition(".")[2]) else "max"
    space, search = search_of(spec, mode)
    stop = Stop(f"sweep {spec.name} stopped. Next: raygan sweep {file} --resume")
    tuner = tune.Tuner(
        trainable,
        param_space=space,
        tune_config=tune.TuneConfig(
            metric="metric", mode=mode, search_alg=search, scheduler=scheduler_of(spec),
            max_concurrent_trials=concurrent, num_samples=spec.samples if search is not None else 1,
            trial_dirname_creator=lambda trial: str(trial.trial_id), reuse_actors=True,
        ),
        run_config=tune.RunConfig(
            name="tune", storage_path=str(folder), verbose=0, callbacks=_callbacks(spec, stop),
            log_to_file=True,
        ),
    )  # fmt: skip
    with stop:
        results = tuner.fit()
    # Ray puts a traceback before it, whose last line is what was raised.
    return [str(e).strip().splitlines()[-1].strip()[:300] for e in results.errors]


def bundles(
    spec: Sweep, room: dict[str, float], nodes: list[dict[str, float]]
) -> list[dict[str, float]]:
    """What one trial asks of the cluster: its own process, and a bundle a player. Raises
    InfeasibleError.
    """
    if spec.executor == "inline":
        if room.get("CPU", 0.0) < 1:
            raise InfeasibleError(
                f"a trial needs 1 CPU, the cluster has {room.get('CPU', 0):g}. Add nodes."
            )
        return [{"CPU": 1.0}]
    points = spec.points() or [{}]
    # The driver may be on any of them.
    less = [{**n, "CPU": n.get("CPU", 0.0) - DRIVER_CPUS} for n in nodes]
    largest: list[dict[str, float]] = []
    for point in points:
        config = spec.resolved(point).config
        found = place(
            num_processes(config),
            config.resources,
            {**room, "CPU": room.get("CPU", 0.0) - DRIVER_CPUS},
            less,
        ).bundles
        # Tune has one demand for all trials, so the largest trial's.
        largest = max(largest, found, key=len)
    return [{"CPU": DRIVER_CPUS}, *largest]


class Stop:
    """SIGINT, SIGTERM and SIGHUP end the sweep at Tune's next step; what its trials have saved
    stays. A second one ends it at once.

    The handler only takes note: an exception out of it may land inside Ray's compiled code, which
    makes a SystemError of it.
    """

    def __init__(self, next_move: str) -> None:
        self.next_move, self.signum = next_move, 0

    def __enter__(self) -> Stop:
        self.before = {s: signal.signal(s, self._note) for s in wanted()}
        return self

    def __exit__(self, *_: object) -> None:
        for signum, old in self.before.items():
            signal.signal(signum, old)

    def _note(self, signum: int, frame: object) -> None:
        self.signum = signum
        # Ours away at the first signal: the second one does what it always did, and ends the
        # process.
        self.__exit__()
        if signum == signal.SIGHUP:  # a terminal that is closed sends two
            signal.signal(signum, signal.SIG_IGN)

    def check(self) -> None:
        """Raises Interrupted where a signal has come."""
        if self.signum:
            raise Interrupted(self.signum, self.next_move)


def _callbacks(spec: Sweep, stop: Stop) -> list[Any]:
    return [teller(len(spec.points()) if spec.search == "grid" else spec.samples, stop)]


def teller(count: int, stop: Stop) -> Any:
    """One plain line a trial that has ended, and the sweep's end where a signal has come."""
    from ray import tune

    class Teller(tune.Callback):
        """Counts them."""

        def __init__(self) -> None:
            self.ended = 0

        def on_step_begin(self, iteration: int, trials: Any, **info: Any) -> None:
            stop.check()

        def on_trial_complete(self, iteration: int, trials: Any, trial: Any, **info: Any) -> None:
            metric = trial.last_result.get("metric", WORST)
            score = "no score" if abs(metric) >= WORST else f"metric {metric:.4g}"
            self._tell(trial, f"step {trial.last_result.get('step')}  {score}")

        def on_trial_error(self, iteration: int, trials: Any, trial: Any, **info: Any) -> None:
            self._tell(trial, "failed")

        def _tell(self, trial: Any, text: str) -> None:
            self.ended += 1
            print(f"{self.ended}/{count}  {trial_name(trial.config['point'])}  {text}", flush=True)

    return Teller()
