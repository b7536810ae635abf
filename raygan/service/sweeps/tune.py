"""`raygan sweep FILE`: Ray Tune over a sweep file's points; then the table, the pictures, and the
best config as a preset.
"""

from __future__ import annotations

import logging
import os
import shutil
import signal
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from raygan.actors.placement import place
from raygan.errors import ConfigError, DataError, InfeasibleError, Interrupted, RayganError
from raygan.metrics.ranking import lower_is_better
from raygan.own.importing import refuse_while_loading
from raygan.service.signals import wanted
from raygan.service.sweeps.checks import asked_for, check_metric, lives_apart
from raygan.service.sweeps.file import Sweep
from raygan.service.sweeps.folder import begin
from raygan.service.sweeps.naming import trial_name
from raygan.service.sweeps.reporter import WORST
from raygan.service.sweeps.search import scheduler_of, search_of
from raygan.service.sweeps.source import SweepSource, how_to_go_on
from raygan.service.sweeps.trial import CLAIMS, run_trial
from raygan.strategies.base import num_processes

DRIVER_CPUS = 0.01
"""Of a trial whose players are actors: its own process only decides."""


def sweep(
    file: SweepSource, *, run_dir: Path = Path("runs"), resume: bool = False, address: str = "auto",
    max_concurrent: int | None = None, samples: int | None = None, track: str | None = None,
) -> Path:  # fmt: skip
    """Run a sweep; returns its folder. Raises ConfigError, InfeasibleError, Interrupted (go on
    with `resume`), TrialsFailed once all have been tried. track: trackers of every trial, with
    commas, instead of the file's.
    """
    refuse_while_loading("sweep")
    spec, folder = asked_for(
        file, run_dir=run_dir, resume=resume, max_concurrent=max_concurrent, samples=samples,
        track=track,
    )  # fmt: skip
    from raygan.actors.cluster import cluster

    with cluster(address, 512):
        if lives_apart(spec):
            check_metric(spec, file, folder, inline=False)
        begin(folder, spec, resume)
        # of an earlier start: its trials have other ids
        shutil.rmtree(folder / CLAIMS, ignore_errors=True)
        errors = _fit(spec, folder.resolve(), file)
    if errors:
        raise TrialsFailed(folder, what_failed(spec, folder, file, errors))
    return folder


class TrialsFailed(RayganError):
    """Some of a sweep's trials; what the others have found is in its folder."""

    def __init__(self, folder: Path, text: str) -> None:
        super().__init__(text)
        self.folder = folder


def what_failed(spec: Sweep, folder: Path, file: SweepSource, errors: Sequence[Exception]) -> str:
    """How many trials, the first one's reason, and what may help."""
    # Ray puts a traceback before it, whose last line is what was raised.
    first = str(errors[0]).strip().splitlines()[-1].strip()[:300].rstrip(".")
    # Data that are not there may come; a setting that is wrong stays so.
    if all(isinstance(e, ConfigError) and not isinstance(e, DataError) for e in errors):
        move = f"Mend {file}, and give the sweep another name"
    else:
        move = f"`{how_to_go_on(file)}` tries them again, which helps where a machine was at fault"
    return (
        f"sweep {spec.name}: {len(errors)} of its trials failed, the first: {first}. Their runs are"
        f" in {folder / 'runs'}; the table has all others. {move}."
    )


def _fit(spec: Sweep, folder: Path, file: SweepSource) -> list[Exception]:
    from ray import tune

    from raygan.actors.capacity import outlook, total

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
    stop = Stop(f"sweep {spec.name} stopped. Next: {how_to_go_on(file)}")
    tuner = tune.Tuner(
        trainable,
        param_space=space,
        tune_config=tune.TuneConfig(
            metric="metric", mode=mode, search_alg=search, scheduler=scheduler_of(spec),
            max_concurrent_trials=at_once(spec, concurrent),
            num_samples=spec.samples if search is not None else 1,
            trial_dirname_creator=lambda trial: str(trial.trial_id), reuse_actors=True,
        ),
        run_config=tune.RunConfig(
            name="tune", storage_path=str(folder), verbose=0, callbacks=_callbacks(spec, stop),
            log_to_file=True,
        ),
    )  # fmt: skip
    with stop:
        results = tuner.fit()
    return list(results.errors)


def at_once(spec: Sweep, room: int) -> int | None:
    """What Tune is told of trials at a time; None: it looks at the room alone."""
    # Tune counts paused trials too: with so few as there is room for, hyperband would never have
    # one to compare with.
    return None if spec.scheduler == "hyperband" and not spec.max_concurrent else room


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
        """Tells how many trials have begun and ended."""

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
