"""Start or join Ray, quietly; import this inside a verb, not at start-up (0.5 s)."""

from __future__ import annotations

import logging
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from raygan.errors import ConfigError


@contextmanager
def cluster(address: str, object_store_mb: int) -> Iterator[None]:
    """Ray for the length of a block.

    address: "local" starts one here; "auto" joins the cluster that RAY_ADDRESS names and starts one otherwise; anything
    else is joined. A Ray that is up already in this process is used and left running. Raises ConfigError.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    given = os.environ.get("RAY_ADDRESS")
    join = given if address == "auto" else (None if address == "local" else address)
    if join:  # a local cluster turns tokens on by itself; a client must say so, before it imports ray
        os.environ.setdefault("RAY_AUTH_MODE", "token")
    import ray

    if ray.is_initialized():
        yield
        return
    logging.getLogger("ray._private.authentication.authentication_token_setup").setLevel(logging.ERROR)
    options: dict[str, Any] = {"namespace": "raygan", "logging_level": logging.WARNING, "log_to_driver": True}
    if join:
        options["address"] = join
    else:
        options |= {
            "address": "local",
            "include_dashboard": False,
            "object_store_memory": object_store_mb << 20,
        }
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)
            ray.init(**options)
    except (ConnectionError, RuntimeError, ValueError) as error:
        reason = " ".join(str(error).split())[:200]
        raise ConfigError(
            f"address = {address!r}: cannot reach a Ray cluster there ({reason}). Start one with `ray start --head`, or "
            "use --address local."
        ) from None
    try:
        yield
    finally:
        ray.shutdown()
