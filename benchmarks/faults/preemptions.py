"""Machines that give notice, on real Ray: `python -m benchmarks preemptions [COUNT]` (50); writes
results/preemptions.json.

Each run has two nodes. At a random step the second one is drained, with 5 to 30 s to go, and it is
killed as soon as nobody of the run lives there, or at the latest then. Runs are lockstep and async,
the kinds in turn. Counted are the steps that were done twice (rows of metrics against the steps of
the run), and for lockstep what chaos.py's checker finds wrong: chain, accounts, final bits.
"""

from __future__ import annotations

import random
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

import ray
import torch
from ray.cluster_utils import Cluster

from benchmarks.common import write
from benchmarks.faults.chaos import judge, quantiles, undisturbed
from raygan.actors.executor import RayExecutor
from raygan.config import Config
from raygan.controller.controller import Controller
from raygan.controller.orders import Done
from raygan.controller.run_folder import RunFolder, read_jsonl
from raygan.strategies.base import Setup
from raygan.strategies.roles import JUDGE
from tests.actors.draining import drain
from tests.conftest import tiny_config

STEPS, ROUND = 200, 5
KINDS: dict[str, dict[str, Any]] = {
    "independent": {"strategy": "independent"},
    "gap": {"strategy": {"name": "gap", "swap_every": 4}},
    "pmgan": {"strategy": {"name": "pmgan", "classes": 2}, "loss": "reverse_kl"},
    "sgan": {"strategy": {"name": "sgan", "messenger_lifetime": 2}},
}
TEMPOS = ("lockstep", "async")


class Taken:
    """Told of every order that was carried out: drains the node at one step, kills it when it is
    empty or its time is over.
    """

    def __init__(self, nodes: Cluster, node: Any, step: int, grace_s: float) -> None:
        self.nodes, self.node, self.step, self.grace_s = nodes, node, step, grace_s
        self.told: float | None = None
        self.left: float | None = None
        """Seconds from the notice until nobody lived there any more."""
        self.gone = False

    def __call__(self, controller: Controller, done: Done) -> None:
        """Looks after each order."""
        executor = controller.executor
        assert isinstance(executor, RayExecutor)
        there = {
            n for n, (node, _) in executor.workers.places.items() if node == self.node.node_id
        } & set(executor.workers.actors)
        if self.told is None and min(controller.state.done.values()) >= self.step:
            assert there, "somebody lives on the other node"
            drain(self.node.node_id, self.grace_s + 60)
            self.told = time.monotonic()
        elif self.told is not None and not self.gone:
            after = time.monotonic() - self.told
            if not there or after > self.grace_s:
                self.left, self.gone = None if there else after, True
                self.nodes.remove_node(self.node, allow_graceful=False)


def config_of(kind: str, tempo: str) -> Config:
    """A small run on both nodes."""
    return tiny_config(
        num_pairs=2, steps=STEPS, tempo=tempo, checkpoint={"every_steps": 100},
        evaluation={"every_steps": STEPS}, round_steps=ROUND, failures={"budget": 10},
        batch_size=128, network={"name": "mlp", "hidden": 128, "z_dim": 2},
        resources={"placement": "SPREAD", "spares": "auto", "cpus_per_pair": 0.5}, **KINDS[kind],
    )  # fmt: skip


def one_run(
    seed: int, nodes: Cluster, config: Config, setup: Setup, expected: dict[str, str]
) -> tuple[Taken, Counter[str]]:
    """(what was done, what it cost and what was wrong) of a run that loses a node with notice."""
    rng = random.Random(seed)
    node = nodes.add_node(num_cpus=2, object_store_memory=100 << 20)
    taken, found = (
        Taken(nodes, node, rng.randrange(10, STEPS // 2), rng.uniform(5, 30)),
        Counter[str](),
    )
    with tempfile.TemporaryDirectory() as folder:
        controller = Controller(
            config,
            RunFolder.create(Path(folder), "run"),
            lambda: RayExecutor(f"taken{seed}", setup),
            [taken],
            400,
        )
        controller.run()
        path = controller.log.folder.path
        rows = [
            r
            for r in read_jsonl(path / "metrics.jsonl")
            if r["kind"] == "train" and r["player"] != JUDGE
        ]
        for player in {r["player"] for r in rows}:
            twice = sum(r["steps"] for r in rows if r["player"] == player) - STEPS
            found["steps_done_twice"] = max(found["steps_done_twice"], twice)
        if config.tempo == "lockstep":
            found.update(judge(path, expected, STEPS))
        if not taken.gone:
            found["ended_before_its_node"] += 1
            nodes.remove_node(node, allow_graceful=False)
    return taken, found


def main() -> None:
    """So many runs."""
    count = next((int(a) for a in sys.argv[1:] if a.isdigit()), 50)
    torch.set_num_threads(1)
    nodes = Cluster(
        initialize_head=True, head_node_args={"num_cpus": 2, "object_store_memory": 100 << 20}
    )
    ray.init(
        address=nodes.address,
        namespace="raygan",
        logging_level="ERROR",  # type: ignore
        log_to_driver=False,
    )
    cases = [(kind, tempo) for kind in KINDS for tempo in TEMPOS]
    calm: dict[str, tuple[Setup, dict[str, str]]] = {}
    wrong, late, left, began = Counter[str](), 0, list[float](), time.perf_counter()
    for seed in range(count):
        kind, tempo = cases[seed % len(cases)]
        config = config_of(kind, tempo)
        setup, expected = calm.setdefault(kind, undisturbed(config_of(kind, "lockstep")))
        taken, found = one_run(
            seed, nodes, config, Setup(config, setup.data, setup.device), expected
        )
        late += found.pop("steps_done_twice", 0) > ROUND
        wrong.update(found)
        left += [taken.left] if taken.left is not None else []
        minutes = round((time.perf_counter() - began) / 60, 1)
        write("preemptions", {
            "runs": seed + 1, "more_than_a_round_lost": late, "wrong": dict(+wrong),
            "left_s": quantiles(left) if left else {}, "minutes": minutes,
        })  # fmt: skip
        print(
            f"{kind}, {tempo}, seed {seed}: left after {taken.left}; {dict(+found)}; {late} lost"
            " more than a round",
            flush=True,
        )
    ray.shutdown()
    nodes.shutdown()
    if late or any(n for k, n in wrong.items() if k != "ended_before_its_node"):
        sys.exit(1)


if __name__ == "__main__":
    main()
