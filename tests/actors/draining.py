"""A run on two nodes, one of which is drained in the middle: `python -m tests.actors.draining
FOLDER`, a process of its own.

The node goes down as soon as nobody of the run lives there any more.
"""

import os
import sys
import time
from pathlib import Path

import ray
from ray._private.worker import global_worker
from ray.cluster_utils import Cluster
from ray.core.generated import autoscaler_pb2

from raygan.actors.executor import RayExecutor
from raygan.controller.controller import Controller
from raygan.controller.orders import Done
from raygan.controller.run_folder import RunFolder
from tests.actors.node_loss import FAST
from tests.conftest import setup_of, tiny_config

CONFIG = tiny_config(
    strategy={"name": "gap", "swap_every": 4}, num_pairs=2, steps=60,
    checkpoint={"every_steps": 50}, evaluation={"every_steps": 60}, failures={"budget": 0},
    resources={"placement": "SPREAD", "spares": 1, "cpus_per_pair": 0.5},
)  # fmt: skip
GRACE_S = 30.0


def drain(node: str, within_s: float = GRACE_S) -> None:
    """What a cloud's notice of preemption comes to."""
    reason = autoscaler_pb2.DrainNodeReason.DRAIN_NODE_REASON_PREEMPTION
    deadline_ms = int((time.time() + within_s) * 1000)  # noqa: TID251  Ray counts so
    accepted, why = global_worker.gcs_client.drain_node(  # type: ignore[attr-defined]
        node, reason, "spot", deadline_ms
    )
    assert accepted, why


def main() -> None:
    """Train, be told that the node goes, leave it, lose it, go on."""
    os.environ |= {f"RAY_health_check_{name}": str(value) for name, value in FAST.items()}
    nodes = Cluster(
        initialize_head=True, head_node_args={"num_cpus": 2, "object_store_memory": 100 << 20}
    )
    second = nodes.add_node(num_cpus=2, object_store_memory=100 << 20)
    ray.init(address=nodes.address, namespace="raygan", logging_level="ERROR", log_to_driver=False)
    told: list[str] = []

    def act(controller: Controller, done: Done) -> None:
        executor = controller.executor
        assert isinstance(executor, RayExecutor)
        there = {n for n, (node, _) in executor.workers.places.items() if node == second.node_id}
        if min(controller.state.done.values()) >= 15 and not told:
            assert there & set(controller.state.players), "somebody lives on the other node"
            told.append(second.node_id)
            drain(second.node_id)
        elif len(told) == 1 and controller.log.journal.epoch > 1:
            assert not there & set(controller.state.players), "they have left"
            told.append("gone")
            nodes.remove_node(second, allow_graceful=False)

    setup = setup_of(CONFIG)
    folder = RunFolder.create(Path(sys.argv[1]), "run")
    Controller(CONFIG, folder, lambda: RayExecutor("drained", setup), [act], 400).run()
    assert told == [second.node_id, "gone"]
    ray.shutdown()
    nodes.shutdown()


if __name__ == "__main__":
    main()
