"""Checkpoints: `checkpoints/<name>/` with one part a player and a manifest that names the SHA-256
of each.

write:  name.tmp/part ... part, manifest.json, fsync each; rename the folder, fsync its parent;
        one journal record
read:   newest first, what the journal's index names; every part is checked against the manifest,
        and that against the journal, before it is used; what is damaged or gone is told, never used

Each has a name of its own: its step, numbered where that is taken. Nothing that was committed is
touched before the next record has made it superfluous.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Collection
from dataclasses import dataclass, field, replace
from itertools import chain, count
from pathlib import Path
from typing import Any

from raygan.controller.checkpoint_index import FOLDER, NAME, as_storage, listed
from raygan.controller.history import Entry, undo
from raygan.controller.journal import Journal
from raygan.controller.retention import promise
from raygan.controller.storage import Storage
from raygan.errors import CheckpointError
from raygan.moved import named
from raygan.strategies.roles import PLAYER

FORMAT = 1


@dataclass(frozen=True)
class Checkpoint:
    """A whole run at one cut: each player's packed state, and the step that each is at."""

    step: int
    parts: dict[str, bytes]
    steps: dict[str, int]
    extra: dict[str, Any] = field(default_factory=dict)
    entry: Entry | None = field(default=None, compare=False)
    """What the index has of it; None before it is written."""


def name_of(step: int) -> str:
    """
    >>> name_of(500)
    'checkpoints/00000500'
    """
    return f"{FOLDER}/{step:08d}"


def write_checkpoint(
    journal: Journal, checkpoint: Checkpoint, keep: int | None = None, best: Collection[int] = ()
) -> Checkpoint:
    """Write it, all or nothing; committed by one journal record, which promises that the newest
    `keep` (None: all) and the newest of each step in `best` stay. Returns it with its entry in the
    index.

    Raises StaleEpochError, and OSError: then nothing was committed, and the checkpoints before are
    as they were.
    """
    storage = journal.storage
    journal.fence()
    there, known = set(storage.list(FOLDER)), {e.folder for e in journal.index}
    _clear_unfinished(storage, known)
    taken = there | known
    name = _free_name(storage, checkpoint.step, taken)
    try:
        folder, manifest = _put(journal, checkpoint, f"{FOLDER}/{name}")
        name = folder.removeprefix(f"{FOLDER}/")
        entry = Entry(checkpoint.step, name, hashlib.sha256(manifest).hexdigest())
        # what was superseded and is gone leaves the index; what was promised stays in it, also
        # where it is lost: whoever comes to need it is told
        index = [e for e in journal.index if e.promised or e.folder in there]
        journal.snapshot(
            "checkpoint", promise([*index, entry], keep, best, there), step=entry.step, folder=name,
            steps=checkpoint.steps, manifest=entry.manifest,
            bytes=sum(len(r) for r in checkpoint.parts.values()),
        )  # fmt: skip
    except OSError:
        # it may be no full disk: a driver that has taken over clears our attempt away, and that is
        # another error
        journal.fence()
        raise
    _clear_unrecorded(journal, checkpoint.step, taken)
    return replace(checkpoint, entry=entry)


def _clear_unfinished(storage: Storage, known: Collection[str]) -> None:
    """Attempts that were cut short; by the fence they are not somebody else's."""
    for name in storage.unfinished(FOLDER):
        if name not in known:  # a store may list a folder before its manifest
            storage.remove(f"{FOLDER}/{name}")


def _free_name(storage: Storage, step: int, taken: Collection[str]) -> str:
    """The step, numbered where that is taken."""
    numbered = chain([f"{step:08d}"], (f"{step:08d}-{i}" for i in count(2)))
    # asked, too: a link is not listed, and takes its name
    return next(
        name for name in numbered if name not in taken and not storage.exists(f"{FOLDER}/{name}")
    )


def _clear_unrecorded(journal: Journal, step: int, taken: Collection[str]) -> None:
    """Checkpoints of this step that were renamed and never recorded: the one that is stands in
    their place. After its record: a kill before leaves them where they are, and they never counted.
    """
    recorded = {e.folder for e in journal.index}
    for orphan in taken:
        found = NAME.fullmatch(orphan)
        if orphan not in recorded and found and int(found[1]) == step:
            with contextlib.suppress(OSError):
                journal.storage.remove(f"{FOLDER}/{orphan}")


def _put(journal: Journal, checkpoint: Checkpoint, folder: str) -> tuple[str, bytes]:
    """Its parts, then its manifest, then its name; returns the name that it has got, and the
    manifest. Raises StaleEpochError, OSError.
    """
    storage, parts = journal.storage, dict[str, Any]()
    place = storage.stage(folder, journal.epoch)
    try:
        for player, raw in checkpoint.parts.items():
            storage.write(f"{place}/{player}.safetensors", raw)
            parts[player] = {
                "sha256": hashlib.sha256(raw).hexdigest(),
                "bytes": len(raw),
                "step": checkpoint.steps[player],
            }
        manifest = json.dumps(
            {
                "format": FORMAT,
                "step": checkpoint.step,
                "epoch": journal.epoch,
                "parts": parts,
                "extra": checkpoint.extra,
            },
            indent=1,
        ).encode()
        # last of all: in a bucket the manifest is what makes a checkpoint whole, since nothing is
        # renamed
        storage.write(f"{place}/manifest.json", manifest)
        return storage.publish(place, folder, journal.fence), manifest
    except OSError:
        with contextlib.suppress(OSError):
            # its room is needed by the next attempt
            storage.remove(place)
        raise


def read_checkpoint(
    where: Path | Storage, step: int, manifest_sha: str | None = None, name: str | None = None
) -> Checkpoint:
    """Read and check one; raises CheckpointError that says what is wrong with it.

    manifest_sha: what the journal says about it; None for runs that were written before there was
    one.
    """
    storage, folder = as_storage(where), f"{FOLDER}/{name}" if name else name_of(step)
    if not storage.exists(folder):
        raise CheckpointError(f"checkpoint {folder}: it was committed, and is gone.")
    told = _manifest(storage, folder, step, manifest_sha)
    # a part that no manifest names was put there by somebody else
    there = {n for n in storage.list(folder) if n != "manifest.json"}
    if foreign := sorted(there - {f"{p}.safetensors" for p in told.parts}):
        raise CheckpointError(f"checkpoint {folder}: {foreign[0]} is not in its manifest.")
    parts, steps = {}, {}
    for player, entry in told.parts.items():
        parts[player], steps[player] = _part(storage, folder, player, entry)
    mine = Entry(step, folder.removeprefix(f"{FOLDER}/"), told.sha256)
    return Checkpoint(step, parts, steps, told.extra, mine)


@dataclass(frozen=True)
class _Manifest:
    """What a checkpoint says of itself."""

    sha256: str
    parts: dict[str, Any]
    """player -> its part's SHA-256 and step."""
    extra: dict[str, Any]


def _manifest(storage: Storage, folder: str, step: int, expected: str | None) -> _Manifest:
    """A checkpoint's, read and checked. Raises CheckpointError."""
    try:
        raw = storage.read(f"{folder}/manifest.json")
        sha256 = hashlib.sha256(raw).hexdigest()
        # checked before it is parsed: it names the files that are read next
        if expected is not None and sha256 != expected:
            raise CheckpointError(
                f"checkpoint {folder}: its manifest is not the one that the journal names."
            )
        manifest = json.loads(raw)
        version = manifest["format"]
        found = _Manifest(sha256, dict(manifest["parts"]), manifest.get("extra", {}))
        if int(manifest["step"]) != step:
            raise CheckpointError(
                f"checkpoint {folder}: it is of step {manifest['step']}, under another's name."
            )
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise CheckpointError(
            f"checkpoint {folder}: its manifest cannot be read ({_reason(error)})."
        ) from None
    if version != FORMAT:
        raise CheckpointError(f"checkpoint {folder}: format {version}, this raygan reads {FORMAT}.")
    return found


def _part(storage: Storage, folder: str, player: str, entry: Any) -> tuple[bytes, int]:
    """(a player's packed state, its step), as the manifest's entry says. Raises CheckpointError."""
    file = f"{player}.safetensors"
    try:
        # a name leads to a file: one with a slash would lead out of the run folder
        if not PLAYER.fullmatch(player):
            raise CheckpointError(f"checkpoint {folder}: {player!r} is no player's name.")
        part = storage.read(f"{folder}/{file}")
        expected, step = str(entry["sha256"]), int(entry["step"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise CheckpointError(
            f"checkpoint {folder}: part {file} cannot be read ({_reason(error)})."
        ) from None
    if hashlib.sha256(part).hexdigest() != expected:
        raise CheckpointError(
            f"checkpoint {folder}: part {file} is damaged (its SHA-256 is not the manifest's)."
        )
    return part, step


def newest_valid(where: Path | Storage) -> tuple[Checkpoint | None, list[str]]:
    """(the newest checkpoint of a run folder that can be used, what is wrong with the journal and
    with newer ones).

    None with nothing wrong: nothing was ever committed.
    """
    storage = as_storage(where)
    entries, problems = listed(storage)
    for entry in reversed(entries):
        if not entry.promised and not storage.exists(f"{FOLDER}/{entry.folder}"):
            # superseded, and removed: the index says that it need not be there
            continue
        try:
            return (
                read_checkpoint(storage, entry.step, entry.manifest or None, entry.folder),
                problems,
            )
        except CheckpointError as error:
            problems.append(str(error))
    return None, problems


def go_on_from(journal: Journal, checkpoint: Checkpoint | None) -> None:
    """Record that the run goes on from this checkpoint (None: from its beginning); what was
    committed after it is undone.
    """
    if checkpoint is None or checkpoint.entry is None:
        journal.snapshot("resume", [], step=0, steps={}, folder="", swapped={})
        return
    entry = checkpoint.entry
    index = undo(journal.index, entry.step, entry.folder) or [entry]
    # which swaps are in it: lineage drops the others, which are done again
    swapped = checkpoint.extra.get("swapped", {})
    journal.snapshot(
        "resume",
        index,
        step=checkpoint.step,
        steps=checkpoint.steps,
        folder=entry.folder,
        swapped=swapped,
    )


def _reason(error: Exception) -> str:
    return str(getattr(error, "strerror", None) or error)


def __getattr__(name: str) -> Any:
    return named(__name__, name)
