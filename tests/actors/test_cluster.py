"""Our own Ray and its token."""

import os
import socket
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from raygan.actors import cluster as joining
from raygan.actors.cluster import close_token, refuse_dashboard
from raygan.errors import ConfigError


@pytest.fixture
def port(request: pytest.FixtureRequest) -> Iterator[int]:
    """Of somebody who says so much to the first who comes, then hangs up; None: nothing, ever."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def answer() -> None:
            there, _ = server.accept()
            if request.param is not None:
                there.recv(1024)
                there.sendall(request.param)
                there.close()
            kept.append(there)

        kept: list[socket.socket] = []
        thread = threading.Thread(target=answer)
        thread.start()
        yield server.getsockname()[1]
        thread.join(10)
        for there in kept:
            there.close()


@pytest.mark.parametrize(
    "port",
    [b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", b"HTTP/1.1 401 Unauthorized\r\n\r\n"],
    indirect=True,
)
def test_a_dashboards_port_is_told_at_once(port: int) -> None:
    with pytest.raises(ConfigError) as told:
        refuse_dashboard(f"127.0.0.1:{port}")
    assert f"raygan submit --address http://127.0.0.1:{port} -- VERB" in str(told.value)
    assert "that is the address for jobs" in str(told.value)


@pytest.mark.parametrize("port", [b"\0\0\x12\4\0\0\0\0\0", b"", None], indirect=True)
def test_a_clusters_own_port_speaks_no_http(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(joining, "HTTP_S", 0.05)
    refuse_dashboard(f"127.0.0.1:{port}")


def test_what_is_no_port_is_left_to_others() -> None:
    for address in ("auto", "http://127.0.0.1:8265"):
        refuse_dashboard(address)


@pytest.mark.parametrize("given", [True, False])
def test_the_token_is_ours_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, given: bool
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    token = tmp_path / ("mine" if given else ".ray/auth_token")
    if given:
        monkeypatch.setenv("RAY_AUTH_TOKEN_PATH", str(token))
    else:
        monkeypatch.delenv("RAY_AUTH_TOKEN_PATH", raising=False)
    close_token()  # where there is none, nothing happens
    token.parent.mkdir(exist_ok=True)
    token.write_text("secret")
    token.chmod(0o644)
    close_token()
    assert stat.S_IMODE(token.stat().st_mode) == 0o600


AFTER_A_CLOSED_DOOR = """
import os, sys
if sys.argv[1] == "imported before":
    import ray
elif sys.argv[1] == "another token before":
    os.environ["RAY_AUTH_TOKEN"] = "x" * 32
from raygan.actors.cluster import cluster
from raygan.errors import ConfigError
try:
    with cluster("127.0.0.1:1", 100):
        raise AssertionError("nobody listens there")
except ConfigError:
    pass
if sys.argv[1] == "another token before":
    with cluster("local", 100):
        pass
    del os.environ["RAY_AUTH_TOKEN"]
with cluster("local", 100):
    print("in", end="")
"""


@pytest.mark.parametrize("life", ["imported before", "another token before"])
def test_a_ray_of_our_own_starts_after_a_cluster_that_could_not_be_joined(
    life: str, tmp_path: Path
) -> None:
    """Ray reads whether there are tokens when it is imported, and the token once a process."""
    # in a process of its own: what Ray has read stays with it
    free = {k: v for k, v in os.environ.items() if not k.startswith("RAY_")}
    done = subprocess.run(
        [sys.executable, "-c", AFTER_A_CLOSED_DOOR, life],
        cwd=tmp_path, env=free, capture_output=True, text=True, timeout=240, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (0, "in"), done.stderr[-2000:]
