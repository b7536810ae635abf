"""What is asked of a sweep, with all that can be refused before anything starts."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from raygan.config import Config, dotted
from raygan.controller.evaluator import Evaluator
from raygan.controller.jsonl import NOTES
from raygan.errors import ConfigError, did_you_mean
from raygan.own.inside import settled_here
from raygan.own.names import is_own
from raygan.service.places import outlined
from raygan.service.runs.changes import FREE
from raygan.service.runs.identity import settled
from raygan.service.sweeps.file import Sweep, read_sweep
from raygan.service.sweeps.folder import STORED, exists_already, read_stored, refuse_running_sweep
from raygan.service.sweeps.known import changed_data, known
from raygan.service.sweeps.reporter import named_by
from raygan.service.sweeps.search import MODULES, NEEDS, longest, unstopped
from raygan.service.sweeps.source import SweepSource
from raygan.service.tracking.listener import trackers_of
from raygan.strategies.base import Setup
from raygan.strategies.sources import component_of
from raygan.trackers.base import installed


def asked_for(
    file: SweepSource, *, run_dir: Path = Path("runs"), resume: bool = False,
    max_concurrent: int | None = None, samples: int | None = None, track: str | None = None,
) -> tuple[Sweep, Path]:  # fmt: skip
    """(The sweep of a file with what is asked for instead, its folder). Raises ConfigError. A dry
    run asks here, too: what it approves begins.
    """
    spec = read_sweep(file, samples)
    if max_concurrent is not None:
        spec = spec.model_copy(update={"max_concurrent": max_concurrent})
    if track is not None:
        spec = spec.tracked(settled_here({"track": track}, Path())["track"])
    folder = run_dir / spec.name
    check(spec, file, folder)
    if folder.exists() and not resume:
        raise exists_already(folder)
    refuse_running_sweep(folder)
    stored = folder / STORED
    if resume and stored.exists() and (what := changed(read_stored(folder), spec)):
        raise ConfigError(
            f"{file}: its {what} not that of {str(folder)!r}: some trials would be of the one, some"
            " of the other. Give the sweep another name."
        )
    if resume and (differs := changed_data(spec, folder)):
        raise ConfigError(
            f"sweep folder {str(folder)!r}: {differs} Put those data back, or give the sweep"
            " another name."
        )
    return spec, folder


def check(spec: Sweep, file: SweepSource, folder: Path) -> None:
    """Is what the file asks for there, and measured? Raises ConfigError."""
    if (needed := NEEDS.get(spec.search)) and not installed(MODULES.get(needed, needed)):
        raise ConfigError(
            f"{file}: {spec.search} is not installed. `pip install {needed}`, or take it out of"
            " the file."
        )
    try:
        # Refuses what is not installed.
        trackers_of(first(spec))
    except ConfigError as error:
        raise ConfigError(f"{file}: {error}") from None
    if not lives_apart(spec):
        check_metric(spec, file, folder)
    tell_saves(spec)
    tell_compared(spec)


def tell_compared(spec: Sweep) -> None:
    """hyperband's first trials are never stopped, and with `max_concurrent` these may be all."""
    if spec.scheduler != "hyperband" or not spec.max_concurrent:
        return
    if spec.max_concurrent <= (first := unstopped(longest(spec)[0])):
        NOTES.warning(
            "scheduler hyperband: max_concurrent = %d: paused trials count, and of %d at a time"
            " none is stopped early. Raise it, or leave it out: then the cluster's room decides",
            spec.max_concurrent,
            first,
        )


def tell_saves(spec: Sweep) -> None:
    """With PBT a run may be saved at other steps than the file says (`Sweep.fitted`)."""
    point = next(spec.walk())
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


def lives_apart(spec: Sweep) -> bool:
    """Are the data parts that no process but their pairs' may hold? What is measured on them can be
    asked once there is a Ray.
    """
    return spec.executor == "ray" and not component_of(first(spec)).whole


def first(spec: Sweep) -> Config:
    """The config of the first trial."""
    return settled(spec.resolved(next(spec.walk()))).config


def check_metric(spec: Sweep, file: SweepSource, folder: Path, inline: bool = True) -> None:
    """Is the metric measured, and on the way too where a schedule needs it? Raises ConfigError.
    inline: parts that nobody holds as a whole are read here.
    """
    config = first(spec)
    data = outlined(config, inline, known(folder, config))
    evaluator = Evaluator(Setup(config, data, torch.device("cpu")))
    score = spec.metric.partition(".")[2]
    at_the_end, on_the_way = named_by(evaluator.full), named_by(evaluator.quick)
    if score not in at_the_end:
        raise ConfigError(
            f"{file}: metric {spec.metric!r}: no score {score!r} is measured."
            f" {did_you_mean(score, at_the_end)}"
        )
    # ASHA and PBT compare trials while they train
    if spec.scheduler != "none" and score not in on_the_way:
        raise ConfigError(
            f"{file}: metric {spec.metric!r} is measured at the last step only; scheduler"
            f" {spec.scheduler} needs one of: {', '.join(on_the_way)}."
        )
