"""Which data a run is on: absolute paths in its config, the SHA-256 of what they hold in run.json."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from raygan.config import Config, Resolved
from raygan.data.base import Samples
from raygan.errors import DataError
from raygan.service.run import Run
from raygan.strategies.strategy import load_data


def rooted(config: Config) -> Config:
    """The config with its data's path absolute, where it is one that leads somewhere from here."""
    path = config.data.get("path")
    if not isinstance(path, str) or not Path(path).expanduser().exists():
        return config
    absolute = os.path.abspath(Path(path).expanduser())  # noqa: PTH100  links stay
    return config.model_copy(update={"data": {**config.data, "path": absolute}})


def settled(resolved: Resolved) -> Resolved:
    """The same of a config with its origins."""
    return resolved.model_copy(update={"config": rooted(resolved.config)})


def identity(data: Samples) -> dict[str, Any]:
    """For run.json."""
    return {"name": data.name, "sha256": data.sha256, "split": data.split, "train": len(data.train)}


def run_data(run: Run, other: bool = False) -> Samples:
    """The data that a run was made on. Raises DataError where its path holds others now, unless `other` says that this is meant."""
    data = load_data(run.config)
    if not other and (why := other_data(run.info, data)):
        raise DataError(f"run {str(run.path)!r}: {why}")
    return data


def other_data(info: Mapping[str, Any], data: Samples) -> str:
    """Are these others than run.json says? Both hashes, and the flag that says "I know"; "" where they are the same."""
    known = info.get("data")
    before = known.get("sha256") if isinstance(known, Mapping) else None
    if not before or before == data.sha256:
        return ""
    return (
        f"{data.name} has sha256 {data.sha256[:12]}.. now, the run was made with {str(before)[:12]}... Put those data back, or "
        "say --other-data if you mean these."
    )
