"""A run's name where none was given, and `latest`."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import Any

from raygan.config import Config
from raygan.controller.bucket_copies import (
    address_of,
    taken,
)
from raygan.own.names import short

LATEST = "latest"


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
        # A link under another name, then a rename: two runs that start at once never find none.
        temporary.symlink_to(path.name)
        temporary.replace(link)
