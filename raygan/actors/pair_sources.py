"""Pairs' own SOURCEs, read on the cluster: what comes back is a `Part`, no sample."""

from __future__ import annotations

from typing import Any

import ray
from ray.exceptions import RayTaskError

from raygan.config import Config
from raygan.data.base import Samples
from raygan.data.partition import Part
from raygan.errors import RayganError
from raygan.strategies.partition import look


def look_there(config: Config, pairs: list[str], outline: Samples) -> dict[str, Part]:
    """`look`, each source in a process of its own that ends with it: what it held is gone then.
    Raises DataError.
    """
    task: Any = ray.remote(max_calls=1, num_cpus=0, max_retries=1)(look)
    found = dict[str, Part]()
    for reference in [task.remote(config, [pair], outline) for pair in pairs]:
        try:
            found |= ray.get(reference)
        except RayTaskError as error:
            if isinstance(error.cause, RayganError):
                raise error.cause from None
            raise
    return found
