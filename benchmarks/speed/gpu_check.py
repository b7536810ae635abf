"""What only a GPU can show, in under ten minutes: `python -m benchmarks gpu-check [cuda|cpu]`;
writes results/gpu.json.

Packs: steps a second of 1, 8, 32, 128 pairs as one batched model against one pair (MLP 4 x 64 and 4
x 512, DCGAN of width 16), and how busy the device was. Swaps: offer and adoption of a 10 MB and a
100 MB discriminator between two pairs on the device, through host memory as the object store has
it; and between two actors on Ray, through the object store and by Ray Direct Transport
(direct_transport.py). On a CPU it runs too (small counts), so that the program itself is tested.
"""

from __future__ import annotations

import shutil
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

import torch

from benchmarks.common import show, write
from benchmarks.speed import direct_transport
from benchmarks.speed.plain import WORKS, Work, timed
from raygan.config import resolve
from raygan.controller.worker import Shelves
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


def pack_speed(work: Work, count: int, device: torch.device) -> tuple[float, float | None]:
    """(steps a second of every pair, utilisation)."""
    pairs, board, done = pairs_of(work, count, device), Shelves(), [0]
    pack = Pack(pairs)
    pack.train(5, board)
    began = time.perf_counter()

    def steps() -> None:
        while time.perf_counter() - began < SECONDS:
            pack.train(10, board)
            done[0] += 10

    share = busy(steps)
    return done[0] / (time.perf_counter() - began), share


def swap_ms(megabytes: int, device: torch.device) -> float:
    """Milliseconds of an offer and its adoption (weights and Adam's moments) of a D of so many MB."""
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
    device = torch.device(sys.argv[1] if len(sys.argv) > 1 else "cuda")
    if device.type == "cuda" and not torch.cuda.is_available():
        sys.exit(
            "gpu_check: there is no GPU here. `python -m benchmarks gpu-check cpu` runs the same on"
            " the CPU."
        )
    name = torch.cuda.get_device_name() if device.type == "cuda" else "CPU"
    counts = (1, 8, 32, 128) if device.type == "cuda" else (1, 8)
    works = {"mlp 64": WORKS["small"], "mlp 512": WORKS["toy"], "dcgan": WORKS["dcgan"]}
    found: dict[str, dict[str, Any]] = {}
    for key, work in works.items():
        for count in counts:
            speed, share = pack_speed(work, count, device)
            found[f"{key} x {count}"] = {
                "steps_per_s": speed,
                "pair_steps_per_s": speed * count,
                "utilisation": share,
            }
            print(f"{key}, {count} pairs: {speed:.1f} steps/s", flush=True)
    swaps = {f"{mb} MB": swap_ms(mb, device) for mb in (10, 100)}
    show(
        ["pack", "steps/s", "pair-steps/s", "x one pair", "busy"],
        [
            [k, f"{f['steps_per_s']:.1f}", f"{f['pair_steps_per_s']:.0f}",
             f"{f['pair_steps_per_s'] / found[k.partition(' x ')[0] + ' x 1']['steps_per_s']:.1f}",
             "" if f["utilisation"] is None else f"{f['utilisation']:.0f} %"]
            for k, f in found.items()
        ],
    )  # fmt: skip
    show(["swap of D, optimizer and all", "ms"], [[k, f"{v:.1f}"] for k, v in swaps.items()])
    kept = {
        "device": name,
        "packs": found,
        "swap_ms": swaps,
        "direct_transport_ms": direct_transport.measure(),
    }
    write("gpu" if device.type == "cuda" else "gpu-on-cpu", kept)


if __name__ == "__main__":
    main()
