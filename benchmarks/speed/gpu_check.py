"""What only a GPU can show, in under ten minutes: `python -m benchmarks gpu-check [cuda|cpu|fake]`;
writes results/gpu.json.

Packs: steps a second of 1, 8, 32, 128 pairs as one batched model against one pair (MLP 4 x 64 and 4
x 512, DCGAN of width 16), and how busy the device was. Graphs: one pair's steps replayed as CUDA
graphs against launched one by one, and the share that was replayed. Swaps: offer and adoption of a
10 MB and a 100 MB discriminator between two pairs on the device, through host memory as the object
store has it; and between two actors on Ray, through the object store and by Ray Direct Transport
(direct_transport.py). On a CPU it runs too (small counts), and on a device that is not there
(`fake`, tests/devices/fake_cuda.py: moments of each, nothing on Ray, nothing kept), so that the
program itself is tested.
"""

from __future__ import annotations

import shutil
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

import torch

from benchmarks.common import show, write
from benchmarks.speed import direct_transport
from benchmarks.speed.plain import WORKS, Work, timed
from raygan.config import resolve
from raygan.controller.worker import Shelves
from raygan.gan.device import accelerator, described
from raygan.gan.pair import Pair
from raygan.strategies.base import Setup, load_data, pair_name
from raygan.strategies.batching.pack import Pack

SECONDS = 3.0
"""Of each measurement."""


def pairs_of(work: Work, count: int, device: torch.device, **more: Any) -> list[Pair]:
    """So many pairs on the device."""
    config = resolve(work.preset, flags=work.values(**{"num_pairs": count, **more})).config
    setup = Setup(config, load_data(config), device)
    return [Pair(n, setup.parts(n)) for n in map(pair_name, range(count))]


def busy(work: Callable[[], object]) -> float | None:
    """Mean utilisation of the first GPU in percent while `work` runs; None where nobody tells."""
    tool = shutil.which("nvidia-smi")
    if tool is None:
        work()
        return None
    seen, over = list[float](), threading.Event()

    def watch() -> None:
        query = [tool, "--query-gpu=utilization.gpu", "--format=csv,noheader,nounits", "--id=0"]
        while not over.wait(0.2):
            answer = subprocess.run(
                query, capture_output=True, text=True, check=False
            ).stdout.strip()
            if answer.isdigit():
                seen.append(float(answer))

    thread = threading.Thread(target=watch)
    thread.start()
    work()
    over.set()
    thread.join()
    return statistics.mean(seen) if seen else None


def pack_speed(
    work: Work, count: int, device: torch.device, seconds: float = SECONDS
) -> tuple[float, float | None]:
    """(steps a second of every pair, utilisation)."""
    pairs, board, done = pairs_of(work, count, device), Shelves(), [0]
    pack = Pack(pairs)
    pack.train(1, board)
    began = time.perf_counter()

    def steps() -> None:
        while not done[0] or time.perf_counter() - began < seconds:
            pack.train(10 if seconds >= 1 else 1, board)
            torch.accelerator.synchronize() if device.type != "cpu" else None
            done[0] += 10 if seconds >= 1 else 1

    share = busy(steps)
    return done[0] / (time.perf_counter() - began), share


def graph_speed(work: Work, device: torch.device, seconds: float = SECONDS) -> dict[str, float]:
    """Steps a second of one pair with and without CUDA graphs, the share that was replayed."""
    out = {}
    for name in ("off", "auto"):
        (pair,) = pairs_of(work, 1, device, **{"resources.cuda_graphs": name})
        board, done, steps = Shelves(), 0, 100 if seconds >= 1 else 6
        # the first makes an optimizer's tensors, the second the graphs
        for _ in range(2):
            pair.train(steps, board)
        began = time.perf_counter()
        while not done or time.perf_counter() - began < seconds:
            out["replayed"] = pair.train(steps, board).get("replayed", 0.0)
            torch.accelerator.synchronize() if device.type != "cpu" else None
            done += steps
        out[name] = done / (time.perf_counter() - began)
    return out


def swap_ms(megabytes: int, device: torch.device) -> float:
    """Milliseconds of an offer and its adoption (weights, Adam's moments) of a D of so many MB."""
    hidden = {10: 1117, 100: 3533}[megabytes]
    giver, taker = pairs_of(WORKS["small"], 2, device, **{"network.hidden": hidden})
    board = Shelves()
    for pair in (giver, taker):
        pair.train(1, board)
    return 1e3 * statistics.median(
        timed(lambda: taker.adopt("D", giver.offer("D", "all"))) for _ in range(5)
    )


def main() -> None:
    """Measure, print, keep."""
    asked = sys.argv[1] if len(sys.argv) > 1 else "cuda"
    if asked == "fake":
        from tests.devices.fake_cuda import FakeCuda

        with FakeCuda():
            found, *_ = measure(torch.device("cuda", 0), (1, 2), (10,), seconds=0.01)
        print(f"{len(found)} measurements on a device that is not there: nothing is kept")
        return
    device = torch.device(asked)
    if device.type != "cpu" and accelerator() != device.type:
        sys.exit(
            "gpu_check: there is no GPU here. `python -m benchmarks gpu-check cpu` runs the same on"
            " the CPU, `fake` on a device that is not there."
        )
    counts = (1, 8) if device.type == "cpu" else (1, 8, 32, 128)
    found, graphs, swaps = measure(device, counts, (10, 100))
    kept = {
        "device": described(device),
        "packs": found,
        "graphs": graphs,
        "swap_ms": swaps,
        "direct_transport_ms": direct_transport.measure(),
    }
    write("gpu" if device.type != "cpu" else "gpu-on-cpu", kept)


def measure(
    device: torch.device, counts: Sequence[int], megabytes: Sequence[int], seconds: float = SECONDS
) -> tuple[dict[str, dict[str, Any]], dict[str, dict[str, float]], dict[str, float]]:
    """(packs, graphs, swaps), printed."""
    works = {"mlp 64": WORKS["small"], "mlp 512": WORKS["toy"], "dcgan": WORKS["dcgan"]}
    found: dict[str, dict[str, Any]] = {}
    for key, work in works.items():
        for count in counts:
            speed, share = pack_speed(work, count, device, seconds)
            found[f"{key} x {count}"] = {
                "steps_per_s": speed,
                "pair_steps_per_s": speed * count,
                "utilisation": share,
            }
            print(f"{key}, {count} pairs: {speed:.1f} steps/s", flush=True)
    graphs = {key: graph_speed(work, device, seconds) for key, work in works.items()}
    swaps = {f"{mb} MB": swap_ms(mb, device) for mb in megabytes}
    show(
        ["pack", "steps/s", "pair-steps/s", "x one pair", "busy"],
        [
            [k, f"{f['steps_per_s']:.1f}", f"{f['pair_steps_per_s']:.0f}",
             f"{f['pair_steps_per_s'] / found[k.partition(' x ')[0] + ' x 1']['steps_per_s']:.1f}",
             "" if f["utilisation"] is None else f"{f['utilisation']:.0f} %"]
            for k, f in found.items()
        ],
    )  # fmt: skip
    show(
        ["one pair, steps/s", "launched", "as graphs", "replayed"],
        [
            [k, f"{g['off']:.1f}", f"{g['auto']:.1f}", f"{100 * g['replayed']:.0f} %"]
            for k, g in graphs.items()
        ],
    )
    show(["swap of D, optimizer and all", "ms"], [[k, f"{v:.1f}"] for k, v in swaps.items()])
    return found, graphs, swaps


if __name__ == "__main__":
    main()
