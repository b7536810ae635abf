"""A run on two nodes, one of which goes down in the middle: `python -m tests.actors.node_loss
FOLDER`, a process of its own.
"""

import os
import sys
import time
from pathlib import Path

import ray
from ray.cluster_utils import Cluster

from raygan.actors.executor import RayExecutor
from raygan.actors.worker_group import BOARD, MATCHMAKER
from raygan.controller.controller import Controller
from raygan.controller.orders import Done
from raygan.controller.run_folder import RunFolder
from tests.conftest import setup_of, tiny_config

FAST = {"initial_delay_ms": 500, "period_ms": 500, "timeout_ms": 1000, "failure_threshold": 3}
"""Ray's health checks: a lost node is seen in 3 s instead of 17."""
CONFIG = tiny_config(
    strategy={"name": "gap", "swap_every": 4}, num_pairs=2, steps=40, checkpoint={"every_steps": 5},
    evaluation={"every_steps": 40},
    resources={"placement": "SPREAD", "spares": 1, "cpus_per_pair": 0.5},
)  # fmt: skip


def main() -> None:
    """Train, lose the node, go on."""
    os.environ |= {f"RAY_health_check_{name}": str(value) for name, value in FAST.items()}
    nodes = Cluster(
        initialize_head=True, head_node_args={"num_cpus": 2, "object_store_memory": 100 << 20}
    )
    second = nodes.add_node(num_cpus=2, object_store_memory=100 << 20)
    ray.init(address=nodes.address, namespace="raygan", logging_level="ERROR")
    lost: list[str] = []

    def lose(controller: Controller, done: Done) -> None:
        if min(controller.state.done.values()) >= 15 and not lost:
            places = controller.executor.workers.places  # type: ignore[union-attr]
            here = ray.get_runtime_context().get_node_id()
            assert {places[BOARD][0], places[MATCHMAKER][0]} == {here}, (
                "they are lost with no other node"
            )
            lost.append(second.node_id)
            assert second.node_id in {node for node, _ in places.values()}, (
                "somebody lives on the other node"
            )
            nodes.remove_node(second, allow_graceful=False)
            deadline = time.monotonic() + 60
            while (
                sum(n["Alive"] for n in ray.nodes()) > 1
            ):  # else the run may be at its end before anybody knows
                assert time.monotonic() < deadline, "the node is still there"
                time.sleep(0.1)

    setup = setup_of(CONFIG)
    folder = RunFolder.create(Path(sys.argv[1]), "run")
    Controller(CONFIG, folder, lambda: RayExecutor("nodes", setup), [lose], 400).run()
    ray.shutdown()
    nodes.shutdown()


if __name__ == "__main__":
    main()
