"""Start or join Ray, quietly; import this inside a verb, not at start-up (0.5 s)."""

from __future__ import annotations

import contextlib
import http.client
import logging
import os
import socket
import sys
import threading
import warnings
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from raygan.actors.machine import (
    code_path,
    deaf_to_the_terminal,
    join_error,
    refuse_few_files,
    session_folder,
    settle_home,
    settle_token,
    start_error,
    tell,
)  # fmt: skip
from raygan.errors import ConfigError
from raygan.paths import home

REGISTER_S = "20"
"""Ray (60 s) misses a process that dies while it starts only after this time, and then starts
another one.
"""
PATIENCE_S = 10.0
"""For an address to take a connection."""
HTTP_S = 2.0
"""For a dashboard to answer."""
TRIES = "3"
"""To join. One takes 1 s where the token is wrong, 35 s where something else listens; Ray tries 20
times.
"""


class OwnRay:
    """The Ray that this process has started, while there is one."""

    options: dict[str, Any] | None = None
    lock = threading.RLock()
    keeper = ThreadPoolExecutor(1, "ray")
    """Linux ends a child whose parent asked for that when the parent's *thread* ends: a Ray that a
    run's thread asks for is begun by one that stays.
    """
    users = 0
    """Blocks of this process that are in Ray now: the last one out ends a Ray that we began."""
    ours = False
    starts = 0
    """Whoever keeps a handle of an actor sees from this number that the handle is of an earlier
    Ray.
    """


@contextmanager
def cluster(address: str, object_store_mb: int, start: bool = True) -> Iterator[None]:
    """Ray for the length of a block.

    address: "local" starts one here; "auto" joins the cluster that RAY_ADDRESS names and starts one
    otherwise; anything else is joined. A Ray that is up already in this process is used and left
    running. start: False joins only; "auto" is then also one that `ray start` has started on this
    machine. Raises ConfigError. Runs of several threads share it.
    """
    with OwnRay.lock:
        # Ray is bound to the thread that has begun it: begun by a run's thread it would be gone
        # with that, while other runs of the process use it
        if threading.current_thread() is threading.main_thread():
            _enter(address, object_store_mb, start)
        else:
            OwnRay.keeper.submit(_enter, address, object_store_mb, start).result()
        OwnRay.users += 1
    try:
        yield
    finally:
        with OwnRay.lock:
            OwnRay.users -= 1
            if OwnRay.ours and not OwnRay.users:
                import ray

                OwnRay.options, OwnRay.ours = None, False
                ray.shutdown()


VARIABLES = {
    "RAY_USAGE_STATS_ENABLED": "0",
    # Ray prints errors of calls that nobody asked for any more: those of orders that a restart has
    # dropped. The journal tells why.
    "RAY_IGNORE_UNHANDLED_ERRORS": "1",
    # else Ray empties CUDA_VISIBLE_DEVICES in actors that ask for no GPU
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
}
"""Of any Ray of ours, where the user has not said otherwise."""
JOINING = {
    # a local cluster turns tokens on by itself, a client must say so
    "RAY_AUTH_MODE": "token",
    "RAY_gcs_server_port_wait_time_s": TRIES,
}


def _enter(address: str, object_store_mb: int, start: bool) -> None:
    """Be in a Ray: the one that is up in this process, one that is joined, or one that begins."""
    join = _to_join(address, start)
    for name, value in {**VARIABLES, **(JOINING if join else {})}.items():
        os.environ.setdefault(name, value)
    if "ray" in sys.modules and sys.modules["ray"].is_initialized():
        return
    if join:
        # Ray itself tells after minutes that nobody is there
        knock(join)
        refuse_dashboard(join)
    elif "ray" not in sys.modules:
        # read by the import: the process whose life Ray asks for before it ends this one for its
        # raylet's death; else our parent
        os.environ["RAY_RAYLET_PID"] = str(os.getpid())
    settle_home()
    settle_token(join=bool(join))
    import ray

    read_again()
    logging.getLogger("ray._private.authentication.authentication_token_setup").setLevel(
        logging.ERROR
    )
    options: dict[str, Any] = {
        "namespace": "raygan", "logging_level": logging.WARNING, "log_to_driver": True,
        # a private field: Ray has no public way to keep the working directory out of workers'
        # paths, where a numpy.py of the user's broke them (decision 58)
        "job_config": ray.job_config.JobConfig(_py_driver_sys_path=code_path()),
        **({"address": join} if join else _own_options(object_store_mb)),
    }  # fmt: skip
    try:
        if join == "auto":
            knock_nearest()
        _init(options)
    except ConfigError:
        raise
    except Exception as error:
        # of any class: Ray raises bare Exceptions, too
        raise (
            join_error(error, address) if join else start_error(error, options["_temp_dir"])
        ) from None
    close_token()
    OwnRay.options, OwnRay.ours = None if join else options, True


def _to_join(address: str, start: bool) -> str | None:
    """Ray's own name of the cluster to join; None: one is to begin. Raises ConfigError."""
    given = os.environ.get("RAY_ADDRESS")
    join = given if address == "auto" else (None if address == "local" else address)
    if not start:
        join = join or "auto"
    if join and join.startswith(("http://", "https://")):
        raise for_jobs(join, join)
    return join


def for_jobs(address: str, dashboard: str) -> ConfigError:
    """Of an address that is the dashboard's."""
    return ConfigError(
        f"address = {address!r}: that is the address for jobs. Name the cluster's own (host:6379),"
        f" or run the command there: `raygan submit --address {dashboard} -- VERB ...`."
    )


def _own_options(object_store_mb: int) -> dict[str, Any]:
    """Of a Ray that begins here."""
    os.environ.setdefault("RAY_worker_register_timeout_seconds", REGISTER_S)
    refuse_few_files()
    return {
        "address": "local",
        "include_dashboard": False,
        "object_store_memory": object_store_mb << 20,
        "_temp_dir": session_folder(),
    }


def read_again() -> None:
    """Ray's library reads its variables when it is imported, and the token once a process: one that
    has imported Ray before us, or was in another cluster, would show no token, or the wrong one.
    """
    # as Ray does where it turns tokens on by itself
    from ray._raylet import AuthenticationTokenLoader, Config  # type: ignore[attr-defined]

    Config.initialize("")
    AuthenticationTokenLoader.instance().reset_cache()


def _host_and_port(address: str) -> tuple[str, str] | None:
    """Of host:port; None for what is no such address."""
    host, colon, port = address.rpartition(":")
    return (host.strip("[]"), port) if colon and "//" not in host else None


def knock(address: str) -> None:
    """Raises ConfigError where nobody listens at host:port, which Ray tells after minutes."""
    if (there := _host_and_port(address)) is None:
        return
    try:
        socket.create_connection((there[0], int(there[1])), PATIENCE_S).close()
    except (OSError, ValueError, OverflowError) as error:
        raise ConfigError(
            f"address = {address!r}: nobody listens there ({error}). Start a cluster with `ray"
            " start --head`, or use --address local."
        ) from None


def refuse_dashboard(address: str) -> None:
    """Raises ConfigError where HTTP is spoken at host:port: Ray itself waits there for minutes."""
    if (there := _host_and_port(address)) is None:
        return
    asked = http.client.HTTPConnection(there[0], int(there[1]), timeout=HTTP_S)
    try:
        asked.request("HEAD", "/")
        asked.getresponse()
    except (OSError, http.client.HTTPException):
        # A cluster's own port speaks something else.
        return
    finally:
        asked.close()
    raise for_jobs(address, f"http://{address}")


def knock_nearest() -> None:
    """Raises ConfigError where the cluster that Ray takes for "auto" does not answer: one that is
    gone, or another network's.
    """
    # Ray tells what it finds under "auto" in no other way
    from ray._private import services

    try:
        found = services.get_ray_address_from_environment("auto", None)
    except ConnectionError:
        raise ConfigError(
            "address = 'auto': no Ray runs on this machine, and RAY_ADDRESS names none. Name a"
            " cluster: --address HOST:6379."
        ) from None
    knock(found)


def _init(options: dict[str, Any]) -> None:
    import ray

    with warnings.catch_warnings(), deaf_to_the_terminal():
        warnings.simplefilter("ignore", FutureWarning)
        try:
            ray.init(**options)
        except Exception as error:
            # a start that timed out has no class of its own, only its text
            if "timed out during startup" not in str(error):
                raise
            tell("Ray did not come up within its 30 s; it is started once more.")
            ray.shutdown()
            ray.init(**options)
    OwnRay.starts += 1


def dead_head() -> str | None:
    """Which of the two processes that no Ray can do without is dead, of a Ray that this process has
    started; else None.

    Ray itself ends the driver then: 2 s after its raylet, 60 s after its GCS.
    """
    from ray._private import worker

    # the object that started them: Ray tells of its processes in no other way
    node = worker._global_node
    if OwnRay.options is None or node is None:
        return None
    dead = [kind for kind, _ in node.dead_processes() if kind in ("gcs_server", "raylet")]
    return dead[0] if dead else None


def start_again() -> None:
    """Another Ray in place of ours: no actor, no object and no handle of the old one is left. Takes
    4 s after a death of the raylet, 14 s after one of the GCS, for which Ray's shutdown waits.
    """
    import ray

    assert OwnRay.options is not None, "only a Ray of ours can be started again"
    ray.shutdown()
    _init(OwnRay.options)


def close_token() -> None:
    """Ray 2.60 leaves its token readable for everybody (0644)."""
    token = Path(os.environ.get("RAY_AUTH_TOKEN_PATH") or (home() or Path("/")) / ".ray/auth_token")
    # a token that is somebody else's, given to us to use, is theirs to close
    with contextlib.suppress(OSError):
        token.chmod(0o600)
