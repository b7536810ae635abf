"""Runs that begin where others are: from the pairs of other runs (`start_from`), or as a fork of
one.
"""

from __future__ import annotations

import contextlib
import json
import time
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from raygan.config import Config, Resolved, full_dump
from raygan.controller.bucket_copies import shown
from raygan.controller.checkpoint import Checkpoint, newest_valid, read_checkpoint, write_checkpoint
from raygan.controller.checkpoint_index import list_checkpoints
from raygan.controller.files import read_plain
from raygan.controller.journal import Journal
from raygan.controller.jsonl import NOTES
from raygan.controller.run_folder import RunFolder
from raygan.controller.run_format import born
from raygan.controller.storage import LocalStorage
from raygan.errors import CheckpointError, ConfigError, did_you_mean
from raygan.gan.bundle import pack, unpack
from raygan.gan.states import begun_from
from raygan.own.names import label
from raygan.paths import run_and_pair
from raygan.service.runs.code import write_code
from raygan.service.runs.identity import read_as
from raygan.service.runs.lineage import lineage
from raygan.service.runs.provenance import provenance
from raygan.service.runs.run import Run
from raygan.strategies.base import Setup, strategy_of
from raygan.strategies.roles import role_of

OWN = ("step", "swapped_at", "identity.D", "identity.G", "bad_steps", "bad_steps_in_a_row")
"""Of a player's state what stays its own where it goes on from another: where it is in this run and
who it is. All else, the optimizers' moments too, is the trained pair's.
"""


def sources(config: Config) -> list[tuple[Run, str]]:
    """(run, pair) that each local goes on from, in order; [] without `start_from`. Raises
    ConfigError.
    """
    found: list[tuple[Run, str]] = []
    for entry in config.start_from:
        path, pair = run_and_pair(entry)
        run = Run.load(path).use_code()
        if pair and pair not in run.pairs:
            raise ConfigError(f"start_from: {entry!r}: {did_you_mean(pair, run.pairs)}")
        taken = [pair] if pair else run.pairs
        if halves := [p for p in taken if not role_of(p, run.cast.roles).scored]:
            raise ConfigError(
                f"start_from: {entry!r}: {halves[0]} has no trained generator (strategy"
                f" {label(run.config.strategy['name'])}). Name a run of pairs."
            )
        found += [(run, p) for p in taken]
    if config.start_from and len(found) < config.num_pairs:
        raise ConfigError(
            f"start_from: {len(found)} trained pairs for {config.num_pairs}. Name more runs, or"
            f" lower num_pairs to {len(found)}."
        )
    return found[: config.num_pairs]


def starting_point(
    setup: Setup, trained: Sequence[tuple[Run, str]]
) -> tuple[Checkpoint, list[dict[str, Any]]]:
    """A checkpoint at step 0 whose locals hold other runs' networks and optimizers (`sources`); and
    where each came from, for the events.

    Raises CheckpointError.
    """
    config, strategy = setup.config, strategy_of(setup.config)
    parts = {p: pack(strategy.build(p, setup).state()) for p in strategy.players(config)}
    origins: list[dict[str, Any]] = []
    for player, (run, pair) in zip(strategy.locals(config), trained, strict=True):
        source, problems = newest_valid(run.path)
        if source is None:
            raise CheckpointError(
                f"start_from: {shown(run.path)} has no usable checkpoint."
                f" {' '.join(problems)}".strip()
            )
        built = strategy.build(player, setup)
        own = unpack(parts[player])
        fresh = {key: own[key] for key in OWN}
        trained_state, changed = begun_from(
            unpack(source.parts[pair]), run.config.of(pair).pair, config.of(player).pair
        )
        _say(f"start_from: {player} from {shown(run.path)}:{pair}", changed)
        try:
            built.restore({**trained_state, **fresh})
        except CheckpointError:
            raise CheckpointError(
                f"start_from: {shown(run.path)}:{pair} has other networks than this config builds."
                f" Take `network` from {shown(run.path)}/config.yaml."
            ) from None
        parts[player] = pack(built.state())
        # The old run may be moved or thrown away: whom its networks have met is kept here, or
        # GAM-II would let a D judge a generator that it trained against (decision 67).
        past = lineage(run)
        origins.append({
            "player": player, "run": shown(run.path), "pair": pair, "from_step": source.step,
            "generator": sorted(past.generators[pair]),
            "discriminator": sorted(past.discriminators.get(pair, ())),
        })  # fmt: skip
    return Checkpoint(0, parts, dict.fromkeys(parts, 0)), origins


def fork(
    source: Path, path: Path, resolved: Resolved, at: int | None = None, player_seconds: float = 0.0
) -> None:
    """A run folder at `path` that goes on from another run's checkpoint, with other settings; to be
    resumed.

    at: the step of that checkpoint; where it is gone (or None), the newest one is taken, and
    `forked` in run.json says which. player_seconds: spent by the source up to `at`, and by those
    that it was forked from; up to another checkpoint it is what the source says itself.
    Raises CheckpointError when the source has none, ConfigError when the folder exists.
    """
    checkpoint = _at(source, at)
    run = Run.load(source)
    checkpoint, info = _under(checkpoint, run, resolved.config), run.info
    if at is not None and checkpoint.step != at:
        player_seconds = seconds_of(info)
    with RunFolder.being_made(path.parent, path.name) as folder:
        folder.write("config.yaml", resolved.yaml())
        folder.write("config.json", json.dumps(full_dump(resolved.config), indent=1) + "\n")
        write_code(folder.path, resolved.config.code)
        folder.write("command.txt", f"forked from {source} at step {checkpoint.step}\n")
        forked = {
            "from": source.name, "step": checkpoint.step, "player_seconds": player_seconds,
            "schedule": [*schedule(info),
                         {"run": source.name, "until": checkpoint.step, "point": point_of(source)}],
        }  # fmt: skip
        folder.status(
            id=uuid.uuid4().hex[:12], name=path.name, status="stopped",
            created=time.time(), shape=info["shape"],  # noqa: TID251  shown only
            # The samples' scaling and the alphabet belong to the weights, not to the settings.
            alphabet=info["alphabet"], scaling=info.get("scaling"), reading=info.get("reading"),
            executor=info.get("executor"), forked=forked, **known_of(run, resolved.config),
            **born(provenance(), time.time()),  # noqa: TID251  shown only
        )  # fmt: skip
        journal = Journal.open(LocalStorage(folder.path))
        write_checkpoint(journal, checkpoint)
        for origin in fork_origins(source, checkpoint):
            journal.append("origin", step=checkpoint.step, **origin)
            folder.event("origin", checkpoint.step, **origin)
        folder.event("fork", checkpoint.step, source=str(source))
        folder.close()


def known_of(source: Run, config: Config) -> dict[str, Any]:
    """For a fork's run.json: what its source knows of the data, where these are its own too."""
    same = read_as(config) == read_as(source.config)
    return {"data": source.info["data"]} if same and "data" in source.info else {}


def _under(checkpoint: Checkpoint, source: Run, config: Config) -> Checkpoint:
    """The source's checkpoint as a run with this config can go on from it; itself where it can."""
    parts = dict(checkpoint.parts)
    for player, raw in checkpoint.parts.items():
        was, now = source.config.of(player).pair, config.of(player).pair
        state, changed = begun_from(unpack(raw), was, now)
        if changed:
            parts[player] = pack(state)
        _say(f"fork of {shown(source.path)}: {player}", changed)
    return replace(checkpoint, parts=parts)


def _say(where: str, changed: Sequence[str]) -> None:
    for what in changed:
        NOTES.warning("%s: %s", where, what)


def fork_origins(source: Path, checkpoint: Checkpoint) -> list[dict[str, Any]]:
    """Whom a fork's networks have met before it: what the source's had met at that checkpoint."""
    run = Run(source)
    past = lineage(run, checkpoint)
    return [
        {"player": p, "run": str(source), "pair": p, "from_step": checkpoint.step,
         "generator": sorted(past.generators.get(p, ())),
         "discriminator": sorted(past.discriminators.get(p, ()))}
        for p in sorted({*past.generators, *past.discriminators} & set(checkpoint.parts))
    ]  # fmt: skip


def _at(source: Path, step: int | None) -> Checkpoint:
    """The source's checkpoint of this step, or its newest."""
    there = list_checkpoints(source)
    if step in there:
        with contextlib.suppress(CheckpointError):
            entry = there[step]
            return read_checkpoint(source, step, entry.manifest or None, entry.folder)
    checkpoint, problems = newest_valid(source)
    if checkpoint is None:
        raise CheckpointError(
            f"run {str(source)!r} cannot be forked:"
            f" {' '.join(problems) or 'it has no checkpoint yet.'}"
        )
    return checkpoint


def schedule(info: Mapping[str, Any]) -> list[dict[str, Any]]:
    """What a run was before it was forked, oldest first: {run, until (step), point (its settings in
    the sweep)}.
    """
    return list((info.get("forked") or {}).get("schedule", ()))


def inherited_seconds(info: Mapping[str, Any]) -> float:
    """Seconds of training that a run's players had behind them when it was forked; 0 for all
    others.
    """
    return float((info.get("forked") or {}).get("player_seconds", 0.0))


def seconds_of(info: Mapping[str, Any]) -> float:
    """Seconds of training of a run's players by now, with the inherited ones."""
    return inherited_seconds(info) + float(sum((info.get("busy_seconds") or {}).values()))


def point_of(path: Path) -> dict[str, Any]:
    """A trial's settings; {} for a run that is none."""
    try:
        point: dict[str, Any] = json.loads(read_plain(path / "point.json"))
    except (OSError, ValueError):
        return {}
    return point
