"""`raygan scale RUN --pairs K`: ask a running run to let members join or leave, and tell what became of it."""

from __future__ import annotations

import json
import time
import uuid

from raygan.controller.run_folder import write_atomically
from raygan.controller.scaling import REQUEST
from raygan.errors import ConfigError
from raygan.service.listing import alive
from raygan.service.run import Run


def scale(run: Run, pairs: int, timeout_s: float = 120.0) -> str:
    """Ask, wait for the answer in the journal; returns one line. Raises ConfigError when refused or when nobody answers."""
    if run.info["status"] != "running" or not alive(run.info):
        raise ConfigError(
            f"run {str(run.path)!r} is {run.info['status']}, not running. Only a running run can be scaled."
        )
    request = uuid.uuid4().hex
    write_atomically(run.path / REQUEST, json.dumps({"id": request, "pairs": pairs}).encode())
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        for event in run.events:
            if event.get("request") == request:
                if event["kind"] == "refused":
                    raise ConfigError(f"scale: {event['why']}")
                return f"{run.name}: {pairs} members since step {event['step']}" + (
                    f" ({event['why']})" if "why" in event else ""
                )
        time.sleep(0.2)
    raise ConfigError(
        f"scale: no answer of {run.name} within {timeout_s:.0f} s. Is its driver alive? `raygan runs` tells."
    )
