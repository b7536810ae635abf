"""What another number of steps does to a run's schedules: nothing. A rate that has fallen does not
jump when a run is made longer.

A schedule without a length of its own takes the steps that the run was begun with; from there on
its end values stay.
"""

from __future__ import annotations

from pathlib import Path

from raygan.config import Config
from raygan.controller.bucket_copies import typed
from raygan.strategies.base import pair_name

WARNING = "W109 schedule-over"


def stands_still(config: Config) -> bool:
    """Do all rates end at 0, so that steps after the schedule's end change no weight?"""
    pairs = [config.of(pair_name(i)).pair for i in config.ids]
    return all(pair.rates.lr == 0 for pair in pairs)


def to_go_on(config: Config, path: Path, more: int = 1000) -> str:
    """The command by which a run that is done learns for so many steps more."""
    if stands_still(config):
        return _stretch(path, config.steps + more)
    return f"raygan resume {typed(path)} --steps +{more}"


def _stretch(path: Path, steps: int) -> str:
    return f"raygan train --resume {typed(path)} --steps {steps} --pair.schedule.steps {steps}"


def with_schedules_of(was: Config, now: Config, path: Path) -> tuple[Config, str]:
    """`now` with schedules that end where those of `was` end; a line about it, "" where steps are
    as before or nothing moves.

    `was`: as the run folder has it; `now`: with which the run goes on.
    """
    moving = sorted({name for i in now.ids for name in now.of(pair_name(i)).pair.moving})
    length = now.pair.schedule.steps or was.pair.schedule.steps
    if not moving or (length is None and was.steps == now.steps):
        return now, ""
    length = length or was.steps
    schedule = now.pair.schedule.model_copy(update={"steps": length})
    config = now.model_copy(update={"pair": now.pair.model_copy(update={"schedule": schedule})})
    # no step lies behind the schedule's end, so that there is nothing to tell
    if length >= now.steps or was.steps == now.steps:
        return config, ""
    return (
        config,
        (
            f"the schedule of pair.{', '.join(moving)} takes {length} steps, and its end values"
            f" stay up to step {now.steps}"
            + (" (a rate of 0: nothing is learned there)" if stands_still(now) else "")
            + f". To stretch it (a rate jumps then): {_stretch(path, now.steps)}"
        ),
    )
