"""A run of a bucket as an ordinary run folder: `raygan fetch s3://bucket/runs/mine --to here`."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from raygan.controller.checkpoint import FOLDER
from raygan.controller.copies import storage_of, view
from raygan.controller.files import say
from raygan.controller.journal import FOLDER as JOURNAL
from raygan.controller.run_folder import sync_folder
from raygan.controller.storage import LocalStorage
from raygan.errors import CheckpointError, ConfigError


def download(address: str, to: Path) -> Path:
    """All of it in `to/RUN`; returns that. Raises ConfigError, CheckpointError; then nothing is left
    there.
    """
    local = view(address)
    there, target = storage_of(local), to / local.name
    if os.path.lexists(target):
        raise ConfigError(f"{str(target)!r} exists already. Fetch to another folder: --to FOLDER.")
    temporary = to / f".{local.name}.{os.getpid()}"
    try:
        shutil.copytree(local, temporary, symlinks=True)
        out = LocalStorage(temporary)
        for name in there.list(JOURNAL):
            out.create(f"{JOURNAL}/{name}")
            out.append(f"{JOURNAL}/{name}", there.read(f"{JOURNAL}/{name}"))
        for folder in sorted({*there.list(FOLDER)} - {*there.unfinished(FOLDER)}):
            out.make_folder(f"{FOLDER}/{folder}")
            for name in there.list(f"{FOLDER}/{folder}"):
                out.write(f"{FOLDER}/{folder}/{name}", there.read(f"{FOLDER}/{folder}/{name}"))
        temporary.rename(target)
        sync_folder(to)
    except OSError as error:
        raise CheckpointError(f"run {address!r}: it cannot be fetched ({say(error)}).") from None
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return target
