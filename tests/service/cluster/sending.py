"""`raygan submit` as a user types it."""

from pathlib import Path

import pytest

from raygan.cli import main


def submitted(folder: Path, retries: int) -> object:
    """A run that may be sent again so many times, out of this folder; the exit code."""
    with pytest.raises(SystemExit) as end:
        main([
            "submit", "--working-dir", str(folder), "--retries", str(retries), "--",
            "train", "--name", "mine", "--run-dir", "/r",
        ])  # fmt: skip
    return end.value.code
