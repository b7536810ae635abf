"""A run on two nodes, one of them in a network namespace of its own, whose cable is pulled in the
middle and plugged in again.

    python -m tests.actors.partition FOLDER        root only; a process of its own

The player behind the partition goes on by itself; the run replaces it. When the cable is back,
whatever the old one sends belongs to an epoch that is over.
`benchmarks/faults/partitions.py` does it many times.
"""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType

import ray
from ray.cluster_utils import Cluster

from raygan.actors.executor import RayExecutor
from raygan.controller.controller import Controller
from raygan.controller.orders import Done
from raygan.controller.run_folder import RunFolder
from tests.actors.node_loss import FAST
from tests.conftest import setup_of, tiny_config

CONFIG = tiny_config(
    strategy={"name": "sgan", "messenger_lifetime": 2}, num_pairs=2, steps=60,
    checkpoint={"every_steps": 5}, evaluation={"every_steps": 60}, failures={"lease_s": 8.0},
    resources={"placement": "SPREAD", "cpus_per_pair": 0.5},
)  # fmt: skip
SPACE, CABLE, HERE, THERE = (
    f"rg{os.getpid()}",
    f"rgv{os.getpid() % 10000}",
    "10.77.0.1",
    "10.77.0.2",
)
SETTLE_S = 5.0
"""After the cable is back: the old node has the time to say what it has to say."""


def ip(*args: str) -> str:
    return subprocess.run(["ip", *args], check=True, capture_output=True, text=True).stdout


@contextmanager
def cable() -> Iterator[None]:
    """A network namespace, and a cable into it."""
    ip("netns", "add", SPACE)
    try:
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
        yield
    finally:
        for args in (["link", "del", CABLE], ["netns", "del", SPACE]):
            subprocess.run(["ip", *args], check=False, capture_output=True)


class Nodes:
    """Ray's head here, joined by this process, and one node at the cable's other end; `store` bytes
    of objects each.
    """

    def __init__(self, store: int = 100 << 20) -> None:
        self.store = store

    def __enter__(self) -> "Nodes":
        os.environ |= {f"RAY_health_check_{name}": str(value) for name, value in FAST.items()}
        self.near = Cluster(
            initialize_head=True,
            head_node_args={
                "num_cpus": 2,
                "node_ip_address": HERE,
                "object_store_memory": self.store,
            },
        )
        ray.init(
            address=self.near.address,
            namespace="raygan",
            logging_level="ERROR",
            log_to_driver=False,
        )
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.end_far()
        ray.shutdown()
        self.near.shutdown()

    def start_far(self) -> None:
        """A fresh node at the other end; returns when it has joined."""
        subprocess.Popen(
            ["ip", "netns", "exec", SPACE, str(Path(sys.executable).parent / "ray"), "start",
             f"--address={self.near.address}", f"--node-ip-address={THERE}", "--num-cpus=2",
             f"--object-store-memory={self.store}", "--block"],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        await_nodes(2)

    def end_far(self) -> None:
        """Kill all that lives there; returns when the head knows."""
        for pid in ip("netns", "pids", SPACE).split():
            with suppress(ProcessLookupError):
                os.kill(int(pid), signal.SIGKILL)
        await_nodes(1)


def await_nodes(count: int) -> None:
    deadline = time.monotonic() + 60
    while (alive := len([n for n in ray.nodes() if n["Alive"]])) != count:
        assert time.monotonic() < deadline, f"{alive} nodes are alive, not {count}"
        time.sleep(0.1)


class Cut:
    """Told of every order that was carried out: pulls the cable at one step, and plugs it in once
    the run goes on without.
    """

    def __init__(self, pull: int, plug: int) -> None:
        self.pull, self.plug = pull, plug
        self.pulled: float | None = None
        self.recovered: float | None = None
        """Seconds until the next attempt got its first order done."""
        self.plugged = False

    def __call__(self, controller: Controller, done: Done) -> None:
        step = min(controller.state.done.values())
        assert isinstance(controller.executor, RayExecutor)
        if self.pulled is None and step >= self.pull:
            here = ray.get_runtime_context().get_node_id()
            assert {n for n, _ in controller.executor.workers.places.values()} - {here}, (
                "somebody lives on the other node"
            )
            ip("link", "set", CABLE, "down")
            self.pulled = time.monotonic()
        elif self.pulled is not None and not self.plugged and controller.log.journal.epoch > 1:
            if self.recovered is None:
                self.recovered = time.monotonic() - self.pulled
            if step >= self.plug:
                self.plug_in()

    def plug_in(self) -> None:
        """The cable is back."""
        ip("link", "set", CABLE, "up")
        self.plugged = True
        time.sleep(SETTLE_S)


def main() -> None:
    """Train, pull the cable, go on, plug it in, end."""
    setup, cut = setup_of(CONFIG), Cut(15, 30)
    with cable(), Nodes() as nodes:
        nodes.start_far()
        folder = RunFolder.create(Path(sys.argv[1]), "run")
        Controller(CONFIG, folder, lambda: RayExecutor("parted", setup), [cut], 400).run()
    assert cut.plugged, "the cable was back before the end"


if __name__ == "__main__":
    main()
