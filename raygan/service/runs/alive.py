"""Is a run still being written, by whom, and has it come to its end?"""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from raygan.config import Config
from raygan.controller.bucket_copies import shown
from raygan.controller.checkpoint import Checkpoint
from raygan.controller.jsonl import read_info
from raygan.errors import ConfigError
from raygan.paths import IN_A_JOB

GOES_ON = ("starting", "running")
"""What run.json says of a run that has not ended; also of one whose driver was killed."""
TRAINED = ("done", "degraded")
"""Of one that came to its last step."""


def running(info: Mapping[str, Any]) -> bool:
    """Is there a driver that goes on with it, as far as this machine can tell?"""
    if not at_work(info):
        return False
    # A process number means something on its own machine only: of a run that another one writes,
    # into storage that both see, there is nothing better to believe than its run.json.
    return info.get("host") != platform.node() or _process_lives(info)


def at_work(info: Mapping[str, Any]) -> bool:
    """Has its driver something left to do, as run.json says? Also once all is trained, until that
    is measured.
    """
    measuring = info.get("status") in TRAINED and info.get("measured") is False
    return info.get("status") in GOES_ON or measuring


def who() -> dict[str, Any]:
    """This process, as run.json says who drives a run."""
    pid = os.getpid()
    job = os.environ.get(IN_A_JOB)
    return {"pid": pid, "process_start": process_start(pid), "host": platform.node(), "job": job}


def process_start(pid: object) -> str | None:
    """What no other process has that gets this number later: PID/BOOT/TICKS; "" where it has ended
    and is not buried yet; None where there is none, or nothing to tell by (not Linux).
    """
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(errors="replace")
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return None
    # behind the command's name, which may hold anything: its state first, its start as the 20th
    facts = stat.rpartition(")")[2].split()
    return "" if facts[0] in "ZX" else f"{pid}/{boot}/{facts[19]}"


def _same_process(info: Mapping[str, Any]) -> bool | None:
    """Is the one that has the driver's number the driver? None: nobody can tell, as of a run that
    an earlier release has begun or gone on with.
    """
    kept, now = str(info.get("process_start")), process_start(info.get("pid"))
    return kept == now if now is not None and kept.startswith(f"{info.get('pid')}/") else None


def _process_lives(info: Mapping[str, Any]) -> bool:
    if (same := _same_process(info)) is not None:
        return same
    try:
        os.kill(int(info["pid"]), 0)
    except ProcessLookupError:
        return False
    except (KeyError, PermissionError):  # not begun; or somebody else's, and there
        return True
    return True


def refuse_running(path: Path) -> None:
    """Raises ConfigError when the process that writes this run is alive on this machine."""
    info = read_info(path)
    pid = info.get("pid")
    if not at_work(info) or info.get("host") != platform.node() or not pid:
        return
    # More than that the number is taken: after a restart of the machine it may be anybody's, and
    # would keep the run from ever going on. A driver elsewhere is fenced by its epoch
    # (decision 19).
    same, command = _same_process(info), Path(f"/proc/{pid}/cmdline")
    if same is None:
        same = command.exists() and b"raygan" in command.read_bytes()
    if pid != os.getpid() and same:
        raise ConfigError(
            f"run {shown(path)!r} is running (pid {pid}). Stop it with `kill {pid}`, or wait for"
            " it."
        )


def ended_with(info: Mapping[str, Any]) -> int:
    """The exit code of a run that came to its end, whatever somebody has required of it then."""
    return 4 if info["status"] == "degraded" else 0


def is_done(path: Path, checkpoint: Checkpoint, config: Config) -> bool:
    """Has this run come to its end, with its last checkpoint and all that is measured then? One
    that was killed in between is gone on with: nothing is left to train, and it is measured.
    """
    info = read_info(path)
    # of before 0.3: nobody has noted it
    ended = info.get("status") in TRAINED and not at_work(info)
    return ended and all(step >= config.steps for step in checkpoint.steps.values())
