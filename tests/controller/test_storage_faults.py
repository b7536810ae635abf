"""A save in a process of its own, struck at its n-th system call, for every n: killed, EIO, ENOSPC.
Needs strace.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from raygan.controller.checkpoint import Checkpoint, newest_valid, write_checkpoint
from raygan.controller.journal import Journal
from raygan.controller.storage import LocalStorage

SAVE = """
import sys
from pathlib import Path
from raygan.controller.checkpoint import Checkpoint, write_checkpoint
from raygan.controller.journal import Journal
from raygan.controller.storage import LocalStorage
journal = Journal.open(LocalStorage(Path(sys.argv[1])))
step = int(sys.argv[2])
parts = {"pair-00": b"a" * 5000, "global": b"c" * 6000}
write_checkpoint(journal, Checkpoint(step, parts, {"pair-00": step, "global": 8}), 1)
"""
CALLS = ("mkdir", "write", "fsync", "rename", "unlinkat", "rmdir", "ftruncate")
PARTS = {"pair-00": b"a" * 5000, "global": b"b" * 6000}


def strace_works() -> bool:
    return (
        bool(shutil.which("strace"))
        and subprocess.run(["strace", "-qq", "-o", "/dev/null", "true"], check=False).returncode
        == 0
    )


@pytest.mark.exhaustive
@pytest.mark.parametrize(
    "step", [8, 4]
)  # a first write, and the rewrite of the step that is the newest
@pytest.mark.parametrize("fault", ["signal=KILL", "error=EIO", "error=ENOSPC"])
def test_a_save_that_is_struck_at_any_system_call_loses_nothing(
    tmp_path: Path, fault: str, step: int
) -> None:
    if not strace_works():
        pytest.skip("strace is not there, or not allowed: 3 x 20 faults not tried")
    struck = 0
    for call in CALLS:
        for n in range(1, 40):
            folder = tmp_path / f"{call}{n}"
            journal = Journal.open(LocalStorage(folder))
            write_checkpoint(journal, Checkpoint(4, PARTS, {"pair-00": 4, "global": 4}))
            shutil.copytree(
                folder / "checkpoints/00000004", folder / "checkpoints/00000008"
            )  # renamed, never recorded
            command = [
                "strace",
                "-f",
                "-qq",
                "-o",
                str(tmp_path / "log"),
                "-e",
                f"inject={call}:{fault}:when={n}",
            ]
            done = subprocess.run(
                [*command, sys.executable, "-c", SAVE, str(folder), str(step)],
                capture_output=True,
                check=False,
                env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
            )
            hit = "INJECTED" in (tmp_path / "log").read_text() or done.returncode == -9
            found, problems = newest_valid(folder)
            assert problems == [], (call, n)
            assert found is not None
            new = found.parts == {**PARTS, "global": b"c" * 6000} and found.step == step
            assert new or (found.parts == PARTS and found.step == 4), (
                f"{call} {n}: neither the one nor the other"
            )
            assert new or (hit and done.returncode != 0), f"{call} {n}: it said that it had saved"
            again = Journal.open(LocalStorage(folder))  # and the next one works
            write_checkpoint(again, Checkpoint(12, PARTS, {"pair-00": 12, "global": 12}))
            after, _ = newest_valid(folder)
            assert after is not None
            assert after.step == 12
            assert not list((folder / "checkpoints").glob("*.tmp"))
            shutil.rmtree(folder)
            struck += hit
            if not hit:
                break
    assert struck >= (20 if step == 8 else 15), (
        "no call was struck: does the save still go to the disk?"
    )
