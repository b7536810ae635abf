"""A run on two nodes, with a player on the other one that hangs: `python -m tests.actors.hanging
FOLDER`, a process of its own.
"""

import contextlib
import os
import signal
import sys
from pathlib import Path

import ray
from ray.cluster_utils import Cluster

from raygan.actors.executor import RayExecutor
from raygan.actors.hang_stacks import stack_there
from raygan.controller.controller import Controller
from raygan.controller.orders import Done
from raygan.controller.run_folder import RunFolder
from tests.conftest import setup_of, tiny_config

CONFIG = tiny_config(
    strategy={"name": "gap", "swap_every": 4}, num_pairs=2, steps=40, checkpoint={"every_steps": 5},
    evaluation={"every_steps": 40}, failures={"lease_s": 4.0},
    resources={"placement": "SPREAD", "spares": 1, "cpus_per_pair": 0.5},
)  # fmt: skip
NOWHERE = "e" * 56


def main() -> None:
    """Train, stop the process of whoever lives on the other node, go on; then ask a node that is
    not there.
    """
    nodes = Cluster(
        initialize_head=True, head_node_args={"num_cpus": 2, "object_store_memory": 100 << 20}
    )
    second = nodes.add_node(num_cpus=2, object_store_memory=100 << 20)
    ray.init(address=nodes.address, namespace="raygan", logging_level="ERROR", log_to_driver=False)
    stopped: list[int] = []

    def strike(controller: Controller, done: Done) -> None:
        if min(controller.state.done.values()) >= 15 and not stopped:
            executor = controller.executor
            assert isinstance(executor, RayExecutor)
            there = [
                executor.workers.places[p]
                for p in controller.state.players
                if executor.workers.places[p][0] == second.node_id
            ]
            assert there, "somebody lives on the other node"
            stopped.append(there[0][1])
            os.kill(stopped[0], signal.SIGSTOP)

    setup = setup_of(CONFIG)
    folder = RunFolder.create(Path(sys.argv[1]), "run")
    try:
        Controller(CONFIG, folder, lambda: RayExecutor("hanging", setup), [strike], 400).run()
    finally:
        for pid in stopped:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
    assert stack_there((NOWHERE, 1)).startswith("no stack: node eeeeeeeeeeee does not answer")
    ray.shutdown()
    nodes.shutdown()


if __name__ == "__main__":
    main()
