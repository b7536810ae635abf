"""kill -9 of the driver in mid-run, then `raygan resume`: the weights of the run that was never
disturbed.
"""

import json
import os
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from raygan.controller.checkpoint import newest_valid
from raygan.controller.run_folder import read_jsonl
from raygan.gan.bundle import unpack
from raygan.gan.weights import digest

pytestmark = [pytest.mark.ray, pytest.mark.exhaustive]
ARGS = ["--steps", "400", "--num-pairs", "2", "--network.hidden", "32",
        "--checkpoint.every-steps", "50", "--evaluation.every-steps", "400",
        "--evaluation.samples", "1500", "--evaluation.reject", "never", "--plain",
        "--address", "local"]  # fmt: skip


def raygan(*args: str) -> list[str]:
    return [sys.executable, "-P", "-m", "raygan.cli", *args]


def traps(folder: Path) -> Path:
    """A working directory with files that are named like modules."""
    folder.mkdir()
    for name in ("raygan", "numpy", "torch", "ray"):
        (folder / f"{name}.py").write_text("raise SystemExit('the wrong one')\n")
    return folder


def final_digests(run: Path) -> dict[str, str]:
    checkpoint, problems = newest_valid(run)
    assert checkpoint is not None
    assert not problems
    assert checkpoint.step == 400
    return {p: digest(unpack(raw)) for p, raw in checkpoint.parts.items()}


def wait_for_checkpoint(run: Path, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 120
    while not list(run.glob("checkpoints/*/manifest.json")):
        assert process.poll() is None, "the run ended before it could be stopped"
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The undisturbed run's final weights."""
    folder = tmp_path_factory.mktemp("whole")
    subprocess.run(
        raygan("train", *ARGS, "--inline", "--run-dir", str(folder), "--name", "whole"),
        check=True, capture_output=True, timeout=200,
    )  # fmt: skip
    return final_digests(folder / "whole")


@pytest.mark.parametrize(
    ("signum", "code", "status"),
    [
        (signal.SIGKILL, -9, "running"),
        (signal.SIGTERM, 143, "stopped"),
        (signal.SIGHUP, 129, "stopped"),
    ],
)
def test_resumed_equals_undisturbed(
    tmp_path: Path, whole: dict[str, str], signum: int, code: int, status: str
) -> None:
    disturbed = tmp_path / "disturbed"
    process = subprocess.Popen(
        raygan("train", *ARGS, "--run-dir", str(tmp_path), "--name", "disturbed"),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
        cwd=traps(tmp_path / "cwd"),
    )
    wait_for_checkpoint(disturbed, process)
    if (
        signum == signal.SIGHUP
    ):  # a terminal that is closed: everybody in the group hears it, the driver twice
        os.killpg(process.pid, signum)
    os.kill(process.pid, signum)
    assert process.wait(60) == code
    info = json.loads((disturbed / "run.json").read_text())
    assert info["status"] == status
    assert info["pid"] == process.pid
    subprocess.run(
        raygan("resume", str(disturbed), "--plain"), check=True, capture_output=True, timeout=200
    )
    assert final_digests(disturbed) == whole
    info = json.loads((disturbed / "run.json").read_text())
    assert (info["status"], info["exit_code"]) == ("done", 0)


def children(of: int) -> dict[str, int]:
    """Name -> process of those that it has started; zombies do not count."""
    found = dict[str, int]()
    for entry in Path("/proc").glob("[0-9]*/stat"):
        try:
            name, _, rest = entry.read_text().partition("(")[2].rpartition(")")
        except OSError:
            continue
        state, parent = rest.split()[:2]
        if int(parent) == of and state != "Z":
            found[name] = int(entry.parent.name)
    return found


def events(run: Path, kind: str) -> list[dict[str, object]]:
    return [e for e in read_jsonl(run / "events.jsonl") if e["kind"] == kind]


def test_a_run_outlives_its_own_ray(tmp_path: Path, whole: dict[str, str]) -> None:
    """Also as a child of process 1, as in a container: Ray then takes the raylet for dead when its
    parent is that process.
    """
    run = tmp_path / "headless"
    command = raygan(
        "train", *ARGS, "--round-steps", "5", "--run-dir", str(tmp_path), "--name", "headless"
    )
    shell = f"{shlex.join(command)} >{tmp_path}/log 2>&1 & echo $!"
    driver = int(
        subprocess.run(["sh", "-c", shell], capture_output=True, text=True, check=True).stdout
    )
    deadline = time.monotonic() + 240
    for deaths, name in enumerate(("gcs_server", "raylet")):
        saved = len(events(run, "checkpoint"))
        while len(events(run, "restart")) < deaths or len(events(run, "checkpoint")) == saved:
            assert time.monotonic() < deadline, (tmp_path / "log").read_text()[-2000:]
            time.sleep(0.02)
        os.kill(children(driver)[name], signal.SIGKILL)
    while (info := json.loads((run / "run.json").read_text()))["status"] == "running":
        assert time.monotonic() < deadline, (tmp_path / "log").read_text()[-2000:]
        time.sleep(0.1)
    assert (info["status"], info["exit_code"]) == ("done", 0)
    causes = [(e["player"], e["why"], e["cause"]) for e in events(run, "death")]
    assert causes == [
        ("ray", "head", f"its {name} process is gone") for name in ("gcs_server", "raylet")
    ]
    assert final_digests(run) == whole
