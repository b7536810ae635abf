"""A cluster whose workers all come by scaling: a head without CPUs, Ray's fake autoscaler, no node
up when the run is asked for. Nothing here stops another Ray than its own.
"""

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path
from socket import create_connection, socket
from typing import Any

import pytest
from ray._private.services import get_node_ip_address

from raygan.controller.run_folder import read_jsonl

pytestmark = [pytest.mark.ray, pytest.mark.exhaustive, pytest.mark.timeout(300)]
STORE = 100_000_000
CLUSTER: dict[str, Any] = {
    "cluster_name": "from-zero",
    "max_workers": 3,
    "idle_timeout_minutes": 1,
    "upscaling_speed": 10.0,
    "provider": {"type": "fake_multinode"},
    "head_node_type": "ray.head.default",
    "available_node_types": {
        "ray.head.default": {"resources": {"CPU": 0}, "node_config": {}, "max_workers": 0},
        "cpu": {
            "resources": {"CPU": 2, "object_store_memory": STORE},
            "node_config": {},
            "min_workers": 0,
            "max_workers": 2,
        },
        "gpu": {
            "resources": {"CPU": 2, "GPU": 1, "object_store_memory": STORE},
            "node_config": {},
            "min_workers": 0,
            "max_workers": 1,
        },
    },
    "auth": {},
    "file_mounts": {},
    "cluster_synced_files": [],
    "file_mounts_sync_continuously": False,
    "rsync_exclude": [],
    "rsync_filter": [],
    "docker": {},
    "setup_commands": [],
    "head_setup_commands": [],
    "worker_setup_commands": [],
    "initialization_commands": [],
    "head_start_ray_commands": [],
    "worker_start_ray_commands": [],
}


def free_port() -> int:
    with closing(socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    """Of such a cluster. Its whole process group is ended, and nobody else's."""
    with tempfile.TemporaryDirectory(prefix="rz", dir="/tmp", ignore_cleanup_errors=True) as folder:
        file, port = Path(folder) / "cluster.json", free_port()
        provider = CLUSTER["provider"] | {"gcs_address": f"{get_node_ip_address()}:{port}"}
        file.write_text(json.dumps(CLUSTER | {"provider": provider | {"use_node_id_as_ip": True}}))
        command = [
            str(Path(sys.executable).parent / "ray"), "start", "--head",
            "--block", f"--port={port}", "--num-cpus=0", f"--object-store-memory={STORE}",
            f"--autoscaling-config={file}", "--include-dashboard=false", f"--temp-dir={folder}",
            "--disable-usage-stats",
        ]  # fmt: skip
        more = {"RAY_FAKE_CLUSTER": "1", "AUTOSCALER_UPDATE_INTERVAL_S": "1",
                "RAY_AUTH_MODE": "disabled"}  # fmt: skip
        log = (Path(folder) / "out").open("w")
        with subprocess.Popen(
            command, env=os.environ | more, stdout=log, stderr=log, start_new_session=True
        ) as head:
            try:
                yield f"127.0.0.1:{port}"
            finally:
                head.send_signal(signal.SIGTERM)
                with suppress(subprocess.TimeoutExpired):
                    head.wait(30)
                with suppress(ProcessLookupError):
                    os.killpg(head.pid, signal.SIGKILL)


def up(address: str) -> None:
    """Wait until the head listens."""
    host, port = address.split(":")
    end = time.monotonic() + 60
    while time.monotonic() < end:
        with suppress(OSError), closing(create_connection((host, int(port)), 1)):
            return
        time.sleep(0.2)
    raise AssertionError("no head within 60 s")


def train(address: str, runs: Path, name: str, *flags: str) -> subprocess.CompletedProcess[str]:
    small = ["--steps", "20", "--num-pairs", "3", "--network.hidden", "8",
             "--evaluation.samples", "1500"]  # fmt: skip
    command = [
        sys.executable, "-m", "raygan.cli", "train", "--plain", "--address", address,
        "--run-dir", str(runs), "--name", name, "--resources.pairs-per-actor", "1",
        "--resources.wait-s", "120", *small, *flags,
    ]  # fmt: skip
    env = os.environ | {"RAY_AUTH_MODE": "disabled"}
    return subprocess.run(
        command, env=env, capture_output=True, text=True, timeout=280, check=False
    )


def test_a_run_on_a_cluster_that_has_no_node_yet(address: str, tmp_path: Path) -> None:
    up(address)
    never = train(address, tmp_path, "never", "--resources.cpus-per-pair", "3")
    assert never.returncode == 3, never.stderr
    assert "13.5 CPUs, the cluster can have 6" in never.stderr
    now = train(address, tmp_path, "now", "--resources.scale", "false")
    assert now.returncode == 3
    assert "would share 0 CPUs" in now.stderr
    gpus = train(address, tmp_path, "gpus")
    assert gpus.returncode == 3, gpus.stderr[-3000:]
    assert "Ray gave GPU 0" in gpus.stderr, "one that was not up yet was asked for, and came"
    more = train(address, tmp_path, "cpus", "--device", "cpu")
    assert more.returncode == 0, more.stderr[-3000:]
    scored = [r for r in read_jsonl(tmp_path / "cpus/metrics.jsonl") if r["kind"] == "score"]
    assert scored, "on nodes that all came by scaling"
