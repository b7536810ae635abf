"""Whose run it is, while another one asks for it."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import raygan
from raygan.errors import ConfigError
from raygan.service.resuming import resume_run
from raygan.service.runs.alive import process_start, refuse_running, running
from raygan.service.runs.run import Run
from tests.conftest import TINY

pytestmark = pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="needs /proc")


@pytest.fixture
def other() -> Iterator[subprocess.Popen[bytes]]:
    """A process that lives until its input ends; nothing in its command says whose it is."""
    code = "import sys; print(flush=True); sys.stdin.read()"
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        yield process
        process.kill()


def written_by(path: Path, pid: int, **facts: Any) -> Path:
    """A run folder that this process goes on with."""
    path.mkdir(exist_ok=True)
    info = {"status": "running", "pid": pid, "host": platform.node(), **facts}
    (path / "run.json").write_text(json.dumps(info))
    return path


def found(path: Path) -> tuple[bool, bool]:
    """(is it running, is it refused to others?)"""
    refused = ""
    try:
        refuse_running(path)
    except ConfigError as error:
        refused = str(error)
    assert "\n" not in refused
    return running(json.loads((path / "run.json").read_text())), bool(refused)


def test_a_script_s_run_is_its_own_while_it_lives(
    other: subprocess.Popen[bytes], tmp_path: Path
) -> None:
    path = written_by(tmp_path / "run", other.pid, process_start=process_start(other.pid))
    assert found(path) == (True, True)
    other.kill()
    os.waitid(os.P_PID, other.pid, os.WEXITED | os.WNOWAIT)
    assert found(path) == (False, False), "it has ended, and nobody has buried it yet"
    other.wait()
    assert found(path) == (False, False)


def test_a_number_that_somebody_else_has_now_holds_no_run(
    other: subprocess.Popen[bytes], tmp_path: Path
) -> None:
    before = f"{other.pid}/another-boot/12"
    assert found(written_by(tmp_path / "run", other.pid, process_start=before)) == (False, False)


@pytest.mark.parametrize("kept", [{}, {"process_start": None}, {"process_start": "1/x/2"}])
def test_a_run_of_before_is_told_by_its_command(
    kept: dict[str, Any], other: subprocess.Popen[bytes], tmp_path: Path
) -> None:
    """Also where an earlier release has gone on with one of this: it writes its number alone."""
    assert found(written_by(tmp_path / "run", other.pid, **kept)) == (True, False)


def test_a_driver_writes_what_it_is_known_by(tmp_path: Path) -> None:
    run = raygan.train(None, run_dir=tmp_path, name="run", inline=True, **{**TINY, "steps": 2})
    assert run.info["process_start"] == process_start(os.getpid())


def test_a_live_script_s_run_is_not_taken_from_it(
    other: subprocess.Popen[bytes], tmp_path: Path
) -> None:
    run = raygan.train(None, run_dir=tmp_path, name="run", inline=True, **{**TINY, "steps": 2})
    info = {**run.info, "status": "running", "pid": other.pid}
    info["process_start"] = process_start(other.pid)
    (run.path / "run.json").write_text(json.dumps(info))
    with pytest.raises(ConfigError, match=rf"is running \(pid {other.pid}\)"):
        resume_run(run.path, extra_steps=2, inline=True)
    assert Run(run.path).info["epoch"] == run.info["epoch"], "nobody was fenced off"
