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
    package = Path(__file__).parents[2]
    git = subprocess.run(
        ["git", "-C", str(package), "rev-parse", "HEAD"], capture_output=True, text=True, check=False
    )  # fmt: skip
    return {
        "versions": {p: version(p) for p in ("raygan", "torch", "ray", "numpy")}
        | {"python": platform.python_version()},
        "git": git.stdout.strip() or None,
        "machine": {"cpus": os.cpu_count(), "system": platform.platform(), "processor": processor()},
        "argv": sys.argv,
    }


def processor() -> str:
    """The CPU's name."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    return next(
        (line.partition(":")[2].strip() for line in lines if line.startswith("model name")),
        platform.machine(),
    )
