"""examples/ end to end, as a user goes: submitted to a cluster, in a sweep that is killed, exported
and sampled by others.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from raygan.service.runs.run import Run

pytestmark = [pytest.mark.ray, pytest.mark.exhaustive]
EXAMPLES = Path(__file__).parents[2] / "examples"
PARTS = ("residual.py", "focal.py", "ring_gap.py")
OWN = ["--network", "./residual.py", "--network.width", "16", "--loss", "./focal.py",
       "--strategy", "./ring_gap.py", "--strategy.swap-every", "10", "--num-pairs", "2",
       "--evaluation.samples", "1600", "--resources.hub", "false"]  # fmt: skip
COUNT = (
    "import sys; from raygan.service.scores.export import load_exported as load; "
    "print(load(sys.argv[1], trust_code=True).sample(3).shape)"
)


def raygan(*argv: str, code: int = 0, elsewhere: Path | None = None, cwd: Path) -> str:
    """A command in a process of its own, of another user's state where `elsewhere` says so; what it
    prints.
    """
    environ = {**os.environ, **({"XDG_STATE_HOME": str(elsewhere)} if elsewhere else {})}
    done = subprocess.run(
        [sys.executable, "-m", "raygan.cli", *argv], capture_output=True, text=True, cwd=cwd,
        env=environ, timeout=200, check=False,
    )  # fmt: skip
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout + done.stderr


@pytest.fixture
def parts(tmp_path: Path) -> Path:
    folder = tmp_path / "job"
    folder.mkdir()
    for name in PARTS:
        shutil.copy(EXAMPLES / name, folder)
    return folder


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def below(pid: int) -> list[int]:
    """All processes that this one has started, and those that they have."""
    children = [int(c) for c in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    return [p for child in children for p in (*below(child), child)]


@pytest.fixture
def jobs() -> Iterator[str]:
    """Address for jobs of a cluster of its own."""
    port, folder = free_port(), Path("/tmp") / f"rg-{os.getpid()}"
    options = {
        "port": free_port(),
        "dashboard-port": port,
        "dashboard-agent-listen-port": free_port(),  # another Ray of this machine has the usual one
        "temp-dir": folder,
        "object-store-memory": 100_000_000,
        "num-cpus": 2,
    }
    command = [
        Path(sys.executable).parent / "ray",
        "start",
        "--head",
        "--block",
        "--include-dashboard=true",
    ]
    command += [f"--{key}={value}" for key, value in options.items()]
    head = subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
        env={**os.environ, "RAY_AUTH_MODE": "disabled"},
    )  # fmt: skip
    deadline = time.monotonic() + 90
    while True:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                break
        assert head.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.2)
    yield f"http://127.0.0.1:{port}"
    for pid in [*below(head.pid), head.pid]:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    head.wait(60)
    shutil.rmtree(folder, ignore_errors=True)


def asked_of_others(run: Path, cwd: Path) -> None:
    """Somebody who has never named these files: refused, then trusted, exported, and sampled
    without raygan's folder.
    """
    other = cwd / "other"
    export = ["export", str(run), "--from", "pair:0", "-o", str(cwd / "model")]
    assert "--trust-code" in raygan(*export, code=2, elsewhere=other, cwd=cwd)
    assert not (cwd / "model").exists()
    raygan(*export, "--trust-code", elsewhere=other, cwd=cwd)
    assert "--trust-code" in raygan(
        "sample", str(run), "-n", "4", "-o", "x.npz", code=2, elsewhere=other, cwd=cwd
    )
    raygan("sample", str(run), "-n", "4", "-o", "x.npz", "--trust-code", elsewhere=other, cwd=cwd)
    done = subprocess.run(
        [sys.executable, "-c", COUNT, str(cwd / "model")],
        capture_output=True,
        text=True,
        check=False,
        cwd=cwd,
    )
    assert done.stdout.strip() == "(3, 2)", done.stderr


def test_submitted_to_a_cluster(
    parts: Path, tmp_path: Path, jobs: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAY_AUTH_MODE", "disabled")
    job = [
        "submit",
        "--address",
        jobs,
        "--",
        "train",
        *OWN,
        "--steps",
        "40",
        "--run-dir",
        str(tmp_path / "runs"),
        "--name",
        "mine",
    ]
    raygan(*job, cwd=parts)
    run = Run.load(tmp_path / "runs/mine")
    assert (run.info["status"], run.info["executor"]) == ("done", "ray")
    assert len(run.swaps) > 0
    shutil.rmtree(parts)
    asked_of_others(run.path, tmp_path)


def test_a_sweep_killed_with_9_goes_on_with_its_own_parts(parts: Path, tmp_path: Path) -> None:
    sweep = parts / "s.yaml"
    sweep.write_text(
        "name: s\npreset: ring8-gap\nspace: {seed: [0, 1]}\nmax_concurrent: 1\nmetric:"
        " mixture.high_quality\nsettings: {network: {name: ./residual.py, width: 16}, loss:"
        " ./focal.py, strategy: {name: ./ring_gap.py, swap_every: 10}, num_pairs: 2, steps: 300,"
        " evaluation: {every_steps: 50, samples: 1600}, checkpoint: {every_steps: 50}}\n"
    )
    command = ["sweep", str(sweep), "--run-dir", str(tmp_path / "runs"), "--address", "local"]
    first = subprocess.Popen(
        [sys.executable, "-m", "raygan.cli", *command], start_new_session=True, cwd=parts
    )
    begun, deadline = tmp_path / "runs/s/runs/seed-0/checkpoints", time.monotonic() + 120
    while not (begun.exists() and any(begun.iterdir())):
        assert first.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.02)
    os.killpg(first.pid, signal.SIGKILL)
    first.wait(30)
    raygan(*command, "--resume", cwd=parts)
    for seed in (0, 1):
        run = Run.load(tmp_path / f"runs/s/runs/seed-{seed}")
        assert set(run.info["steps"].values()) == {300}
        assert "residual.py" in run.config.network["name"]
    shutil.rmtree(parts)
    asked_of_others(tmp_path / "runs/s/runs/seed-0", tmp_path)
