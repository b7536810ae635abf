"""Checkpoints: `checkpoints/<step>/` with one part a player and a manifest that names the SHA-256 of each.

write:  folder.tmp/part ... part, manifest.json    fsync each    rename the folder    fsync its parent
read:   newest first; every part is checked against the manifest before it is used; a bad one is told, never used
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from raygan.controller.run_folder import sync_folder
from raygan.errors import CheckpointError

FORMAT = 1


@dataclass(frozen=True)
class Checkpoint:
    """A whole run at one cut: each player's packed state, and the step that each is at."""

    step: int
    parts: dict[str, bytes]
    steps: dict[str, int]
    extra: dict[str, Any] = field(default_factory=dict)


def write_checkpoint(folder: Path, checkpoint: Checkpoint) -> Path:
    """Write it, all or nothing; an older attempt at the same step is replaced."""
    final = folder / f"{checkpoint.step:08d}"
    temporary = folder / f"{checkpoint.step:08d}.tmp"
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir()
    parts = {}
    for player, raw in checkpoint.parts.items():
        _write_synced(temporary / f"{player}.safetensors", raw)
        parts[player] = {
            "sha256": hashlib.sha256(raw).hexdigest(),
            "bytes": len(raw),
            "step": checkpoint.steps[player],
        }
    manifest = {"format": FORMAT, "step": checkpoint.step, "parts": parts, "extra": checkpoint.extra}
    _write_synced(temporary / "manifest.json", json.dumps(manifest, indent=1).encode())
    sync_folder(temporary)
    if final.exists():
        shutil.rmtree(final)
    temporary.rename(final)
    sync_folder(folder)
    return final


def read_checkpoint(path: Path) -> Checkpoint:
    """Read and check one; raises CheckpointError that says what is wrong with it."""
    try:
        manifest = json.loads((path / "manifest.json").read_text())
        listed: Mapping[str, Any] = manifest["parts"]
        step, extra, version = int(manifest["step"]), manifest["extra"], manifest["format"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise CheckpointError(f"checkpoint {path}: its manifest cannot be read ({error}).") from None
    if version != FORMAT:
        raise CheckpointError(f"checkpoint {path}: format {version}, this raygan reads {FORMAT}.")
    parts, steps = {}, {}
    for player, entry in listed.items():
        file = path / f"{player}.safetensors"
        try:
            raw = file.read_bytes()
        except OSError as error:
            raise CheckpointError(f"checkpoint {path}: part {file.name} cannot be read ({error.strerror}).") from None
        if hashlib.sha256(raw).hexdigest() != entry["sha256"]:
            raise CheckpointError(
                f"checkpoint {path}: part {file.name} is damaged (its SHA-256 is not the manifest's)."
            )
        parts[player], steps[player] = raw, int(entry["step"])
    return Checkpoint(step, parts, steps, extra)


def list_checkpoints(folder: Path) -> list[Path]:
    """All finished ones, oldest first."""
    return sorted(p for p in folder.glob("[0-9]*") if p.is_dir() and p.name.isdigit())


def newest_valid(folder: Path) -> tuple[Checkpoint | None, list[str]]:
    """(the newest that can be used, what was wrong with the newer ones)."""
    problems: list[str] = []
    for path in reversed(list_checkpoints(folder)):
        try:
            return read_checkpoint(path), problems
        except CheckpointError as error:
            problems.append(str(error))
    return None, problems


def retain(folder: Path, keep: int) -> list[str]:
    """Remove all but the newest `keep`; returns the names of what was removed."""
    gone = list_checkpoints(folder)[:-keep]
    for path in gone:
        shutil.rmtree(path)
    return [p.name for p in gone]


def _write_synced(path: Path, raw: bytes) -> None:
    with path.open("wb") as file:
        file.write(raw)
        file.flush()
        os.fsync(file.fileno())
