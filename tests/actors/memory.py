"""A run whose machine runs out of memory in the middle, by Ray's own watch over it: `python -m
tests.actors.memory FOLDER`.

Ray's limit stands half of what is free above what is in use when it starts. This process, which Ray
does not own, takes memory until one of the run's actors has been killed for it, and gives it back
when the run starts again. What runs beside the test takes memory of the same machine, and so does
the run itself, some 3 GiB: with a limit of 5 GiB above a quiet moment, neighbours of 2 GiB got a
player killed at every start. The kills may be more than one still: the budget is wide.
"""

import os
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, ClassVar

import ray
from ray._common.utils import get_system_memory
from ray._private.utils import get_used_memory

from raygan.actors.executor import RayExecutor
from raygan.controller.controller import Controller
from raygan.controller.orders import Done
from raygan.controller.run_folder import RunFolder
from tests.conftest import setup_of, tiny_config

CONFIG = tiny_config(
    strategy={"name": "gap", "swap_every": 4}, num_pairs=2, steps=40, checkpoint={"every_steps": 5},
    evaluation={"every_steps": 40}, failures={"budget": 30},
)  # fmt: skip
ROOM = (get_system_memory() - get_used_memory()) // 2
BITE = 256 << 20


class Eater(RayExecutor):
    """Gives back what was taken when the run starts again."""

    eaten: ClassVar[list[bytearray]] = []

    def start(self, players: Any, states: Any, epoch: int = 0) -> None:
        self.eaten.clear()
        super().start(players, states, epoch)


def eat(controller: Controller, done: Done) -> None:
    """Once, in the middle: until somebody has been killed."""
    if Eater.eaten or controller.log.journal.epoch > 1 or min(controller.state.done.values()) < 15:
        return
    before = actors()
    assert before, "no actor is found"
    while actors() >= before:
        assert len(Eater.eaten) < 2 * ROOM // BITE, "Ray kills nobody"
        Eater.eaten.append(bytearray(b"x" * BITE))
        time.sleep(0.2)


def actors() -> set[int]:
    """Processes of actors; not those that Ray keeps ready."""
    mine = str(os.getpid())
    found = set()
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):  # gone meanwhile
            title = (folder / "cmdline").read_bytes()  # a dead one's is empty
            if b"Actor" in title and mine in ancestors(folder.name):
                found.add(int(folder.name))
    return found


def ancestors(pid: str) -> Iterator[str]:
    """Its parent, and so on."""
    while pid not in ("0", "1"):
        yield (pid := Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


def main() -> None:
    """Train, eat, go on."""
    limit = (get_used_memory() + ROOM) / get_system_memory()
    os.environ |= {
        "RAY_memory_usage_threshold": f"{limit:.3f}",
        "RAY_memory_monitor_refresh_ms": "100",
    }
    ray.init(
        address="local", namespace="raygan", logging_level="ERROR", log_to_driver=False,
        include_dashboard=False, object_store_memory=100 << 20,
    )  # fmt: skip
    setup = setup_of(CONFIG)
    folder = RunFolder.create(Path(sys.argv[1]), "run")
    Controller(CONFIG, folder, lambda: Eater("memory", setup), [eat], 400).run()
    ray.shutdown()


if __name__ == "__main__":
    main()
