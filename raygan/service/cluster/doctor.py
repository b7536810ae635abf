"""`raygan doctor`: is this machine fit, and where is the data?"""

from __future__ import annotations

import os
import platform
import shutil
import time
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from raygan.errors import RayganError

Check = tuple[bool, str, str]


def checks() -> Iterator[Check]:
    """(fine, name, what was found)."""
    yield (
        tuple(map(int, platform.python_version_tuple()[:2])) >= (3, 11),
        "python",
        platform.python_version(),
    )
    for package in ("torch", "ray", "numpy", "safetensors"):
        try:
            yield True, package, version(package)
        except PackageNotFoundError:
            yield False, package, f"not installed: pip install {package}"
    import torch

    from raygan.gan.device import accelerator, described

    kind = accelerator()
    gpus = (
        [described(torch.device(kind, i)) for i in range(torch.accelerator.device_count())]
        if kind
        else []
    )
    yield True, "devices", f"{os.cpu_count()} CPUs; GPUs: {', '.join(gpus) or 'none'}"
    if gpus:
        yield True, "MPS", sharing()
    free = shutil.disk_usage(Path.cwd()).free / 2**30
    yield free > 1, "disk", f"{free:.0f} GiB free here"
    from raygan.config import load_component
    from raygan.data.base import DataComponent

    for name in ("mnist", "fashion_mnist", "r15"):
        component = load_component("data", {"name": name})
        assert isinstance(component, DataComponent)
        try:
            data = component.load(0)
            yield True, name, f"{len(data.train):,} training samples"
        except RayganError as error:
            yield False, name, str(error)
    # last, since a Ray that starts takes seconds: the rest is on the screen by then
    started, resources = _ray_starts()
    yield started
    if started[0]:
        yield agreement(len(gpus), int(resources.get("GPU", 0)))


def agreement(torchs: int, rays: int) -> Check:
    """Do torch and Ray see the same GPUs of this machine?"""
    from importlib.metadata import version as of

    if rays > torchs:
        return (
            False,
            "gpus",
            (
                f"Ray has {rays} here, torch {of('torch')} finds {torchs}: players would be given"
                " GPUs that they cannot use. Install a torch for them, or train with --device cpu"
            ),
        )
    if torchs > rays:
        return (
            False,
            "gpus",
            (
                f"torch finds {torchs} here, Ray has {rays}: players would train on CPUs. Start Ray"
                f" with --num-gpus {torchs}, or look at CUDA_VISIBLE_DEVICES"
            ),
        )
    return True, "gpus", f"{rays}, by torch and by Ray"


def sharing() -> str:
    """Does NVIDIA's MPS run, by which processes of one GPU work at once and not in turns?"""
    if (Path(os.environ.get("CUDA_MPS_PIPE_DIRECTORY", "/tmp/nvidia-mps")) / "control").exists():
        return "runs: players that share a GPU work at once"
    return (
        "does not run: players that share a GPU take turns. nvidia-cuda-mps-control -d starts it,"
        " or take resources.pairs_per_actor"
    )


def _ray_starts() -> tuple[Check, dict[str, float]]:
    from raygan.actors.cluster import cluster

    began = time.perf_counter()
    try:
        with cluster("local", 80):
            import ray

            resources = ray.cluster_resources()
    except RayganError as error:
        return (False, "start", str(error)), {}
    seconds = time.perf_counter() - began
    text = f"a local Ray starts and stops in {seconds:.0f} s: {resources.get('CPU', 0):g} CPUs"
    return (True, "start", text), resources
