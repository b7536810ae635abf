"""A run whose GCS dies right after the driver has seen that it lives: `python -m
tests.actors.dead_gcs FOLDER`, a process of its own, since Ray ends it when a call does not come
back.
"""

import os
import signal
import sys
import time
from pathlib import Path
from unittest.mock import patch

from ray._private import worker

from raygan.actors.cluster import cluster
from raygan.actors.executor import RayExecutor
from raygan.actors.hub_link import HubLink
from raygan.controller.controller import Controller
from raygan.controller.orders import Done
from raygan.controller.run_folder import RunFolder
from tests.conftest import setup_of, tiny_config

CONFIG = tiny_config(
    num_pairs=2, steps=40, round_steps=5, checkpoint={"every_steps": 10},
    evaluation={"every_steps": 40},
)  # fmt: skip
AT_ONCE_S = 5.0


def kill_unseen(controller: Controller, link: HubLink) -> None:
    """Kill it; then all that the driver does in a turn, as if its last look had been before."""
    executor = controller.executor
    assert isinstance(executor, RayExecutor)
    process = worker._global_node.all_processes["gcs_server"][0].process
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    link._at = 0.0
    unseen = [
        patch(f"raygan.actors.{m}.dead_head", lambda: None)
        for m in ("executor", "replies", "hub_link")
    ]
    with unseen[0], unseen[1], unseen[2]:
        for ask in (
            lambda: link.tick(controller),
            lambda: executor.wait(0.1),
            lambda: executor.departures.helpers_too(),
            executor.pulse.ages,
        ):
            begun = time.monotonic()
            ask()
            assert time.monotonic() - begun < AT_ONCE_S


def main() -> None:
    """Train, lose the GCS between two looks, go on with another Ray."""
    killed: list[int] = []

    def act(controller: Controller, done: Done) -> None:
        if min(controller.state.done.values()) >= 15 and not killed:
            killed.append(1)
            kill_unseen(controller, link)

    with cluster("local", 100):
        setup = setup_of(CONFIG)
        folder = RunFolder.create(Path(sys.argv[1]), "run")
        link = HubLink("run", folder.path)
        Controller(CONFIG, folder, lambda: RayExecutor("dead-gcs", setup), [act, link], 400).run()
        link.close()
    assert killed


if __name__ == "__main__":
    main()
