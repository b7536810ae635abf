"""The folder of a submitted run, from the node that wrote it."""

from __future__ import annotations

from pathlib import Path

from raygan.controller.run_folder import check_name, inside
from raygan.errors import CheckpointError, ConfigError
from raygan.paths import expanded, in_bucket
from raygan.service.cluster.jobs import Jobs
from raygan.service.runs.download import arriving, download, refuse_there


def fetch(run: str, to: Path, jobs: Jobs, address: str = "auto") -> Path:
    """Copy a run's folder from the node that wrote it to `to/RUN`; returns that. Raises
    ConfigError, CheckpointError.
    """
    check_name(run)
    job = next((j for j in jobs.list() if j["run"] == run), None)
    if job is None:
        known = ", ".join(sorted({j["run"] for j in jobs.list()})) or "none"
        raise ConfigError(f"run {run!r}: no job of that run on the cluster. Runs there: {known}.")
    refuse_there(to / run)
    if bucket := in_bucket(job["run_dir"]):
        return download(f"{bucket}/{run}", to)
    import ray
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    from raygan.actors.cluster import cluster

    with cluster(address, 0, start=False):
        # On the node of the job's driver: the folder is on that node's own disk. soft: it may be
        # gone, and shared storage is there for all.
        there = NodeAffinitySchedulingStrategy(job["node"], soft=True)
        names = ray.remote(files_of).options(num_cpus=0, scheduling_strategy=there)
        read = ray.remote(content_of).options(num_cpus=0, scheduling_strategy=there)
        folder = str(Path(job["run_dir"]) / run)
        found: list[str] = ray.get(names.remote(folder), timeout=60.0)
        if "run.json" not in found:
            raise CheckpointError(
                f"run {run!r}: its node has no run folder {folder}. Was it written on shared"
                " storage?"
            )
        with arriving(to / run) as temporary:
            # A file a call: a checkpoint has gigabytes, and Ray holds a task's answer in memory.
            for name in found:
                # The names come from another machine.
                path = inside(temporary, name)
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(ray.get(read.remote(folder, name), timeout=300.0))
    return to / run


def files_of(folder: str) -> list[str]:
    """Names of all files below a folder."""
    root = expanded(folder)
    return sorted(
        str(p.relative_to(root)) for p in root.rglob("*") if p.is_file() and not p.is_symlink()
    )


def content_of(folder: str, name: str) -> bytes:
    """One of them."""
    return (expanded(folder) / name).read_bytes()
