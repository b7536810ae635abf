"""Two actors swap a network: through the object store, and by Ray Direct Transport: `python -m
benchmarks direct-transport`.

store     flat float32 in host memory; what raygan does
gloo      Ray Direct Transport between two processes on CPUs
cuda_ipc  the same between two processes on one GPU      nccl   between two GPUs

Milliseconds from the calls until both have the other's, 10 MB and 100 MB each way; the ways in
turn. What raygan's own swap does besides (checks, names for the journal, the record) is in neither.
"""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import ray
import torch
from ray.experimental.collective import create_collective_group

from benchmarks.common import middle, show, write
from raygan.actors.cluster import cluster
from raygan.actors.process import keep_freed_memory
from raygan.gan.weights import fill

TURNS = 10
MEGABYTES = (10, 100)


class End:
    """One that swaps."""

    def __init__(self, words: int, device: str) -> None:
        keep_freed_memory()  # as raygan's players do
        torch.set_num_threads(1)
        self.weights = torch.randn(words, device=device)

    def to_store(self) -> Any:
        """A copy, in host memory."""
        return self.weights.to("cpu", copy=True).numpy()

    def direct(self) -> torch.Tensor:
        """A copy, where the weights are."""
        return self.weights.clone()

    def take(self, weights: Any) -> None:
        """The other's."""
        if isinstance(weights, np.ndarray):
            fill([self.weights], [weights])
        else:
            self.weights.copy_(weights)
        if self.weights.is_cuda:
            torch.cuda.synchronize()


def ways_here() -> tuple[str, ...]:
    """Transports that this machine has."""
    if not torch.cuda.is_available():
        return ("gloo",)
    return ("cuda_ipc", "nccl") if torch.cuda.device_count() > 1 else ("cuda_ipc",)


def swaps(megabytes: int, way: str) -> dict[str, list[float]]:
    """Milliseconds of each turn, by the store and by `way`."""
    gpus = {"gloo": 0.0, "cuda_ipc": 0.5, "nccl": 1.0}[way]
    wrap: Any = ray.remote(  # type: ignore[call-overload]
        num_cpus=1, num_gpus=gpus, enable_tensor_transport=True
    )
    ends = [wrap(End).remote(megabytes * 250_000, "cuda" if gpus else "cpu") for _ in range(2)]
    if way != "cuda_ipc":
        create_collective_group(ends, backend=way)
    out: dict[str, list[float]] = {"store": [], way: []}
    for turn in range(TURNS + 2):  # two warm up
        for name, taken in out.items():
            began = time.perf_counter()
            given = [
                (
                    e.to_store.remote()
                    if name == "store"
                    else e.direct.options(tensor_transport=way).remote()
                )
                for e in ends
            ]
            ray.get([e.take.remote(g) for e, g in zip(ends, reversed(given), strict=True)])
            if turn > 1:
                taken.append(1e3 * (time.perf_counter() - began))
            del given
    for e in ends:
        ray.kill(e)
    return out


def measure() -> dict[str, dict[str, list[float]]]:
    """Every transport that is there; printed, and returned."""
    with cluster("local", 1024):
        found = {f"{mb} MB, {way}": swaps(mb, way) for way in ways_here() for mb in MEGABYTES}
    rows = []
    for key, taken in found.items():
        store, direct = taken.values()
        ratios = [d / s for s, d in zip(store, direct, strict=True)]
        rows.append(
            [key, middle(store, ".0f", " ms"), middle(direct, ".0f", " ms"), middle(ratios)]
        )
    show(["each way", "object store", "direct", "direct over store"], rows)
    return found


def main() -> None:
    """Measure, keep."""
    devices = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
    write("direct-transport", {"ms": measure(), "gpus": devices})


if __name__ == "__main__":
    main()
