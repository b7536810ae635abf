"""What stands beside every result: versions, machine, commit."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any


def provenance() -> dict[str, Any]:
    """What stands beside every result: versions, machine, commit."""
    import torch

    from raygan.gan.device import accelerator, chosen, described

    return {
        "versions": {p: version(p) for p in ("raygan", "torch", "ray", "numpy")}
        | {"python": platform.python_version()},
        "git": commit(),
        "machine": {
            "cpus": os.cpu_count(),
            "threads": torch.get_num_threads(),
            "system": platform.platform(),
            "processor": processor(),
            "gpu": described(chosen("auto")) if accelerator() else None,
        },
        "argv": sys.argv,
    }


def commit() -> str | None:
    """Of a checkout that raygan runs from; None where it is installed, or there is no git."""
    package = Path(__file__).parents[3]
    # Not git's own search upwards: a repository around site-packages is another project's.
    if not (package / ".git").exists():
        return None
    try:
        git = subprocess.run(
            ["git", "-C", str(package), "rev-parse", "HEAD"],
            capture_output=True,
            text=True,
            check=False,
        )
    except OSError:
        return None
    return git.stdout.strip() or None


def processor() -> str:
    """The name of this machine's CPU."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    return next(
        (line.partition(":")[2].strip() for line in lines if line.startswith("model name")),
        platform.machine(),
    )
