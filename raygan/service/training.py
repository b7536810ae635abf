"""Begin a run: from a resolved config to a finished run folder.

    refuse -> data -> networks and scores fit -> Ray -> run folder -> drive

Everything that can be refused is refused before the folder is there: a run that could never have
trained leaves nothing behind, not even its name.
"""

from __future__ import annotations

import json
import shlex
import time
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from raygan.config import Config, Resolved, full_dump
from raygan.controller.bucket_copies import (
    address_of,
    forget,
    runs_folder,
    shown,
    storage_of,
    taken,
)
from raygan.controller.checkpoint import Checkpoint, write_checkpoint
from raygan.controller.files import say
from raygan.controller.journal import Journal
from raygan.controller.listener import Heard, Listener
from raygan.controller.new_run import NameTaken
from raygan.controller.run_folder import RunFolder, find_run
from raygan.controller.run_format import born
from raygan.data.base import Samples
from raygan.data.reading import stand_in
from raygan.errors import (
    ConfigError,
    DataError,
    StaleEpochError,
)
from raygan.gan.device import chosen
from raygan.own import trust
from raygan.own.importing import refuse_while_loading
from raygan.own.names import label
from raygan.service.autopack import settle
from raygan.service.driving import data_facts, drive
from raygan.service.places import (
    check_abroad,
    check_placement,
    hosting,
    outlined,
    parted,
    room_for_actors,
)
from raygan.service.resuming import resume_run
from raygan.service.runs.alive import who
from raygan.service.runs.changes import changes
from raygan.service.runs.code import load_config, tell_objects, use_code, write_code
from raygan.service.runs.identity import differing, identity, settled
from raygan.service.runs.naming import fresh_name, point_latest
from raygan.service.runs.provenance import provenance
from raygan.service.runs.run import Run
from raygan.service.runs.warm_start import sources, starting_point
from raygan.service.scores.fitting import refuse_misfits
from raygan.service.scores.required import refuse_unscored
from raygan.service.tracking.listener import trackers_of
from raygan.strategies.base import Setup, strategy_of
from raygan.strategies.partition import to_come
from raygan.strategies.sources import component_of
from raygan.watching import tell


def train(
    resolved: Resolved, *, run_dir: Path = Path("runs"), name: str | None = None,
    address: str = "auto", inline: bool = False, resume: str | None = None,
    listeners: Sequence[Listener | Heard] | None = None, command: str | None = None,
    strict: bool = False, trust_code: bool = False, require: str | None = None,
    known: Mapping[str, Any] | None = None,
) -> Run:  # fmt: skip
    """Run a config; returns the finished run. Raises a RayganError, with the run folder telling how
    it ended.

    resume: "auto" goes on with `run_dir/name` where it exists, and starts it otherwise; a path goes
    on with that run. strict: never on another machine, or with other versions, than it was last
    written with. known: run.json of another run on these data, which are not asked about; a
    DataError where they are others now.
    """
    refuse_while_loading("raygan.service.training.train")
    # Paths become absolute here, once: actors, jobs and whoever resumes stand in other folders.
    resolved = settled(resolved)
    _refuse_name(name, resume)
    run_dir = runs_folder(run_dir)
    if (path := _there_already(run_dir, name, resume)) is not None:
        found = find_run(path)  # once: of a run in a bucket it is brought
        stored = load_config(found)
        # Before the settings are compared: an own part that may not run is said first.
        use_code(found, stored, trust_code)
        return resume_run(
            found, address=address, inline=inline, listeners=listeners,
            overrides=changes(resolved, stored), strict=strict, require=require,
        )  # fmt: skip
    config = resolved.config
    if name is not None:
        RunFolder.refuse(run_dir, name)  # before Ray is started, and data are read
    # What costs nothing to find out comes before the data are read, which may take minutes.
    trackers_of(config)  # refuses what is not installed
    if inline:
        chosen(config.device)  # refuses a GPU that is not there
    tell_objects(config, inline)
    tell(f"reading {label(config.data['name'])}")
    strategy = strategy_of(config)
    strategy.check_new(config)
    trained = sources(config)
    # Sources that nobody has as a whole are read where pairs live: only once Ray is up.
    early = inline or component_of(config).whole
    ready = _ready(config, inline, trained, require, known) if early else None
    with hosting(config, address, inline):
        data, setup, begin, origins = ready or _ready(config, inline, trained, require, known)
        packs: dict[str, Any] = {}
        tell("making the run")
        # Measured on this machine, and its number goes into the run's config: a run that is
        # resumed elsewhere must be packed, and so rounded, as it began (decision 32).
        if config.resources.pairs_per_actor == "auto":
            config, packs = settle(setup, 1 if inline else room_for_actors(config))
        if not inline:
            check_placement(config)
            check_abroad(config)
        # of members to come as well: a joiner's share must not depend on when it joins
        data = parted(config, data, inline, known, to_come(config))
        if known and (differs := differing(known, data)):
            raise DataError(f"{differs} Put those data back.")
        new = _New(config, resolved, data, command, packs, begin, origins)
        folder, journal, started = _made(run_dir, name, new)
        point_latest(folder.path)
        return drive(config, folder, journal, data, inline, started, listeners or [])


def _refuse_name(name: str | None, resume: str | None) -> None:
    """Raises ConfigError where `resume` needs a name, or has one already."""
    if resume == "auto" and name is None:
        raise ConfigError("--resume auto needs --name: it goes on with that run, or starts it.")
    if resume not in (None, "auto") and name is not None:
        raise ConfigError(
            f"--name {name!r} with --resume {resume!r}: that run has its name. Leave one of them"
            " out."
        )


def _there_already(run_dir: Path, name: str | None, resume: str | None) -> str | None:
    """The run that `resume` goes on with; None where a new one begins."""
    if resume != "auto":
        return resume
    path = run_dir / str(name)
    return shown(path) if taken(path) else None


@dataclass(frozen=True)
class _New:
    """What a run is made of, before it has a folder."""

    config: Config
    resolved: Resolved
    data: Samples
    command: str | None
    packs: dict[str, Any]
    """How its pairs were found to fit into actors; {}: as the config says."""
    begin: Checkpoint | None
    """`start_from`'s; None: it begins at nothing."""
    origins: list[dict[str, Any]]


def _made(
    run_dir: Path, given: str | None, new: _New
) -> tuple[RunFolder, Journal, Checkpoint | None]:
    """Its folder, its journal and the checkpoint that it begins from. Raises NameTaken where the
    name that was given is somebody else's by now.
    """
    while True:
        # As late as this: whoever trains beside us has made its folder meanwhile, and is numbered.
        name = given or fresh_name(run_dir, new.config)
        try:
            with RunFolder.being_made(run_dir, name) as folder:
                _write(folder, name, new)
                journal = _begun(run_dir / name, folder.path)
                started = _started(folder, journal, new.begin, new.origins)
            break
        except NameTaken:
            if given:
                raise
    # The folder has its name by now, and the journal was opened under the hidden one.
    journal.storage = storage_of(folder.path)
    return folder, journal, started


def _ready(
    config: Config, inline: bool, trained: Sequence[tuple[Run, str]], require: str | None,
    known: Mapping[str, Any] | None,
) -> tuple[Samples, Setup, Checkpoint | None, list[dict[str, Any]]]:  # fmt: skip
    """The data, what is built from them, and the checkpoint that it begins from, with its origins;
    networks and scores fit. Raises a RayganError.
    """
    strategy = strategy_of(config)
    data = outlined(config, inline, known)
    tell("checking the networks and the scores")
    setup = Setup(config, stand_in(data), torch.device("cpu"))
    setup.parts(strategy.players(config)[0])  # refuses what cannot be built
    refuse_misfits(setup, strategy.players(config))
    strategy.check_setup(setup)
    refuse_unscored(setup, require)
    # Other runs' checkpoints are read before Ray is started: one that is damaged ends it here.
    begin, origins = starting_point(setup, trained) if trained else (None, [])
    return data, setup, begin, origins


def _write(folder: RunFolder, name: str, new: _New) -> None:
    """What a run is: its settings, its code, its first run.json."""
    config, data = new.config, new.data
    folder.write("config.yaml", new.resolved.yaml())
    folder.write("config.json", json.dumps(full_dump(config), indent=1) + "\n")
    write_code(folder.path, config.code)
    trust.remember(config.code)
    # as it was typed: line breaks in it are the user's, bytes that are no text are spelled out
    typed = (new.command or "raygan.train(...)").encode("utf-8", "backslashreplace")
    folder.write("command.txt", typed.decode() + "\n")
    folder.status(
        id=uuid.uuid4().hex[:12], name=name, status="starting", **who(),
        created=time.time(), shape=data.shape, data=identity(data),  # noqa: TID251  shown only
        roster=strategy_of(config).players(config), alphabet=data.text, **data_facts(data),
        **born(provenance(), time.time()),  # noqa: TID251  shown only
        **({"packs": new.packs} if new.packs else {})
    )  # fmt: skip


def _started(
    folder: RunFolder, journal: Journal, begin: Checkpoint | None, origins: list[dict[str, Any]]
) -> Checkpoint | None:
    """The origins' records and `start_from`'s checkpoint are in the journal before the folder gets
    its name: killed in between, it is no run (decision 53).
    """
    if begin is not None:
        begin = write_checkpoint(journal, begin)
    for origin in origins:
        journal.append("origin", step=0, **origin)
        folder.event("origin", 0, **origin)
    # 64 KiB for the last words of a run whose disk fills up (decision 54).
    folder.telemetry.reserve()
    return begin


def _begun(path: Path, folder: Path) -> Journal:
    """The journal of a new run: in its folder, or in the bucket, where whoever makes the first
    epoch has the name. Raises NameTaken, ConfigError.
    """
    if (address := address_of(path)) is None:
        return Journal.open(storage_of(folder))
    try:
        journal = Journal.open(storage_of(path), after=0)
        forget(path)
        return journal
    except StaleEpochError:
        raise NameTaken(
            f"run folder: {address!r} exists already: somebody else has just made it. Choose"
            f" another --name, or `raygan resume {shlex.quote(address)}`."
        ) from None
    except OSError as error:
        raise ConfigError(f"{address}: it cannot be written ({say(error)}).") from None
