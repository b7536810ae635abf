"""A run on two nodes, one of them in a network namespace of its own, whose cable is pulled in the middle and plugged in again.

    python -m tests.actors.partition FOLDER        root only; a process of its own

The player behind the partition goes on by itself; the run replaces it. When the cable is back, whatever the old one sends
belongs to an epoch that is over.
"""

import os
import subprocess
import sys
import time
from pathlib import Path

import ray
from ray.cluster_utils import Cluster

from raygan.actors.executor import RayExecutor
from raygan.controller.controller import Controller
from raygan.controller.orders import Done
from raygan.controller.run_folder import RunFolder
from tests.actors.node_loss import FAST
from tests.conftest import setup_of, tiny_config

CONFIG = tiny_config(
    strategy={"name": "sgan", "messenger_lifetime": 2}, num_pairs=2, steps=60, checkpoint={"every_steps": 5},
    evaluation={"every_steps": 60}, failures={"lease_s": 8.0},
    resources={"placement": "SPREAD", "cpus_per_pair": 0.5},
)  # fmt: skip
SPACE, CABLE, HERE, THERE = f"rg{os.getpid()}", f"rgv{os.getpid() % 10000}", "10.77.0.1", "10.77.0.2"


def ip(*args: str) -> None:
    subprocess.run(["ip", *args], check=True, capture_output=True)


def lay_cable() -> None:
    ip("netns", "add", SPACE)
    ip("link", "add", CABLE, "type", "veth", "peer", "name", f"{CABLE}b")
    ip("link", "set", f"{CABLE}b", "netns", SPACE)
    ip("addr", "add", f"{HERE}/24", "dev", CABLE)
    ip("link", "set", CABLE, "up")
    for args in (
        ["addr", "add", f"{THERE}/24", "dev", f"{CABLE}b"],
        ["link", "set", f"{CABLE}b", "up"],
        ["link", "set", "lo", "up"],
    ):
        ip("netns", "exec", SPACE, "ip", *args)


def clear_away() -> None:
    for args in (["link", "del", CABLE], ["netns", "del", SPACE]):
        subprocess.run(["ip", *args], check=False, capture_output=True)


def main() -> None:
    """Train, pull the cable, go on, plug it in, end."""
    os.environ |= {f"RAY_health_check_{name}": str(value) for name, value in FAST.items()}
    lay_cable()
    nodes = second = None
    try:
        nodes = Cluster(
            initialize_head=True,
            head_node_args={"num_cpus": 2, "node_ip_address": HERE, "object_store_memory": 100 << 20},
        )
        second = subprocess.Popen(
            ["ip", "netns", "exec", SPACE, str(Path(sys.executable).parent / "ray"), "start", f"--address={nodes.address}",
             f"--node-ip-address={THERE}", "--num-cpus=2", "--object-store-memory=100000000", "--block"],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        ray.init(address=nodes.address, namespace="raygan", logging_level="ERROR")
        deadline = time.monotonic() + 60
        while len([n for n in ray.nodes() if n["Alive"]]) < 2:
            assert time.monotonic() < deadline, "the second node did not come up"
            time.sleep(0.1)
        train(Path(sys.argv[1]))
    finally:
        if second is not None:
            second.kill()
        ray.shutdown()
        if nodes is not None:
            nodes.shutdown()
        clear_away()


def train(folder: Path) -> None:
    """The run, and what is done to it."""
    pulled, plugged = list[int](), list[int]()

    def meddle(controller: Controller, done: Done) -> None:
        step = min(controller.done.values())
        assert isinstance(controller.executor, RayExecutor)
        if step >= 15 and not pulled:
            behind = {
                p
                for p, (node, _) in controller.executor.places.items()
                if node != ray.get_runtime_context().get_node_id()
            }
            assert behind, "somebody lives on the other node"
            ip("link", "set", CABLE, "down")
            pulled.append(step)
        elif pulled and not plugged and controller.journal.epoch > 1 and step >= 30:
            ip("link", "set", CABLE, "up")
            plugged.append(step)
            time.sleep(5.0)  # the old node has the time to say what it has to say

    setup = setup_of(CONFIG)
    controller = Controller(
        CONFIG, RunFolder.create(folder, "run"), lambda: RayExecutor("parted", setup), [meddle], 400
    )
    controller.run()
    assert plugged, "the cable was back before the end"


if __name__ == "__main__":
    main()
