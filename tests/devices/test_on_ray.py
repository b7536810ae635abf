"""Inside of Ray's actors, each with a share of a logical GPU: the same bits, deaths, newcomers."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytestmark = [pytest.mark.ray, pytest.mark.exhaustive]


def told_by(module: str, *arguments: str) -> Any:
    """In a process of its own: the session's Ray has no GPU."""
    run = subprocess.run(
        [sys.executable, "-m", f"tests.devices.{module}", *arguments],
        capture_output=True, text=True, timeout=200, check=False,
    )  # fmt: skip
    assert run.returncode == 0, run.stderr[-2000:]
    return json.loads(run.stdout.splitlines()[-1])


def test_players_that_ray_gave_a_gpu_have_the_bits_of_one_process() -> None:
    told = told_by("on_ray")
    assert told["same"]
    assert set(told["ran"].values()) == {"cuda:0 (Fake CUDA)"}


def test_who_dies_gets_its_gpu_back_and_nobody_waits_for_one_that_does_not_come(
    tmp_path: Path,
) -> None:
    """The group holds all GPUs: whoever asked for one outside of it waited for ever."""
    told = told_by("gpu_dies", str(tmp_path))
    kinds = [e["kind"] for e in told["events"]]
    assert (kinds.count("death"), kinds.count("revive"), kinds.count("restart")) == (1, 1, 0)
    (refused,) = [e["why"] for e in told["events"] if e["kind"] == "refused"]
    assert refused.startswith("--pairs 4: room for 0 of 1 newcomers with 0.5 GPUs each")
    assert set(told["done"].values()) == {400}
