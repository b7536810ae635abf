"""Who answers whom: every port that a run's Ray listens on, asked without a token, with a wrong
one, and with a foreign one.
"""

import contextlib
import http.client
import os
import re
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import ray

from raygan.actors.executor import RayExecutor
from raygan.strategies.roles import GLOBAL
from tests.conftest import setup_of, tiny_config

pytestmark = [pytest.mark.ray, pytest.mark.exhaustive, pytest.mark.usefixtures("ray_session")]

ROLES = {
    "gcs_server": "head", "raylet": "raylet", "DashboardAgent": "agent", "RuntimeEnvAgent": "agent",
    "dashboard/": "dashboard", "monitor.py": "autoscaler", "log_monitor": "logs", "ray::": "worker",
    "pytest": "driver", "python": "driver",
}  # fmt: skip
"""What a process is, by a part of its command line, first match first. A listener of another kind
turns the test red.
"""
TOKENS = {"no": None, "wrong": "wrong", "foreign": secrets.token_hex(32)}
CALLS = ["NodeInfoGcsService/GetAllNodeInfo", "InternalKVGcsService/InternalKVGet",
         "InternalKVGcsService/InternalKVPut", "ActorInfoGcsService/KillActorViaGcs",
         "JobInfoGcsService/GetAllJobInfo", "NodeManagerService/GetNodeStats",
         "NodeManagerService/ShutdownRaylet", "CoreWorkerService/GetCoreWorkerStats",
         "CoreWorkerService/PushTask",
         "CoreWorkerService/Exit", "ReporterService/GetTraceback"]  # fmt: skip
PAGES = ["/", "/api/version", "/api/jobs/", "/api/job_agent/jobs/", "/api/local_raylet_healthz",
         "/nodes?view=summary", "/logs", "/api/cluster_status", "/api/v0/actors"]  # fmt: skip
HARMLESS = {"/api/local_raylet_healthz"}
"""Says "success" for liveness probes, and nothing else."""
METRICS = b"# HELP"
"""Known gap of Ray 2.60: metrics exporters answer without a token. Their labels carry no secrets
and no paths.
"""


def ours(pid: int) -> bool:
    """Is it this process, or one that it has started, or one that those have?"""
    while pid not in (0, 1, os.getpid()):
        pid = int((Path("/proc") / str(pid) / "stat").read_text().rpartition(")")[2].split()[1])
    return pid == os.getpid()


def listeners() -> dict[int, str]:
    """{port: command line of the process of ours that listens on it}."""
    inodes = {}
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        for line in Path(table).read_text().splitlines()[1:]:
            part = line.split()
            if part[3] == "0A":
                inodes[part[9]] = int(part[1].rpartition(":")[2], 16)
    out = {}
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):  # it has ended meanwhile
            if not ours(int(process.name)):
                continue
            for handle in (process / "fd").iterdir():
                found = re.match(r"socket:\[(\d+)\]", str(handle.readlink()))
                if found and found[1] in inodes:
                    command = (
                        (process / "cmdline")
                        .read_bytes()
                        .replace(b"\0", b" ")
                        .decode(errors="replace")
                    )
                    out[inodes[found[1]]] = command
    return out


def asked_by_http(port: int, token: str | None) -> Iterator[tuple[str, bool]]:
    """(path, was it answered?)."""
    for path in PAGES:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=3)
        try:
            connection.request(
                "GET", path, headers={} if token is None else {"Authorization": f"Bearer {token}"}
            )
            response = connection.getresponse()
            yield path, response.status < 400 and not response.read(6).startswith(METRICS)
        except (OSError, http.client.HTTPException):  # no HTTP here
            yield path, False
        finally:
            connection.close()


def asked_by_grpc(port: int, token: str | None) -> Iterator[tuple[str, bool]]:
    """(method, was it answered?)."""
    import grpc

    metadata = [] if token is None else [("authorization", f"Bearer {token}")]
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        for call in CALLS:
            method: Any = channel.unary_unary(
                f"/ray.rpc.{call}", request_serializer=bytes, response_deserializer=bytes
            )
            try:
                method(b"", timeout=3, metadata=metadata)
            except grpc.RpcError:
                yield call, False
            else:
                yield call, True


def test_nobody_without_the_token_gets_an_answer() -> None:
    executor = RayExecutor("doors", setup_of(tiny_config(steps=2)))
    executor.start(["pair-00", "pair-01", GLOBAL], {})
    try:
        mine = listeners()
        unknown = {p: c for p, c in mine.items() if not any(mark in c for mark in ROLES)}
        assert not unknown, "a listener that this test does not know"
        assert len({next(r for m, r in ROLES.items() if m in c) for c in mine.values()}) >= 4, (
            "head, raylet, agent, worker"
        )
        requests, answered = 0, []
        for port, command in mine.items():
            for kind, token in TOKENS.items():
                for asked in (asked_by_http(port, token), asked_by_grpc(port, token)):
                    for what, yes in asked:
                        requests += 1
                        if yes and what not in HARMLESS:
                            answered.append(f"{command[:60]} port {port}: {what} with {kind} token")
        assert requests >= 300
        assert answered == []
        assert (
            ray.get(executor.workers.actors["pair-00"].where.remote("pair-00"), timeout=60)["step"]
            == 0
        ), "nothing was killed"
    finally:
        executor.close()


def test_the_token_and_the_session_are_ours_alone() -> None:
    from ray._private.worker import global_worker

    node: Any = global_worker.node
    for path in (Path.home() / ".ray/auth_token", Path(node.get_session_dir_path()).parents[1]):
        assert not path.stat().st_mode & 0o077, path
