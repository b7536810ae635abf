"""From `raygan serve` to the address, and to the end."""

from __future__ import annotations

import logging
import socket
import threading
from collections.abc import Callable
from typing import Any, cast

from raygan.actors.cluster import OwnRay, cluster
from raygan.errors import ConfigError, RayganError
from raygan.service.serving.source import Source
from raygan.service.signals import listening
from raygan.service.views.access import LOCAL, in_address, port_taken
from raygan.watching import tell

STORE_MB = 200
QUIET = {"log_level": "ERROR", "enable_access_log": False}


def serve(
    source: Source, host: str = LOCAL[0], port: int = 8000, replicas: int = 1,
    address: str = "auto", every_s: float = 5.0, ready: Callable[[str], None] = print,
) -> int:  # fmt: skip
    """Answer until a signal comes; `ready` hears the address once the first answer is there.

    On a cluster where Serve has applications already it is one more, below /NAME, on Serve's own
    port; the last one that ends ends Serve. every_s: seconds between two looks for a newer
    checkpoint. Returns 0. Raises ConfigError, what opening the source raises, and RayganError where
    the service does not come up.
    """
    try:
        from ray import serve as ray_serve
        from ray.exceptions import RayError

        from raygan.service.serving.app import Service
    except ImportError:
        raise ConfigError("serve: needs Ray Serve: pip install 'raygan[serve]'.") from None
    logging.getLogger("ray.serve").setLevel(logging.ERROR)  # it tells each step of its own
    source.open()
    name = source.path.rstrip("/").rpartition("/")[2]
    over, deployment = threading.Event(), cast(Any, Service)
    with cluster(address, STORE_MB), listening(lambda *_: over.set()):
        there = {} if OwnRay.options else ray_serve.status().applications
        if (app := f"raygan-{name}") in there:
            raise ConfigError(
                f"serve: {name} is served on that cluster already. Stop that, or rename."
            )
        if not there:
            refuse_taken(host, port)
        prefix = f"/{name}" if there else "/"
        bound: Any = deployment.options(num_replicas=replicas).bind(source, every_s)
        tell("starting Ray Serve")
        try:
            ray_serve.start(http_options={"host": host, "port": port}, logging_config=QUIET)
            ray_serve.run(bound, name=app, route_prefix=prefix, logging_config=QUIET)
            tell("")
            ready(
                f"http://{in_address(host)}:{port}/"
                if not there
                else f"Serve's own port, {prefix}/"
            )
            over.wait()
        except (RuntimeError, RayError) as error:
            why = " ".join(str(error).split())[:160]
            raise RayganError(
                f"serve: {name} did not come up ({why}). Does every node see {source.path}?"
            ) from None
        finally:
            if not OwnRay.options:  # else all of it ends with our Ray
                ray_serve.delete(app)
                if not ray_serve.status().applications:
                    ray_serve.shutdown()
    return 0


def refuse_taken(host: str, port: int) -> None:
    """Raises ConfigError where nobody can listen there."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        with socket.socket(family, socket.SOCK_STREAM) as trial:
            trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            trial.bind((host, port))
    except OSError as error:
        raise port_taken(host, port, error) from None
