"""Start, resume and finish a run: from a resolved config to a finished run folder.

train(config)   check -> load data -> run folder -> executor (inline | Ray) -> controller -> run.json, report
"""

from __future__ import annotations

import contextlib
import io
import itertools
import json
import math
import os
import platform
import re
import signal
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from functools import reduce
from pathlib import Path
from types import FrameType, MappingProxyType
from typing import Any

import torch

from raygan.config import DEFAULT_PRESET, Config, Resolved, full_dump, merge, validate
from raygan.controller.checkpoint import Checkpoint, newest_valid, open_journal, write_checkpoint
from raygan.controller.controller import Controller
from raygan.controller.copies import (
    address_of,
    forget,
    runs_folder,
    shown,
    storage_of,
    taken,
    to_write,
)
from raygan.controller.evaluator import Evaluator
from raygan.controller.files import refuse_unwritable, say
from raygan.controller.inline import InlineExecutor
from raygan.controller.journal import Journal
from raygan.controller.lines import NOTES, Lines, read_info, told_by_a_run
from raygan.controller.listener import Heard, Listener, as_listener
from raygan.controller.mirror import mirror_of
from raygan.controller.notices import SCORES
from raygan.controller.orders import Executor
from raygan.controller.own_listeners import listeners_of
from raygan.controller.run_folder import RunFolder, find_run
from raygan.controller.versions import WARNING, born, compare, resumed
from raygan.data.base import Samples
from raygan.data.odd import oddities
from raygan.data.record import printable
from raygan.errors import (
    CheckpointError,
    ConfigError,
    DataError,
    InfeasibleError,
    Interrupted,
    RayganError,
    StaleEpochError,
    did_you_mean,
)
from raygan.gan.bundle import unpack
from raygan.gan.device import CPU, chosen
from raygan.gan.device import settle as settle_device
from raygan.own import trust
from raygan.own.calling import place, said
from raygan.own.names import is_own, label, short, split
from raygan.service.autopack import not_batched, settle
from raygan.service.runs import schedules
from raygan.service.runs.code import load_config as load_config
from raygan.service.runs.code import other_code, tell_objects, use_code, write_code
from raygan.service.runs.identity import identity, other_data, rooted, settled
from raygan.service.runs.provenance import provenance
from raygan.service.runs.run import Run
from raygan.service.runs.summary import Keeper
from raygan.service.runs.warm_start import sources, starting_point
from raygan.service.scores.fitting import refuse_misfits
from raygan.service.signals import listening
from raygan.service.tracking.listener import Tracking, trackers_of
from raygan.service.views.sheet import sheet
from raygan.service.views.tables import fate
from raygan.strategies.base import Setup, load_data, num_processes, strategy_of, with_data
from raygan.strategies.partition import component_of, sources_of, with_parts
from raygan.watching import tell

LATEST = "latest"
EMPTY: Mapping[str, str] = MappingProxyType({})


def train(
    resolved: Resolved, *, run_dir: Path = Path("runs"), name: str | None = None, address: str = "auto",
    inline: bool = False, resume: str | None = None, listeners: Sequence[Listener | Heard] | None = None,
    command: str | None = None, strict: bool = False, trust_code: bool = False, require: str | None = None,
) -> Run:  # fmt: skip
    """Run a config; returns the finished run. Raises a RayganError, with the run folder telling how
    it ended.

    resume: "auto" goes on with `run_dir/name` where it exists, and starts it otherwise; a path goes
    on with that run. strict: never on another machine, or with other versions, than it was last
    written with.
    """
    resolved = settled(resolved)
    if resume == "auto" and name is None:
        raise ConfigError("--resume auto needs --name: it goes on with that run, or starts it.")
    run_dir = runs_folder(run_dir)
    if resume is not None:
        path = shown(run_dir / str(name)) if resume == "auto" else resume
        if resume != "auto" or taken(run_dir / str(name)):
            found = find_run(path)  # once: of a run in a bucket it is brought
            stored = load_config(found)
            use_code(found, stored, trust_code)
            changed = changes(resolved, stored)
            return resume_run(
                path,
                address=address,
                inline=inline,
                listeners=listeners,
                overrides=changed,
                strict=strict,
                require=require,
            )
    config = resolved.config
    if name is not None:
        RunFolder.refuse(run_dir, name)  # before Ray is started, and data are read
    trackers_of(config)  # refuses what is not installed
    if inline:
        chosen(config.device)  # refuses a GPU that is not there
    tell_objects(config, inline)
    tell(f"reading {label(config.data['name'])}")
    strategy = strategy_of(config)
    trained = sources(config)
    data = load_data(config)
    tell("checking the networks and the scores")
    setup = Setup(config, data, torch.device("cpu"))
    setup.parts(
        strategy.players(config)[0]
    )  # refuse what cannot be built before anything is written
    refuse_misfits(setup, strategy.players(config))
    strategy.check_setup(setup)
    refuse_unscored(setup, require)
    begin, origins = starting_point(setup, trained) if trained else (None, [])
    with _hosting(config, address, inline):
        packs: dict[str, Any] = {}
        tell("making the run")
        if config.resources.pairs_per_actor == "auto":
            config, packs = settle(setup, 1 if inline else _places(config))
        if not inline:
            _check_placement(config)
            _check_abroad(config)
        data = _parted(config, data, inline)
        name = name or fresh_name(run_dir, config)
        with RunFolder.being_made(run_dir, name) as folder:
            folder.write("config.yaml", resolved.yaml())
            folder.write("config.json", json.dumps(full_dump(config), indent=1) + "\n")
            write_code(folder.path, config.code)
            trust.remember(config.code)
            folder.write("command.txt", printable(command or "raygan.train(...)") + "\n")
            folder.status(
                id=uuid.uuid4().hex[:12], name=name, status="starting", created=time.time(), shape=data.shape, data=identity(data),  # noqa: TID251  shown only
                roster=strategy.players(config),
                alphabet=data.text, **told(data), **born(provenance(), time.time()), **({"packs": packs} if packs else {})  # noqa: TID251  shown only
            )  # fmt: skip
            journal = _begun(run_dir / name, folder.path)
            if begin is not None:
                begin = write_checkpoint(journal, begin)
            for origin in origins:
                journal.append("origin", step=0, **origin)
                folder.event("origin", 0, **origin)
            folder.telemetry.reserve()
        journal.storage = storage_of(folder.path)
        point_latest(folder.path)
        return _drive(config, folder, journal, data, inline, begin, listeners or [])


def resume_run(
    path: str | Path, *, extra_steps: int = 0, address: str = "auto", inline: bool | None = None,
    listeners: Sequence[Listener | Heard] | None = None, overrides: Config | None = None, strict: bool = False,
    trust_code: bool = False, new_code: bool = False, new_data: bool = False, require: str | None = None,
) -> Run:  # fmt: skip
    """Go on with a run from its newest valid checkpoint. Raises CheckpointError when there is none.

    `overrides` replaces the run's config: the checkpoint is refused where it builds another
    architecture. trust_code: its own parts may run as they lie in the run folder; new_code: as
    their files are now. new_data: on what its data set holds now, where that is not what the run
    was made on (else a DataError).
    """
    folder = RunFolder(find_run(path))
    refuse_running(folder.path)
    folder.path = to_write(folder.path)
    refuse_unwritable(folder.path, "resumed")
    info, here = Run(folder.path).info, provenance()
    moved = compare(folder.path, info, here, strict)
    config, changed = overrides or rooted(load_config(folder.path)), list[str]()
    if new_code:
        config, changed = other_code(folder.path, config)
        trust.remember(config.code)
    use_code(folder.path, config, trust_code)
    trackers_of(config)  # refuses what is not installed
    if extra_steps:
        config = config.model_copy(update={"steps": config.steps + extra_steps})
    config, over = schedules.kept(load_config(folder.path), config, folder.path)
    checkpoint, problems = newest_valid(folder.path)
    if checkpoint is None and problems:
        raise CheckpointError(
            f"{problems[0]} No other checkpoint in {shown(folder.path)} is whole: start a new run."
        )
    if inline is None:
        inline = read_info(folder.path).get("executor") == "inline"
    if checkpoint is not None and "members" in checkpoint.extra:  # members may have changed since
        ids = tuple(checkpoint.extra["members"])
        if (
            not config.members and config.ids != ids
        ):  # whoever scales a run writes `members`; this was an editor
            raise ConfigError(
                f"num_pairs = {config.num_pairs}: the run has {len(ids)}. Resume with the config of"
                f" the run, then `raygan scale {shown(folder.path)} --pairs {config.num_pairs}` while it"
                " runs."
            )
        config = config.model_copy(
            update={"members": ids if config.members else (), "num_pairs": len(ids)}
        )
    players = strategy_of(config).players(config)
    if checkpoint is not None and set(checkpoint.parts) != set(players):
        raise CheckpointError(
            f"the checkpoint in {shown(folder.path)} has players {sorted(checkpoint.parts)}, this config"
            f" makes {players}. Resume with the config of the run."
        )
    tell(f"reading {label(config.data['name'])}")
    data = load_data(config)
    if (why := other_data(info, data)) and not new_data:
        raise DataError(f"run {shown(folder.path)!r}: {why}")
    if config.data.get("held_out_by") == "tail":
        NOTES.warning(
            "%s: its last samples are held out, as they were when the run began", data.name
        )
    if require:
        refuse_unscored(Setup(config, data, torch.device("cpu")), require)
    if checkpoint is not None:  # refuse another architecture here, not in an actor
        for player, raw in checkpoint.parts.items():
            strategy_of(config).build(player, Setup(config, data, torch.device("cpu"))).restore(
                unpack(raw)
            )
        if not problems and is_done(folder.path, checkpoint, config):
            for listener in map(as_listener, listeners or []):
                listener.done_already(folder.path, config.steps)
            return Run.load(folder.path)
    with _hosting(config, address, inline):
        if not inline:
            _check_abroad(config)
        data = _parted(config, data, inline)
        if (other := other_data(info, data)) and not new_data:
            raise DataError(f"run {shown(folder.path)!r}: {other}")
        why = why or other
        journal = open_journal(
            storage_of(folder.path)
        )  # whoever wrote it until now can commit nothing more
        checkpoint, found = newest_valid(folder.path)
        problems = list(dict.fromkeys([*problems, *found]))  # a lost journal is one no more
        folder.fence = journal.glance
        folder.telemetry.reserve()
        if extra_steps or overrides or changed:
            write_code(folder.path, config.code)
            folder.write("config.json", json.dumps(full_dump(config), indent=1) + "\n")
        swapped = checkpoint.extra.get("swapped", {}) if checkpoint else {}
        folder.status(
            data=identity(data),
            **resumed(info, here, time.time(), checkpoint.step if checkpoint else 0),  # noqa: TID251
        )
        folder.event(
            "resume", checkpoint.step if checkpoint else 0, players=players, swapped=swapped
        )
        if why:
            folder.event("data", checkpoint.step if checkpoint else 0, what=why)
        for what in changed:
            folder.event("code", checkpoint.step if checkpoint else 0, what=what)
        notes = {WARNING: moved, schedules.WARNING: over}
        return _drive(
            config, folder, journal, data, inline, checkpoint, listeners or [], problems, notes
        )


def _drive(
    config: Config, folder: RunFolder, journal: Journal, data: Any, inline: bool, checkpoint: Checkpoint | None,
    heard: Sequence[Listener | Heard], problems: Sequence[str] = (), notes: Mapping[str, str] = EMPTY,
) -> Run:  # fmt: skip
    device = inline_device(config) if inline else CPU
    setup = Setup(config, data, device)

    def make_executor() -> Executor:
        if inline:
            return InlineExecutor(setup)
        from raygan.actors.executor import RayExecutor

        return RayExecutor(folder.path.name, setup)

    watching = [Tracking(config, folder.path, data)] if config.track else []
    listeners = [*map(as_listener, heard), *listeners_of(config), Keeper(folder.path), *watching]
    if not inline and config.resources.hub:
        from raygan.actors.hub import HubLink

        listeners = [*listeners, HubLink(folder.path.name, folder.path)]
    mirrors = mirror_of(folder, journal)
    for mirror in mirrors:
        listeners, folder.mirror = [*listeners, mirror], mirror.push
    controller = Controller(config, folder, make_executor, listeners, setup.num_samples, journal)
    if not (folder.path / "data.png").exists() and (drawn := sheet(data)) is not None:
        folder.telemetry.keep({"data.png": drawn})
    folder.status(
        pid=os.getpid(), host=platform.node(), epoch=journal.epoch, started=time.time(), exit_code=None, error=None,  # noqa: TID251  shown only
        total_steps=config.steps,
    )  # fmt: skip
    end: dict[str, Any] = {}
    try:
        with _signals(controller):
            for listener in listeners:
                listener.begin(controller)
                listener.read([*(data.record.lines() if data.record else []), *part_lines(data)])
            controller.log.warn_checkpoints(problems)
            for name, text in notes.items():
                if text:
                    controller.log.warn(name, text)
                    for listener in listeners:
                        listener.note(name, text)
            for odd in oddities(data):
                controller.log.warn("W108 odd-data", odd)
                NOTES.warning("W108 odd-data: %s", odd)
            if slow := not_batched(setup):
                controller.log.warn(
                    "W107 not-batched",
                    f"{slow[0]} pairs in one actor train one after the other: {slow[1]}",
                )
            controller.run(checkpoint)
        degraded = {
            p: why
            for p, why in controller.state.failures.degraded.items()
            if p not in controller.state.players
        }
        end = (
            {"status": "degraded", "exit_code": 4, "degraded": degraded}
            if degraded
            else {"status": "done", "exit_code": 0}
        )
    except RayganError as error:
        status = "stopped" if isinstance(error, Interrupted) else "failed"
        end = {"status": status, "exit_code": error.exit_code, "error": str(error)}
        raise
    except OSError as error:  # not of telemetry: nothing more can be committed
        if isinstance(error, ConnectionError | TimeoutError):
            raise
        text = (
            f"stopped ({say(error)}). What was committed is kept. Make room there; then: raygan"
            f" resume {shown(folder.path)}"
        )
        end = {"status": "stopped", "exit_code": 1, "error": text}
        raise RayganError(text) from None
    except Exception as error:
        text = f"{type(error).__name__}: {error}"
        end = {"status": "failed", "exit_code": 1, "error": text}
        if not (at := place(error)):
            raise
        raise RayganError(
            f"{at}: {said(error)}. It is in your own code; what was committed is kept."
        ) from error
    except BaseException as error:
        end = {"status": "failed", "exit_code": 1, "error": f"{type(error).__name__}: {error}"}
        raise
    finally:
        controller.log.end(str(end.get("status", "failed")))
        folder.status(
            **end,
            ended=time.time(),  # noqa: TID251  shown only
            steps=controller.state.done,
            **controller.state.told(),
        )
        folder.close()
        for listener in listeners:
            listener.close()
        tell_unwritten(folder)
    tell("measuring floor and ceiling")
    known = _tell_protocols(folder, setup, end)
    tell("writing metrics.parquet")
    folder.telemetry.keep({"metrics.parquet": parquet(folder.path)})
    folder.mirror()
    return Run(folder.path.resolve(), known)


# ------------------------------------------------------------------------------------------------------------
# helpers


def _begun(path: Path, folder: Path) -> Journal:
    """The journal of a new run: in its folder, or in the bucket, where whoever makes the first
    epoch has the name. Raises ConfigError.
    """
    if (address := address_of(path)) is None:
        return Journal.open(storage_of(folder))
    try:
        journal = Journal.open(storage_of(path), after=0)
        forget(path)
        return journal
    except StaleEpochError:
        raise ConfigError(
            f"run folder: {address!r} exists already: somebody else has just made it. Choose"
            f" another --name, or `raygan resume {address}`."
        ) from None
    except OSError as error:
        raise ConfigError(f"{address}: it cannot be written ({say(error)}).") from None


def part_lines(data: Samples) -> list[str]:
    """What each pair trains on, where that is not the same."""
    return [f"data {part.line(pair)}" for pair, part in data.parts.items()]


def told(data: Samples) -> dict[str, Any]:
    """What run.json keeps of a reader's work: the record, and the way back to the data's own units."""
    out: dict[str, Any] = {"reading": data.record.plain()} if data.record else {}
    return {**out, "scaling": data.scaling.plain()} if data.scaling else out


def _tell_protocols(folder: RunFolder, setup: Setup, end: dict[str, Any]) -> dict[str, Any]:
    """What the scores mean. A metric that fails here too costs no run: it ends degraded, as with
    scores that are missing.
    """
    try:
        return folder.status(protocols=Evaluator(setup).protocols())
    except Exception as error:  # of any metric, also one that users bring
        why = f"their floor and ceiling could not be measured ({type(error).__name__}: {error})"
        return folder.status(
            status="degraded", exit_code=4, degraded={SCORES: why, **end.get("degraded", {})}
        )


def is_done(path: Path, checkpoint: Checkpoint, config: Config) -> bool:
    """Has this run come to its end, with its last checkpoint there?"""
    ended = read_info(path).get("status") in ("done", "degraded")
    return ended and all(step >= config.steps for step in checkpoint.steps.values())


def refuse_running(path: Path) -> None:
    """Raises ConfigError when the process that writes this run is alive on this machine."""
    info = read_info(path)
    pid = info.get("pid")
    if (
        info.get("status") not in ("starting", "running")
        or info.get("host") != platform.node()
        or not pid
    ):
        return
    command = Path(f"/proc/{pid}/cmdline")
    if pid != os.getpid() and command.exists() and b"raygan" in command.read_bytes():
        raise ConfigError(
            f"run {shown(path)!r} is running (pid {pid}). Stop it with `kill {pid}`, or wait for it."
        )


@contextlib.contextmanager
def _hosting(config: Config, address: str, inline: bool) -> Iterator[None]:
    """Ray for the block, unless everything happens in this process."""
    if inline:
        yield
        return
    tell("loading Ray")
    from raygan.actors.cluster import cluster

    tell("starting Ray" if address in ("auto", "local") else f"joining {address}")
    with cluster(address, config.resources.object_store_mb):
        yield


def _parted(config: Config, data: Samples, inline: bool) -> Samples:
    """With what is known of pairs' own SOURCEs, each read where pairs live. Raises DataError."""
    component = component_of(config)
    if component.partition != "shared" and not inline and not component.elsewhere:
        raise DataError(
            "data.partition: data given as an object are in this process only. Save them with"
            " numpy.savez, or use --inline."
        )
    if not sources_of(config):
        return data
    if inline:
        return with_parts(config, with_data(config), data)
    from raygan.actors.sources import look_there

    return with_parts(config, with_data(config), data, look_there)


def _places(config: Config) -> int:
    """How many actors of this cluster, as it is or can become, can train at once; GPUs
    count where players may have them.
    """
    from raygan.actors.outlook import outlook, total

    room = total(outlook(config.resources.scale).rooms(config.num_pairs))
    gpus = 0.0 if config.device == "cpu" else room["GPU"]
    return max(1, int(gpus or room["CPU"]))


def _check_placement(config: Config) -> None:
    from raygan.actors.outlook import outlook
    from raygan.actors.placement import place_in

    placed = place_in(num_processes(config), config.resources, outlook(config.resources.scale))
    refuse_without_gpu(config, placed.gpus)


def refuse_without_gpu(config: Config, gpus: float) -> None:
    """Raises InfeasibleError where a GPU is demanded and no player would get a share of one."""
    if config.device == "cuda" and not gpus:
        raise InfeasibleError(
            "device = cuda: no player gets a GPU, the cluster has none to give. Use --device cpu or"
            " auto, or a cluster whose nodes have GPUs."
        )


def inline_device(config: Config) -> torch.device:
    """All players' device in this one process, made ready. Raises InfeasibleError."""
    device = chosen(config.device)
    settle_device(device, config.pace == "lockstep")
    return device


def _check_abroad(config: Config) -> None:
    from raygan.actors.abroad import refuse_missing

    refuse_missing(config)


def _signals(controller: Controller) -> contextlib.AbstractContextManager[None]:
    """SIGINT, SIGTERM and SIGHUP save and stop; a second one ends the process at once, but for
    SIGHUP: a terminal that is closed sends two, one by its shell and one by the kernel.
    """

    def handler(signum: int, frame: FrameType | None) -> None:
        if controller.state.stop_signal is not None:
            if signum == signal.SIGHUP:
                return
            os._exit(128 + signum)
        controller.stop(signum)

    return listening(handler)


FREE = (
    "steps",
    "round_steps",
    "resources",
    "checkpoint",
    "evaluation",
    "metrics",
    "listeners",
    "track",
)
"""Settings that a run may go on with changed; all others would make it another run."""
FREE_WITHIN = ("pair.schedule.steps",)
"""The same, one by one."""


def changes(resolved: Resolved, stored: Config) -> Config | None:
    """The run's config with what was asked for laid over it; None when nothing changes.

    Values of the default preset that nobody named do not count. Raises ConfigError for a setting
    that may not change.
    """
    stored = rooted(stored)
    asked, have = full_dump(resolved.config), full_dump(stored)
    for path, origin in resolved.origins.items():
        if origin == f"preset {DEFAULT_PRESET}":
            continue
        group = path.partition(".")[0]
        old: Any = have
        new: Any = asked
        for part in path.split("."):
            old, new = old.get(part) if isinstance(old, dict) else None, new[part]
        if old == new:
            continue
        if (told := _other_source(path, old, new)) is not None:
            raise ConfigError(told)
        if group not in FREE and path not in FREE_WITHIN:
            raise ConfigError(
                f"{path} = {json.dumps(new)} ({origin}): the run has {json.dumps(old)}. Resume with"
                " the config of the run, or start a new one under another --name."
            )
    wanted = merge(have, {k: asked[k] for k in FREE if _named(k, resolved)}, "", {})
    for path in (p for p in FREE_WITHIN if p in resolved.origins):
        *groups, last = path.split(".")
        reduce(dict.__getitem__, groups, wanted)[last] = reduce(
            dict.__getitem__, path.split("."), asked
        )
    config = validate(Config, wanted)
    return None if config == stored else config


def _other_source(path: str, old: object, new: object) -> str | None:
    """Is it the same own part with another source? Both hashes, and the flag that says "I know"."""
    if not (
        isinstance(old, str)
        and isinstance(new, str)
        and is_own(old)
        and is_own(new)
        and label(old) == label(new)
    ):
        return None
    return (
        f"{path} = {label(new)}: its source has sha256 {split(new).key}.. now, the run was made"
        f" with {split(old).key}... Go on with `raygan resume RUN --other-code` if you mean it, or"
        " start a new run under another --name."
    )


def _named(group: str, resolved: Resolved) -> bool:
    return any(
        path.partition(".")[0] == group and origin != f"preset {DEFAULT_PRESET}"
        for path, origin in resolved.origins.items()
    )


def fresh_name(run_dir: Path, config: Config) -> str:
    """strategy-data-seed, numbered where it exists."""
    stem = f"{short(config.strategy['name'])}-{shorten(config.data)}-s{config.seed}"
    number = 1
    while taken(run_dir / f"{stem}-{number:03d}"):
        number += 1
    return f"{stem}-{number:03d}"


def shorten(data: dict[str, Any]) -> str:
    """A data set in a name: ring8, mnist, npz."""
    return f"{short(data['name'])}{data.get('modes', '')}".replace("_", "-")


def point_latest(path: Path) -> None:
    """runs/latest -> this run; not in a bucket."""
    if address_of(path):
        return  # a bucket has no links
    link = path.parent / LATEST
    temporary = path.parent / f".{LATEST}.{os.getpid()}"
    with contextlib.suppress(OSError):  # a file system without links has no `latest`
        temporary.symlink_to(path.name)
        temporary.replace(link)


def tell_unwritten(folder: RunFolder) -> None:
    """At the end: what is missing on disk."""
    if lost := folder.unwritten():
        what = ", ".join(f"{name} {count}" for name, count in lost.items())
        NOTES.warning(
            "not written in %s: %s (lines, or files); %s", folder.path, what, fate("W203")
        )


def parquet(path: Path, rows: int = 50_000) -> bytes:
    """metrics.jsonl as a table; put together from portions, since a row as an object takes ten
    times as much memory.
    """
    import pyarrow as pa
    from pyarrow import parquet as pq

    lines, portions = Lines(path / "metrics.jsonl", told_by_a_run).fresh(), list[pa.Table]()
    while portion := list(itertools.islice(lines, rows)):
        names = dict.fromkeys(name for row in portion for name in row)
        portions.append(
            pa.table({name: _column([row.get(name) for row in portion]) for name in names})
        )
    out = io.BytesIO()
    pq.write_table(
        pa.concat_tables(portions, promote_options="permissive") if portions else pa.table({}), out
    )
    return out.getvalue()


def _column(values: list[Any]) -> Any:
    import pyarrow as pa

    try:
        return pa.array(values)
    except pa.ArrowException:  # of several kinds
        return pa.array([None if v is None else str(v) for v in values])


def requirements(text: str) -> list[tuple[str, str, float]]:
    """`modes=8,score>=7` as (metric, sign, number); raises ConfigError for what cannot be meant,
    before anything is trained.

    >>> requirements("modes=8, reverse_kl<=.1")
    [('modes', '=', 8.0), ('reverse_kl', '<=', 0.1)]
    """
    from raygan.metrics.ranking import best_at, lower_is_better

    out = []
    for part in text.split(","):
        found = re.fullmatch(r"\s*([\w@%.-]+?)\s*(=|>=|<=)\s*(\S+)\s*", part)
        try:
            limit = float(found[3]) if found else math.nan
        except ValueError:
            limit = math.nan
        if found is None or not math.isfinite(limit):
            raise ConfigError(f"--require {part!r}: write METRIC=NUMBER, as in modes=8.")
        if (best := best_at(found[1])) is not None:
            if found[2] == "=":
                raise ConfigError(
                    f"--require {part!r}: {found[1]} is best at {best:g}. Write"
                    f" {found[1]}>=.8,{found[1]}<=1.1."
                )
            out.append((found[1], found[2], limit))
            continue
        lower = lower_is_better(found[1])
        if found[2] == (">=" if lower else "<="):
            right = "<=" if lower else ">="
            raise ConfigError(
                f"--require {part!r}: of {found[1]} less is {'better' if lower else 'worse'}. Write"
                f" {right}."
            )
        out.append((found[1], found[2], limit))
    return out


def refuse_unscored(setup: Setup, wanted: str | None) -> None:
    """Raises ConfigError for data that cannot be scored as asked, and for a score in `--require`
    that this run will not have.
    """
    suite = Evaluator(setup).full
    own = tuple(short(metric.name) for metric in suite.own)
    for metric, sign, limit in requirements(wanted) if wanted else ():
        if metric not in suite.names and metric.partition(".")[0] not in own:
            raise ConfigError(
                f"--require '{metric}{sign}{limit:g}': this run has no score {metric!r}."
                f" {did_you_mean(metric, [*suite.names, *own])}"
            )


def require(run: Run, text: str) -> str | None:
    """Check `modes=8,score>=7` on the last scores of what the run is for (`Run.main_player`); the
    complaint, or None.

    `a=b` means at least b, or at most b for scores where lower is better. Raises ConfigError for an
    unknown score.
    """
    from raygan.metrics.ranking import best_at, better

    scores = run.scores().get(run.main_player, {})
    for metric, sign, limit in requirements(text):
        if metric not in scores:
            known = ", ".join(k for k, v in scores.items() if isinstance(v, float))
            raise ConfigError(
                f"--require '{metric}{sign}{limit:g}': write METRIC=NUMBER with one of: {known}."
            )
        value = float(scores[metric])
        missed = value < limit if sign == ">=" else value > limit
        if missed if best_at(metric) is not None else better(metric, limit, value):
            return f"{run.main_player}: {metric} = {value:g}, required {limit:g}"
    return None
