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

    gpus = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
    yield True, "devices", f"{os.cpu_count()} CPUs; GPUs: {', '.join(gpus) or 'none'}"
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
    yield _ray_starts()


def _ray_starts() -> Check:
    from raygan.actors.cluster import cluster

    began = time.perf_counter()
    try:
        with cluster("local", 80):
            import ray

            resources = ray.cluster_resources()
    except RayganError as error:
        return False, "start", str(error)
    seconds = time.perf_counter() - began
    return (
        True,
        "start",
        f"a local Ray starts and stops in {seconds:.0f} s: {resources.get('CPU', 0):g} CPUs",
    )
