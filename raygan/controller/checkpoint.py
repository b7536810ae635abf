"""Checkpoints: `checkpoints/<step>/` with one part a player and a manifest that names the SHA-256 of each.

write:  folder.tmp/part ... part, manifest.json    fsync each    rename the folder    fsync its parent    one journal record
read:   newest first, only what the journal names; every part is checked against the manifest, and that against the journal,
        before it is used; a bad one is told, never used
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import re
from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from raygan.controller.journal import Journal, committed, read_journal
from raygan.controller.storage import LocalStorage, Storage
from raygan.errors import CheckpointError

FORMAT = 1
FOLDER = "checkpoints"
PLAYER = re.compile(r"[a-z]+(-[0-9]+)?")
"""Names of players: part files have no others."""


@dataclass(frozen=True)
class Checkpoint:
    """A whole run at one cut: each player's packed state, and the step that each is at."""

    step: int
    parts: dict[str, bytes]
    steps: dict[str, int]
    extra: dict[str, Any] = field(default_factory=dict)


def name_of(step: int) -> str:
    """
    >>> name_of(500)
    'checkpoints/00000500'
    """
    return f"{FOLDER}/{step:08d}"


def write_checkpoint(journal: Journal, checkpoint: Checkpoint) -> None:
    """Write it, all or nothing; committed by one journal record. What was there at the same step is replaced.

    Raises StaleEpochError, and OSError: then nothing was committed, and the checkpoints before are as they were.
    """
    storage, final = journal.storage, name_of(checkpoint.step)
    temporary = f"{final}.{journal.epoch}.tmp"
    journal.fence()
    if not storage.exists(FOLDER):
        storage.make_folder(FOLDER)
        storage.sync(".")
    for name in storage.list(FOLDER):  # of attempts that were cut short
        if name.endswith((".tmp", ".old")):
            storage.remove(f"{FOLDER}/{name}")
    storage.make_folder(temporary)
    try:
        parts = {}
        for player, raw in checkpoint.parts.items():
            storage.write(f"{temporary}/{player}.safetensors", raw)
            parts[player] = {
                "sha256": hashlib.sha256(raw).hexdigest(), "bytes": len(raw), "step": checkpoint.steps[player],
            }  # fmt: skip
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
        storage.write(f"{temporary}/manifest.json", manifest)
        storage.sync(temporary)
        journal.fence()  # the last moment: behind a rename stands the journal's record
        if storage.exists(final):
            storage.rename(final, f"{final}.{journal.epoch}.old")
        storage.rename(temporary, final)
        storage.sync(FOLDER)
        journal.append(
            "checkpoint", step=checkpoint.step, steps=checkpoint.steps, manifest=hashlib.sha256(manifest).hexdigest(),
            bytes=sum(len(r) for r in checkpoint.parts.values()),
        )  # fmt: skip
    except OSError:
        with contextlib.suppress(OSError):
            storage.remove(temporary)  # room for the next attempt
        raise
    with contextlib.suppress(OSError):  # committed all the same; the next save clears it away
        storage.remove(f"{final}.{journal.epoch}.old")


def read_checkpoint(where: Path | Storage, step: int, manifest_sha: str | None = None) -> Checkpoint:
    """Read and check one; raises CheckpointError that says what is wrong with it.

    manifest_sha: what the journal says about it; None for runs that were written before there was one.
    """
    storage, name = as_storage(where), name_of(step)
    try:
        raw = storage.read(f"{name}/manifest.json")
        if manifest_sha is not None and hashlib.sha256(raw).hexdigest() != manifest_sha:
            raise CheckpointError(f"checkpoint {name}: its manifest is not the one that the journal names.")
        manifest = json.loads(raw)
        version, listed, extra = manifest["format"], dict(manifest["parts"]), manifest.get("extra", {})
        if int(manifest["step"]) != step:
            raise CheckpointError(f"checkpoint {name}: it is of step {manifest['step']}, under another's name.")
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise CheckpointError(f"checkpoint {name}: its manifest cannot be read ({_reason(error)}).") from None
    if version != FORMAT:
        raise CheckpointError(f"checkpoint {name}: format {version}, this raygan reads {FORMAT}.")
    there = {n for n in storage.list(name) if n != "manifest.json"}
    if foreign := sorted(there - {f"{p}.safetensors" for p in listed}):
        raise CheckpointError(f"checkpoint {name}: {foreign[0]} is not in its manifest.")
    parts, steps = {}, {}
    for player, entry in listed.items():
        file = f"{player}.safetensors"
        try:
            if not PLAYER.fullmatch(player):
                raise CheckpointError(f"checkpoint {name}: {player!r} is no player's name.")
            part = storage.read(f"{name}/{file}")
            expected, steps[player] = str(entry["sha256"]), int(entry["step"])
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise CheckpointError(f"checkpoint {name}: part {file} cannot be read ({_reason(error)}).") from None
        if hashlib.sha256(part).hexdigest() != expected:
            raise CheckpointError(f"checkpoint {name}: part {file} is damaged (its SHA-256 is not the manifest's).")
        parts[player] = part
    return Checkpoint(step, parts, steps, extra)


def list_checkpoints(where: Path | Storage) -> dict[int, str | None]:
    """{step: hash of its manifest by the journal} of all that were committed and are still there, oldest first.

    Without a journal, whatever lies there counts (None): runs of older releases, and an index that is lost.
    """
    storage = as_storage(where)
    there = sorted(int(n) for n in storage.list(FOLDER) if n.isdigit())
    history = read_journal(storage)
    if history.epoch == 0:
        return dict.fromkeys(there)
    named = committed(history.records)
    return {step: str(named[step]["manifest"]) for step in there if step in named}


def newest_valid(where: Path | Storage) -> tuple[Checkpoint | None, list[str]]:
    """(the newest checkpoint of a run folder that can be used, what is wrong with the journal and with newer ones)."""
    storage = as_storage(where)
    problems = read_journal(storage).problems
    for step, sha in reversed(list_checkpoints(storage).items()):
        try:
            return read_checkpoint(storage, step, sha), problems
        except CheckpointError as error:
            problems.append(str(error))
    return None, problems


def retain(storage: Storage, keep: int, best: Collection[int] = ()) -> list[int]:
    """Remove all but the newest `keep` that are really there, and the best; returns the steps that were removed."""
    committed = list(list_checkpoints(storage))
    gone = [step for step in committed[:-keep] if step not in best]
    for step in gone:
        storage.remove(name_of(step))
    return gone


def as_storage(where: Path | Storage) -> Storage:
    """A run folder's."""
    return LocalStorage(where) if isinstance(where, Path) else where


def _reason(error: Exception) -> str:
    return str(getattr(error, "strerror", None) or error)
