"""Machines that have given notice: Ray takes no new work to them (`ray drain-node`, an autoscaler,
a cloud's two minutes).
"""

from __future__ import annotations

from typing import Any

import ray
from ray._private import state
from ray._private.worker import global_worker
from ray.exceptions import RayError


def draining() -> set[str]:
    """Ids of such nodes; Serve asks the same way. A GCS that does not answer now is asked again
    soon.
    """
    worker: Any = global_worker
    try:
        # 1 s: the driver asks twice a second, and must not wait for a GCS that is busy or gone
        return set(worker.gcs_client.get_draining_nodes(timeout=1.0))
    except (RayError, TimeoutError, ConnectionError):
        return set()


def here() -> str:
    """The node of this process."""
    return str(ray.get_runtime_context().get_node_id())


def room() -> float:
    """CPUs that are free on the emptiest node that takes new work: an actor lies on one node."""
    return max((r.get("CPU", 0.0) for r in _free()), default=0.0)


def gpus_free() -> list[float]:
    """GPUs that are free on each node that takes new work."""
    return [r.get("GPU", 0.0) for r in _free()]


def _free() -> list[dict[str, float]]:
    away, free = draining(), state.available_resources_per_node()
    return [r for node, r in free.items() if node not in away]
