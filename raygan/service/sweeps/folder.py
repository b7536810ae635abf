"""A sweep's folder: begun by one, stored so that a kill leaves it whole, written by one at a time.

runs/NAME/sweep.json    the sweep as it was asked for last
runs/NAME/driver.json   who writes it: a process of a machine
"""

from __future__ import annotations

import json
import platform
from pathlib import Path
from typing import Any

from raygan.controller.files import write_atomically
from raygan.controller.jsonl import read_json
from raygan.errors import ConfigError
from raygan.service.runs.alive import running, who
from raygan.service.sweeps.file import Sweep

STORED, DRIVER = "sweep.json", "driver.json"


def begin(folder: Path, spec: Sweep, resume: bool) -> None:
    """Make the folder, or take it over to go on. Raises ConfigError where it is somebody else's."""
    try:
        # of two that begin at once one has it
        folder.mkdir(parents=True, exist_ok=resume)
    except FileExistsError:
        raise exists_already(folder) from None
    refuse_running_sweep(folder)
    (folder / "runs").mkdir(exist_ok=True)
    write_atomically(folder / DRIVER, (json.dumps(who()) + "\n").encode())
    write_atomically(folder / STORED, (spec.model_dump_json(indent=1) + "\n").encode())


def exists_already(folder: Path) -> ConfigError:
    """For who would begin where something is."""
    return ConfigError(
        f"sweep folder {str(folder)!r} exists already. Go on with --resume (in Python resume=True),"
        " or give the sweep another name."
    )


def refuse_running_sweep(folder: Path) -> None:
    """Raises ConfigError while the process that writes the folder lives on this machine: each would
    take the other's trials for cut off.
    """
    try:
        driver = read_json(folder, DRIVER, pid=int)
    except ConfigError:  # of before 0.3, or none has begun: nobody has noted it
        return
    here = driver.get("host") == platform.node() and driver["pid"] != who()["pid"]
    if here and running({**driver, "status": "running"}):
        raise ConfigError(
            f"sweep {str(folder)!r} is running (pid {driver['pid']}). Stop it with `kill"
            f" {driver['pid']}`, or wait for it."
        )


def read_stored(folder: Path) -> dict[str, Any]:
    """The sweep as it is stored. Raises ConfigError for one that is damaged."""
    return read_json(folder, STORED)
