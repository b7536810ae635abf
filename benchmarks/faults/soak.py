"""Does anything grow in a long run on Ray, and what?

    python -m benchmarks soak [MINUTES]    default 55

SGAN over three tiny swapping pairs, a round a step, a swap every 10, a checkpoint every 200, scores
every 5,000, a hub: each process of the run is looked at once a minute (private memory; of what
malloc gave out and was not given back; open files). The slope is taken over the second half.

    python -m benchmarks soak 10 trace    the same with tracemalloc in every process:
                                          which lines hold what has grown
"""

from __future__ import annotations

import gc
import os
import signal
import statistics
import sys
import tempfile
import time
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import ray
import torch

from benchmarks.common import show, write
from benchmarks.speed.memory_growth import used
from raygan.actors.cluster import cluster
from raygan.actors.executor import RayExecutor
from raygan.actors.hub_link import HubLink
from raygan.config import Config
from raygan.controller.controller import Controller
from raygan.controller.orders import Done
from raygan.controller.run_folder import RunFolder
from raygan.errors import Interrupted
from raygan.strategies.orders import Train
from tests.conftest import setup_of, tiny_config

DRIVER = "driver"
PERIOD_S = 60.0
LINES = 8
"""Of each process, in the answer to `trace`."""

Facts = dict[str, float]


def config() -> Config:
    """Everything that a run has: a global pair, swaps, checkpoints, scores."""
    return tiny_config(
        strategy={"name": "sgan", "over": {"name": "gap", "swap_every": 10},
                  "messenger_lifetime": 5, "max_lead": 20},
        num_pairs=3, steps=10**7, round_steps=1, batch_size=4,
        network={"name": "mlp", "hidden": 4, "layers": 2, "z_dim": 2},
        checkpoint={"every_steps": 200}, evaluation={"every_steps": 5000}, resources={"spares": 0},
    )  # fmt: skip


def facts() -> Facts:
    """Of the process that this runs in."""
    resident, given = used()
    rollup = [line.split() for line in Path("/proc/self/smaps_rollup").read_text().splitlines()]
    private = sum(int(words[1]) for words in rollup if words[0].startswith("Private_"))
    anonymous = next(int(words[1]) for words in rollup if words[0] == "Anonymous:")
    python = tracemalloc.get_traced_memory()[0] / 1024 if tracemalloc.is_tracing() else 0.0
    files = len(list(Path("/proc/self/fd").iterdir()))
    return {
        "private_kb": private, "anonymous_kb": anonymous, "resident_kb": resident,
        "given_kb": given, "python_kb": python, "files": files, "objects": len(gc.get_objects()),
        "blocks": sys.getallocatedblocks(),
    }  # fmt: skip


def begin_trace() -> None:
    """From here on each allocation of Python's is remembered with its line and its caller's."""
    tracemalloc.start(2)


def snapshot() -> dict[str, tuple[int, int]]:
    """Line and caller -> (bytes that it holds, blocks)."""
    gc.collect()
    mine = tracemalloc.take_snapshot().filter_traces(
        [tracemalloc.Filter(False, tracemalloc.__file__)]
    )
    found = mine.statistics("traceback")
    return {" < ".join(map(place, reversed(s.traceback))): (s.size, s.count) for s in found}


class Watch:
    """Looks at every process once in a while; ends the run."""

    def __init__(self, seconds: float, trace: bool, link: HubLink) -> None:
        self.seconds, self.trace, self.link = seconds, trace, link
        self.rounds = 0
        self.began = self.at = time.monotonic()
        self.looks: list[dict[str, Any]] = []
        self.before: dict[str, dict[str, tuple[int, int]]] = {}
        self.grown: dict[str, list[dict[str, Any]]] = {}

    def __call__(self, controller: Controller, done: Done) -> None:
        """One more round."""
        self.rounds += isinstance(done.order, Train)

    def everywhere(self, controller: Controller, what: Callable[[], Any]) -> dict[str, Any]:
        """What it gives in each process of the run."""
        house = controller.executor
        assert isinstance(house, RayExecutor)
        actors = {**house.workers.actors, **house.workers.helpers, "hub": self.link.hub}
        asked = {
            name: actor.__ray_call__.remote(lambda _: what()) for name, actor in actors.items()
        }
        return {DRIVER: what()} | {
            name: ray.get(answer, timeout=60) for name, answer in asked.items()
        }

    def tick(self, controller: Controller) -> None:
        """Each turn of the loop."""
        now = time.monotonic()
        if (
            controller.state.stop_signal is not None
            or now - self.at < PERIOD_S
            or self.rounds < 500
        ):
            return
        self.at = now
        self.looks.append(
            {"rounds": self.rounds, "s": now - self.began, "of": self.everywhere(controller, facts)}
        )
        here = self.looks[-1]["of"]
        total = sum(f["private_kb"] for f in here.values())
        print(
            f"{now - self.began:5.0f} s {self.rounds:7d} rounds: private {total:,.0f} kB",
            flush=True,
        )
        if self.trace and not self.before:
            self.everywhere(controller, begin_trace)
            self.before = {name: {} for name in here}
        elif self.trace and len(self.looks) == 3:  # what is only warming up has done so
            self.before = self.everywhere(controller, snapshot)
        if now - self.began > self.seconds:
            if self.trace:
                self._compare(self.everywhere(controller, snapshot))
            controller.stop(signal.SIGTERM)

    def _compare(self, after: dict[str, dict[str, tuple[int, int]]]) -> None:
        for name, lines in after.items():
            old = self.before[name]
            rows = [{"line": k, "bytes": v[0] - old.get(k, (0, 0))[0],
                     "blocks": v[1] - old.get(k, (0, 0))[1]}
                    for k, v in lines.items()]  # fmt: skip
            self.grown[name] = sorted(rows, key=lambda r: -abs(int(str(r["bytes"]))))[:LINES]


def place(frame: Any) -> str:
    """file:line, from where the module is found: the result says nothing of this machine."""
    parents = [f"{p}/" for p in sys.path if p]
    inside = max((p for p in parents if frame.filename.startswith(p)), key=len, default="")
    return f"{frame.filename.removeprefix(inside)}:{frame.lineno}"


def slope(looks: list[dict[str, Any]], name: str, what: str) -> float:
    """Of its second half, per 10,000 rounds."""
    half = [
        (look["rounds"], look["of"][name][what])
        for look in looks[len(looks) // 2 :]
        if name in look["of"]
    ]
    if len(half) < 2:
        return 0.0
    return 1e4 * statistics.linear_regression([r for r, _ in half], [v for _, v in half]).slope


def main() -> None:
    """Run, look, print."""
    minutes = float(sys.argv[1]) if len(sys.argv) > 1 else 55.0
    trace = "trace" in sys.argv
    torch.set_num_threads(1)
    settings = config()
    setup = setup_of(settings)
    with cluster("local", 256), tempfile.TemporaryDirectory() as scratch:
        folder = RunFolder.create(Path(scratch), f"soak{os.getpid()}")
        link = HubLink(folder.path.name, folder.path)
        watch = Watch(60 * minutes, trace, link)
        controller = Controller(
            settings,
            folder,
            lambda: RayExecutor(folder.path.name, setup),
            [link, watch],
            len(setup.data.train),
        )
        try:
            controller.run()
        except Interrupted:
            pass
        finally:
            link.close()
        logs = {p.name: p.stat().st_size // 1024 for p in folder.path.glob("*.jsonl")}
    names = list(watch.looks[-1]["of"])
    columns = ("private_kb", "anonymous_kb", "given_kb", "python_kb", "files", "objects", "blocks")
    rows = {n: {c: round(slope(watch.looks, n, c), 1) for c in columns} for n in names}
    show(
        ["process", *(f"{c} a 10,000 rounds" for c in columns)],
        [[n, *(str(v) for v in r.values())] for n, r in rows.items()],
    )
    print(f"{watch.rounds} rounds in {watch.looks[-1]['s']:.0f} s; logs (kB): {logs}")
    for name, lines in watch.grown.items():
        print(name)
        for line in lines:
            print(f"  {line['bytes']:+9d} B {line['blocks']:+6d} blocks  {line['line']}")
    write("soak-trace" if trace else "soak", {
        "rounds": watch.rounds, "slopes": rows, "logs_kb": logs, "grown": watch.grown,
        "looks": watch.looks[::9],
    })  # fmt: skip


if __name__ == "__main__":
    main()
