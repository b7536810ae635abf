"""Own parts, and a file of features, on other machines: every node of the cluster loads them once
before anybody trains there.
"""

from __future__ import annotations

import ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from raygan.config import Config, load_parts
from raygan.errors import ConfigError
from raygan.metrics.features import extractor

PATIENCE_S = 120.0
"""For a worker to start, torch included."""


def refuse_missing(config: Config) -> None:
    """Raises ConfigError: what a node lacks (a module, the same version of one). Nodes that come
    later are not asked.
    """
    if not config.code and not config.evaluation.extractor:
        return
    look = ray.remote(missing)
    asked = [
        look.options(
            num_cpus=0,
            scheduling_strategy=NodeAffinitySchedulingStrategy(node["NodeID"], soft=False),
        ).remote(config)
        for node in ray.nodes()
        if node["Alive"]
    ]
    for said in ray.get(asked, timeout=PATIENCE_S):
        if said:
            raise ConfigError(said)


def missing(config: Config) -> str:
    """On a worker: what is wrong with the config's own parts and features there, or ""."""
    try:
        load_parts(config)
        if config.evaluation.extractor:
            extractor(config.evaluation.extractor)
    except ConfigError as error:
        return str(error)
    return ""
