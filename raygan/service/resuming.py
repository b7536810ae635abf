"""Go on with a run from its newest checkpoint that is whole.

    refuse -> config, code, steps -> newest checkpoint -> data -> networks fit -> Ray -> fence
           -> drive

What can be refused is refused before Ray is started and before the journal is opened: opening it
takes the run from whoever writes it.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from raygan.config import Config, full_dump
from raygan.controller.bucket_copies import (
    shown,
    storage_of,
    to_write,
    typed,
)
from raygan.controller.checkpoint import Checkpoint, newest_valid
from raygan.controller.checkpoint_index import open_journal
from raygan.controller.files import refuse_unwritable
from raygan.controller.jsonl import NOTES
from raygan.controller.listener import Heard, Listener, as_listener
from raygan.controller.listener_guard import tell_done
from raygan.controller.run_folder import RunFolder, find_run
from raygan.controller.run_format import WARNING, compare, resumed
from raygan.data.base import Samples
from raygan.errors import (
    CheckpointError,
    ConfigError,
    DataError,
)
from raygan.gan.bundle import unpack
from raygan.own import trust
from raygan.own.importing import refuse_while_loading
from raygan.own.names import label
from raygan.service.driving import drive
from raygan.service.places import check_abroad, hosting, parted
from raygan.service.runs import schedules
from raygan.service.runs.alive import is_done, refuse_running, who
from raygan.service.runs.code import load_config, other_code, use_code, write_code
from raygan.service.runs.identity import identity, known_data, other_data, parts_told, rooted
from raygan.service.runs.provenance import provenance
from raygan.service.runs.run import Run
from raygan.service.scores.required import refuse_unscored
from raygan.service.tracking.listener import trackers_of
from raygan.strategies.base import Setup, strategy_of
from raygan.strategies.roles import number_of
from raygan.strategies.sources import sources_of
from raygan.watching import tell


def resume_run(
    path: str | Path, *, extra_steps: int = 0, address: str = "auto", inline: bool | None = None,
    listeners: Sequence[Listener | Heard] | None = None, overrides: Config | None = None,
    strict: bool = False, trust_code: bool = False, new_code: bool = False, new_data: bool = False,
    require: str | None = None,
) -> Run:  # fmt: skip
    """Go on with a run from its newest valid checkpoint. Raises CheckpointError when there is none.

    `overrides` replaces the run's config: the checkpoint is refused where it builds another
    architecture. trust_code: its own parts may run as they lie in the run folder; new_code: as
    their files are now. new_data: on what its data set holds now, where that is not what the run
    was made on (else a DataError).
    """
    refuse_while_loading("resume_run")
    folder = RunFolder(find_run(path))
    refuse_running(folder.path)
    # Of a run in a bucket: its local side, from which what it tells is sent.
    folder.path = to_write(folder.path)
    refuse_unwritable(folder.path, "resumed")
    info, here = Run(folder.path).info, provenance()
    # Before anything is read or written: with --strict another torch is a refusal, for lockstep
    # promises bits only on one machine with one set of versions.
    moved = compare(folder.path, info, here, strict)
    config, changed, over = _config_to_go_on(
        folder.path, overrides, extra_steps, trust_code, new_code
    )
    checkpoint, problems = _newest(folder.path)
    listeners = listeners or []
    if inline is None:
        # As it ran before: who trained without Ray may have none.
        inline = info.get("executor") == "inline"
    if checkpoint is not None:
        config = with_members(config, checkpoint, folder.path)
    data, why = _data_to_go_on(folder.path, info, config, new_data)
    if require:
        refuse_unscored(Setup(config, data, torch.device("cpu")), require)
    if checkpoint is not None:
        _refuse_fewer_steps(checkpoint, config)
        refuse_other_networks(checkpoint, Setup(config, data, torch.device("cpu")))
        if not problems and is_done(folder.path, checkpoint, config):
            tell_done(map(as_listener, listeners), folder.path, config.steps)
            return Run.load(folder.path)
    with hosting(config, address, inline):
        if not inline:
            check_abroad(config)
        data = parted(config, data, inline, None if new_data else info)
        if sources_of(config):
            data = with_those_to_come(config, data, info, checkpoint)
        # Once more: parts of the data that only their pairs' machines see are known from here on.
        why = why or _accepted(folder.path, info, data, new_data)
        # Whoever wrote the run until now can commit nothing more (decision 19). What it committed
        # between our look and this fence counts: so the newest checkpoint is asked for again.
        journal = open_journal(storage_of(folder.path))
        checkpoint, found = newest_valid(folder.path)
        problems = list(dict.fromkeys([*problems, *found]))  # a lost journal is one no more
        # From here on nothing is written once somebody else has taken the run.
        folder.fence = journal.glance
        folder.telemetry.reserve()
        if extra_steps or overrides or changed:
            write_code(folder.path, config.code)
            folder.write("config.json", json.dumps(full_dump(config), indent=1) + "\n")
        begin = checkpoint or Checkpoint(0, {}, {})
        step, swapped = begin.step, begin.extra.get("swapped", {})
        # At once: whoever looks must not take the end of the life before for the end of this one.
        folder.status(
            status="starting", **who(), epoch=journal.epoch, exit_code=None, error=None,
            # the clock is for people: nothing is measured by it
            data=identity(data), **resumed(info, here, time.time(), step),  # noqa: TID251
        )  # fmt: skip
        folder.event("resume", step, players=strategy_of(config).players(config), swapped=swapped)
        _tell_changes(folder, step, why, changed)
        notes = {WARNING: moved, schedules.WARNING: over}
        return drive(config, folder, journal, data, inline, checkpoint, listeners, problems, notes)


def _newest(path: Path) -> tuple[Checkpoint | None, list[str]]:
    """(the newest checkpoint that is whole, what is wrong with newer ones). Raises CheckpointError
    where there are some, and none is whole.
    """
    checkpoint, problems = newest_valid(path)
    # None and no problem is a run that was cut before its first checkpoint: it begins again.
    if checkpoint is None and problems:
        raise CheckpointError(
            f"{problems[0]} No other checkpoint in {shown(path)} is whole: start a new run."
        )
    return checkpoint, problems


def _refuse_fewer_steps(checkpoint: Checkpoint, config: Config) -> None:
    """Raises ConfigError where the run has gone further than the config asks for."""
    if (at := max(checkpoint.steps.values(), default=0)) > config.steps:
        raise ConfigError(
            f"steps = {config.steps}: the run is at {at} already. Ask for more, or leave it out."
        )


def _config_to_go_on(
    path: Path, overrides: Config | None, extra_steps: int, trust_code: bool, new_code: bool
) -> tuple[Config, list[str], str]:
    """(the config, what has changed in its own code, a line about its schedules; "" where there is
    nothing to say). Raises ConfigError for code that may not run, or a tracker that is not there.
    """
    config, changed = overrides or rooted(load_config(path)), list[str]()
    if new_code:
        config, changed = other_code(path, config)
        trust.remember(config.code)
    use_code(path, config, trust_code)
    trackers_of(config)  # refuses what is not installed
    if extra_steps:
        config = config.model_copy(update={"steps": config.steps + extra_steps})
    # A rate that has fallen stays where it is: a longer run must not jump back up its schedule.
    config, over = schedules.with_schedules_of(load_config(path), config, path)
    return config, changed, over


def _data_to_go_on(
    path: Path, info: Mapping[str, Any], config: Config, new_data: bool
) -> tuple[Samples, str]:
    """(the run's data, how they differ from what it was made on). Raises DataError."""
    tell(f"reading {label(config.data['name'])}")
    data = known_data(info, config, new_data)
    why = _accepted(path, info, data, new_data)
    if config.data.get("held_out_by") == "tail":
        NOTES.warning(
            "%s: its last samples are held out, as they were when the run began", data.name
        )
    return data, why


def _tell_changes(folder: RunFolder, step: int, data: str, code: Sequence[str]) -> None:
    """What is no longer as the run began, as events: its data, its own code."""
    if data:
        folder.event("data", step, what=data)
    for what in code:
        folder.event("code", step, what=what)


def with_those_to_come(
    config: Config, data: Samples, info: Mapping[str, Any], checkpoint: Checkpoint | None
) -> Samples:
    """With what the run has known of parts whose pairs are to join: their sources are not read
    before. Who has left took its own along.
    """
    seen = {int(n) for n in (checkpoint.extra.get("seen", ()) if checkpoint else ())}
    last = max([*config.ids, *seen])
    later = {pair: part for pair, part in parts_told(info).items() if number_of(pair) > last}
    return replace(data, parts={**data.parts, **later})


def with_members(config: Config, checkpoint: Checkpoint, path: Path) -> Config:
    """The config with the members that the checkpoint has: `raygan scale` may have changed them
    since it was written. Raises ConfigError, or CheckpointError for players of another config.
    """
    if "members" in checkpoint.extra:
        ids = tuple(checkpoint.extra["members"])
        # Whoever scales a run writes `members`; where there are none and the number is another,
        # an editor has changed num_pairs, and the pairs that are missing have no networks.
        if not config.members and config.ids != ids:
            raise ConfigError(
                f"num_pairs = {config.num_pairs}: the run has {len(ids)}. Resume with the config of"
                f" the run, then `raygan scale {typed(path)} --pairs {config.num_pairs}` while it"
                " runs."
            )
        config = config.model_copy(
            update={"members": ids if config.members else (), "num_pairs": len(ids)}
        )
    players = strategy_of(config).players(config)
    if set(checkpoint.parts) != set(players):
        raise CheckpointError(
            f"the checkpoint in {shown(path)} has players {sorted(checkpoint.parts)}, this config"
            f" makes {players}. Resume with the config of the run."
        )
    return config


def refuse_other_networks(checkpoint: Checkpoint, setup: Setup) -> None:
    """Raises CheckpointError where this config's networks are not those of the checkpoint: here,
    in a line, and not in an actor once Ray is up.
    """
    strategy = strategy_of(setup.config)
    for player, raw in checkpoint.parts.items():
        strategy.build(player, setup).restore(unpack(raw))


def _accepted(path: Path, info: Mapping[str, Any], data: Samples, new_data: bool) -> str:
    """How the data differ from what the run was made on; "": they do not. Raises DataError where
    nobody has said that they may.
    """
    why = other_data(info, data)
    if why and not new_data:
        raise DataError(f"run {shown(path)!r}: {why}")
    return why
