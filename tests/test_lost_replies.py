"""Requests and replies of Ray that get lost: no call is sent twice; the run goes back to the
journal's head.
"""

import json
import os
import subprocess
from pathlib import Path

import pytest

from tests.test_killed import ARGS, final_digests, raygan

pytestmark = [pytest.mark.ray, pytest.mark.exhaustive]
LOSSES = {
    "CoreWorkerService.grpc_client.PushTask": {
        "num_failures": 4,
        "req_failure_prob": 20,
        "resp_failure_prob": 20,
    }
}
GAP = [
    *ARGS,
    "--strategy",
    "gap",
    "--strategy.swap-every",
    "20",
    "--failures.lease-s",
    "10",
    "--failures.budget",
    "50",
]


def test_lost_requests_and_replies_leave_no_trace_in_the_weights(tmp_path: Path) -> None:
    env = {**os.environ, "RAY_testing_rpc_failure": json.dumps(LOSSES)}
    subprocess.run(
        raygan("train", *GAP, "--run-dir", str(tmp_path), "--name", "lossy"),
        check=True,
        capture_output=True,
        env=env,
        timeout=280,
    )
    info = json.loads((tmp_path / "lossy/run.json").read_text())
    assert info["warnings"]["W201 player-died"] >= 1, "some were lost"
    subprocess.run(
        raygan("train", *GAP, "--inline", "--run-dir", str(tmp_path), "--name", "whole"),
        check=True,
        capture_output=True,
        timeout=280,
    )
    assert final_digests(tmp_path / "lossy") == final_digests(tmp_path / "whole")
