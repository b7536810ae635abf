"""`python -m tests.devices.gpu_dies FOLDER`: players that hold all GPUs of their cluster, of which
one is killed, and to which one more is to come; tells as JSON what became of it.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from pathlib import Path

import ray

from raygan.actors.executor import RayExecutor
from raygan.controller import membership
from raygan.controller.controller import Controller
from raygan.controller.listener import as_listener
from raygan.controller.orders import Done
from raygan.controller.requests import file_of
from raygan.controller.run_folder import RunFolder, read_jsonl
from tests.conftest import setup_of, tiny_config

VICTIM = "pair-01"


def main(folder: Path) -> None:
    """Train, strike, ask for one more."""
    # refused at once: on a fast machine the run is over before its patience is
    membership.ROOM_S = 0.0
    config = tiny_config(
        strategy="sgan", steps=400, num_pairs=3, tempo="async", round_steps=25, device="cpu",
        checkpoint={"every_steps": 100}, evaluation={"every_steps": 400},
        resources={"gpus_per_pair": 0.5}, failures={"lease_s": 20.0},
    )  # fmt: skip
    setup = setup_of(config)
    run = RunFolder.create(folder, "run")
    # joins the Ray of `main`'s caller
    controller = Controller(config, run, lambda: RayExecutor("gpus", setup), [], 400)
    struck: list[int] = []

    def strike(c: Controller, done: Done) -> None:
        if c.state.done.get(VICTIM, 0) >= 150 and not struck:
            where = c.executor.workers.actors[VICTIM].where  # type: ignore[union-attr]
            struck.append(ray.get(where.remote(VICTIM))["pid"])
            os.kill(struck[0], signal.SIGKILL)
            request = {"verb": "scale", "id": "one more", "pairs": 4}
            (run.path / file_of(request)).write_text(json.dumps(request))

    controller.listeners = [as_listener(strike)]
    controller.run()
    events = read_jsonl(run.path / "events.jsonl")
    told = [{k: e[k] for k in ("kind", "player", "why") if k in e} for e in events]
    print(json.dumps({"events": told, "done": controller.state.done}))


if __name__ == "__main__":
    ray.init(num_cpus=4, num_gpus=2, include_dashboard=False, log_to_driver=False)
    main(Path(sys.argv[1]))
