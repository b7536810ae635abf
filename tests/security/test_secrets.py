"""Secrets of the environment stay there: five canaries, then everything that a run and its Ray have
written is searched.
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = [pytest.mark.ray, pytest.mark.exhaustive]
CANARIES = {
    name: f"canary-{name.lower()}-5f1e9c"
    for name in (
        "WANDB_API_KEY",
        "AWS_SECRET_ACCESS_KEY",
        "HF_TOKEN",
        "MLFLOW_TRACKING_PASSWORD",
        "DATABASE_URL",
    )
}


def test_no_canary_is_written_anywhere(tmp_path: Path) -> None:
    session = Path("/tmp") / f"rg-{os.getpid()}"  # short: sockets lie below it
    args = ["train", "--steps", "20", "--num-pairs", "2", "--network.hidden", "8",
            "--evaluation.samples", "1500", "--checkpoint.every-steps", "10",
            "--run-dir", str(tmp_path / "runs"), "--name", "run", "--address", "local",
            "--plain"]  # fmt: skip
    env = {**os.environ, **CANARIES, "RAY_TMPDIR": str(session)}
    try:
        done = subprocess.run(
            [sys.executable, "-m", "raygan.cli", *args],
            env=env,
            capture_output=True,
            text=True,
            check=True,
            timeout=240,
        )
        files = [p for root in (tmp_path, session) for p in root.rglob("*") if p.is_file()]
        assert any("raylet" in p.name for p in files), "Ray's session was searched, too"
        assert any(p.name == "run.json" for p in files)
        written = {str(p): p.read_bytes() for p in files} | {
            "output": (done.stdout + done.stderr).encode()
        }
        token = (Path.home() / ".ray/auth_token").read_text().strip()
        for secret in [*CANARIES.values(), token]:
            assert [name for name, raw in written.items() if secret.encode() in raw] == [], secret
    finally:
        subprocess.run(["rm", "-rf", str(session)], check=False)
