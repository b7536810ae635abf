"""A run of a bucket as an ordinary run folder: `raygan fetch s3://bucket/runs/mine --to here`."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from raygan.controller.bucket_copies import storage_of, view
from raygan.controller.checkpoint_index import FOLDER
from raygan.controller.files import say, sync_folder
from raygan.controller.history import FOLDER as JOURNAL
from raygan.controller.storage import LocalStorage
from raygan.errors import CheckpointError, ConfigError


def refuse_there(target: Path) -> None:
    """Raises ConfigError where a run cannot be brought to: something is there."""
    if os.path.lexists(target):
        raise ConfigError(f"{str(target)!r} exists already. Fetch to another folder: --to FOLDER.")


@contextlib.contextmanager
def arriving(target: Path) -> Iterator[Path]:
    """A folder to fill; it has `target`'s name once the block is through, and is gone else."""
    target.parent.mkdir(parents=True, exist_ok=True)
    # Beside its target: a rename is one step only within a file system.
    temporary = target.with_name(f".{target.name}.{os.getpid()}")
    try:
        yield temporary
        temporary.rename(target)
        # The rename itself must be on the disk before somebody deletes the bucket's copy.
        sync_folder(target.parent)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def download(address: str, to: Path) -> Path:
    """All of it in `to/RUN`; returns that. Raises ConfigError, CheckpointError;
    then nothing is left there.
    """
    local = view(address)
    there, target = storage_of(local), to / local.name
    refuse_there(target)
    try:
        with arriving(target) as temporary:
            shutil.copytree(local, temporary, symlinks=True)
            out = LocalStorage(temporary)
            # Record by record: in a bucket each is an object of its own, on a disk they are lines
            # (decision 80).
            for name in there.list(JOURNAL):
                out.create(f"{JOURNAL}/{name}")
                out.append(f"{JOURNAL}/{name}", there.read(f"{JOURNAL}/{name}"))
            # Not those that an interrupted put has left: no record names them.
            for folder in sorted({*there.list(FOLDER)} - {*there.unfinished(FOLDER)}):
                out.make_folder(f"{FOLDER}/{folder}")
                for name in there.list(f"{FOLDER}/{folder}"):
                    out.write(f"{FOLDER}/{folder}/{name}", there.read(f"{FOLDER}/{folder}/{name}"))
    except OSError as error:
        raise CheckpointError(f"run {address!r}: it cannot be fetched ({say(error)}).") from None
    return target
