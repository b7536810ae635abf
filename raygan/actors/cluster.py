"""Start or join Ray, quietly; import this inside a verb, not at start-up (0.5 s)."""

from __future__ import annotations

import contextlib
import logging
import os
import socket
import sys
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from raygan.errors import ConfigError

REGISTER_S = "20"
"""Ray (60 s) misses a process that dies while it starts only after this time, and then starts another one."""
PATIENCE_S = 10.0
"""For an address to take a connection."""
TRIES = "3"
"""To join. One takes 1 s where the token is wrong, 35 s where something else listens; Ray tries 20 times."""


class OwnRay:
    """The Ray that this process has started, while there is one."""

    options: dict[str, Any] | None = None
    starts = 0
    """Whoever keeps a handle of an actor sees from this number that the handle is of an earlier Ray."""


@contextmanager
def cluster(address: str, object_store_mb: int, start: bool = True) -> Iterator[None]:
    """Ray for the length of a block.

    address: "local" starts one here; "auto" joins the cluster that RAY_ADDRESS names and starts one otherwise; anything
    else is joined. A Ray that is up already in this process is used and left running. start: False joins only; "auto" is then
    also one that `ray start` has started on this machine. Raises ConfigError.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault(
        "RAY_IGNORE_UNHANDLED_ERRORS", "1"
    )  # of orders that a restart has dropped; the journal tells why
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    given = os.environ.get("RAY_ADDRESS")
    join = given if address == "auto" else (None if address == "local" else address)
    if not start:
        join = join or "auto"
    if join and join.startswith(("http://", "https://")):
        raise ConfigError(
            f"address = {join!r}: that is the address for jobs. Name the cluster's own (host:6379), or run the command there: "
            f"`raygan submit --address {join} -- VERB ...`."
        )
    up = "ray" in sys.modules and sys.modules["ray"].is_initialized()
    if join:
        if not up:
            _knock(join)
        os.environ.setdefault("RAY_AUTH_MODE", "token")  # a local cluster turns them on by itself, a client must say so
        os.environ.setdefault("RAY_gcs_server_port_wait_time_s", TRIES)
    elif "ray" not in sys.modules:
        # read by the import: the process whose life Ray asks for before it ends this one for its raylet's death; else our parent
        os.environ["RAY_RAYLET_PID"] = str(os.getpid())
    import ray

    if up:
        yield
        return
    logging.getLogger("ray._private.authentication.authentication_token_setup").setLevel(logging.ERROR)
    options: dict[str, Any] = {"namespace": "raygan", "logging_level": logging.WARNING, "log_to_driver": True}
    if join:
        options["address"] = join
    else:
        os.environ.setdefault("RAY_worker_register_timeout_seconds", REGISTER_S)
        options |= {
            "address": "local",
            "include_dashboard": False,
            "object_store_memory": object_store_mb << 20,
            "_temp_dir": os.environ.get("RAY_TMPDIR") or private_folder(),
        }
    try:
        _init(options)
    except (ConnectionError, RuntimeError, ValueError) as error:
        reason = " ".join(str(error).split())[:200]
        raise ConfigError(
            f"address = {address!r}: cannot reach a Ray cluster there, or it takes another token (~/.ray/auth_token, "
            f"RAY_AUTH_TOKEN_PATH) ({reason}). Start one with `ray start --head`, or use --address local."
        ) from None
    close_token()
    OwnRay.options = None if join else options
    try:
        yield
    finally:
        OwnRay.options = None
        ray.shutdown()


def _knock(address: str) -> None:
    """Raises ConfigError where nobody listens at host:port, which Ray itself tells after minutes."""
    host, colon, port = address.rpartition(":")
    if not colon or "//" in host:
        return
    try:
        socket.create_connection((host.strip("[]"), int(port)), PATIENCE_S).close()
    except (OSError, ValueError, OverflowError) as error:
        raise ConfigError(
            f"address = {address!r}: nobody listens there ({error}). Start a cluster with `ray start --head`, or use "
            "--address local."
        ) from None


def _init(options: dict[str, Any]) -> None:
    import ray

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        ray.init(**options)
    OwnRay.starts += 1


def dead_head() -> str | None:
    """Which of the two processes that no Ray can do without is dead, of a Ray that this process has started; else None.

    Ray itself ends the driver then: 2 s after its raylet, 60 s after its GCS.
    """
    from ray._private import worker

    node = worker._global_node  # the object that started them; Ray tells in no other way
    if OwnRay.options is None or node is None:
        return None
    dead = [kind for kind, _ in node.dead_processes() if kind in ("gcs_server", "raylet")]
    return dead[0] if dead else None


def start_again() -> None:
    """Another Ray in place of ours: no actor, no object and no handle of the old one is left. Takes 4 s after a death of the
    raylet, 14 s after one of the GCS, for which Ray's shutdown waits.
    """
    import ray

    assert OwnRay.options is not None, "only a Ray of ours can be started again"
    ray.shutdown()
    _init(OwnRay.options)


def private_folder() -> str:
    """Where a Ray of ours keeps its session and logs: nobody else may look. Ray opens its own folder to all (0777)."""
    folder = Path(tempfile.gettempdir()) / f"raygan-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    facts = folder.lstat()
    if facts.st_uid != os.getuid() or facts.st_mode & 0o077:  # made by somebody else
        folder = Path(tempfile.mkdtemp(prefix="raygan-"))
    return str(folder / "ray")


def close_token() -> None:
    """Ray 2.60 leaves its token readable for everybody (0644)."""
    token = Path(os.environ.get("RAY_AUTH_TOKEN_PATH") or Path.home() / ".ray/auth_token")
    with contextlib.suppress(FileNotFoundError, PermissionError):  # somebody else's, given to us to use
        token.chmod(0o600)
