"""The same bits inside of Ray's actors, each with a share of a logical GPU."""

import json
import subprocess
import sys

import pytest


@pytest.mark.ray
@pytest.mark.exhaustive
def test_players_that_ray_gave_a_gpu_have_the_bits_of_one_process() -> None:
    """In a process of its own: the session's Ray has no GPU."""
    run = subprocess.run(
        [sys.executable, "-m", "tests.devices.on_ray"], capture_output=True, text=True, timeout=200,
        check=False
    )  # fmt: skip
    assert run.returncode == 0, run.stderr[-2000:]
    told = json.loads(run.stdout.splitlines()[-1])
    assert told["same"]
    assert set(told["ran"].values()) == {"cuda:0 (Fake CUDA)"}
