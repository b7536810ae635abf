"""The folder of a submitted run, from the node that wrote it.

jobs of that name, folder or id --whose folder is there--> one run (by run.json's id), or refused
its journal, then what else is there --all that the journal promises--> to/RUN, else once more
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any, Protocol

from raygan.controller.checkpoint_index import FOLDER
from raygan.controller.history import FOLDER as JOURNAL
from raygan.controller.history import read_head
from raygan.controller.run_folder import check_name, inside
from raygan.controller.storage import LocalStorage
from raygan.errors import CheckpointError, ConfigError
from raygan.paths import expanded, in_bucket
from raygan.service.cluster.jobs import Jobs
from raygan.service.runs.download import arriving, download, refuse_there

TRIES = 10
"""To copy a run that goes on, whose checkpoints come and go meanwhile."""


class Place(Protocol):
    """Where a job's run lies."""

    def mark(self) -> str | None:
        """What tells this run from others; None: it is not there."""

    def bring(self, to: Path) -> Path:
        """Copy it to to/NAME; returns that. Raises CheckpointError."""


def fetch(run: str, to: Path, jobs: Jobs, address: str = "auto") -> Path:
    """Copy a run's folder from where its job wrote it to `to/NAME`; returns that. run: its name,
    RUN_DIR/NAME, or its job's id. Raises ConfigError, CheckpointError.
    """
    sent = jobs.list()
    named = _named(run, sent)
    refuse_there(to / named[0]["run"])
    # what lies in a bucket is fetched without joining the cluster
    disk = any(in_bucket(job["run_dir"]) is None for job in named)
    with _joined(address) if disk else contextlib.nullcontext():
        there, ids = (
            dict[str, tuple[dict[str, Any], Place]](),
            {str(job["id"]) for job in sent if job["run"] == named[0]["run"]},
        )
        for job in named:
            place: Place = InBucket(job) if in_bucket(job["run_dir"]) else OnNode(job, ids)
            # by what the folder itself says: two jobs may have written one and the same run
            if mark := place.mark():
                there.setdefault(mark, (job, place))
        if not there:
            raise CheckpointError(
                f"run {run!r}: its node has no run folder of it {_listed(named)}. Was it written"
                " on shared storage?"
            )
        if len(there) > 1:
            raise ConfigError(
                f"run {run!r}: several runs of that name:"
                f" {_listed([j for j, _ in there.values()])}."
                " Name the folder, or the job: raygan fetch RUN_DIR/NAME, or raygan fetch JOB."
            )
        return next(place for _, place in there.values()).bring(to)


def _named(run: str, sent: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Jobs of a run, newest first."""
    if "/" in run:
        found = [j for j in sent if {run, str(expanded(run))} & {*_spellings(j)}]
    else:
        check_name(run)
        found = [j for j in sent if j["run"] == run] or [j for j in sent if j["id"] == run]
    if not found:
        known = ", ".join(sorted({j["run"] for j in sent})) or "none"
        raise ConfigError(f"run {run!r}: no job of that run on the cluster. Runs there: {known}.")
    # It comes from another machine, and becomes a folder here.
    check_name(found[0]["run"])
    return found


def _folder(job: dict[str, Any]) -> str:
    return str(Path(job["run_dir"]) / job["run"])


def _spellings(job: dict[str, Any]) -> tuple[str, str]:
    # A shell has made a path of this machine of ~/raygan-runs, before we see it.
    return _folder(job), str(Path(_folder(job)).expanduser())


def _listed(found: Sequence[dict[str, Any]]) -> str:
    return ", ".join(f"{_folder(j)} ({j['status']}, job {j['id']})" for j in found)


def _joined(address: str) -> contextlib.AbstractContextManager[None]:
    from raygan.actors.cluster import cluster

    return cluster(address, 0, start=False)


class InBucket:
    """In an object store: no node is asked."""

    def __init__(self, job: dict[str, Any]) -> None:
        self.address = f"{in_bucket(job['run_dir'])}/{job['run']}"

    def mark(self) -> str | None:
        """Its address, there or not: `bring` tells."""
        return self.address

    def bring(self, to: Path) -> Path:
        """Copy the run out of the store; the folder here."""
        return download(self.address, to)


class OnNode:
    """On a node's disk, or on storage that it sees. jobs: ids of the run's jobs."""

    def __init__(self, job: dict[str, Any], jobs: Collection[str] = ()) -> None:
        self.folder, self.node, self.jobs = _folder(job), job["node"], {str(job["id"]), *jobs}
        self.run = str(job["run"])

    def mark(self) -> str | None:
        """Its id; of a sweep, or a claim, its folder. None also where it is another job's run."""
        # A job that never had a driver has written nothing.
        if self.node is None or not any(Path(n).name == "run.json" for n in self.names()):
            return None
        about = json.loads(self.content("run.json") or b"{}")
        # Where the job's node is gone another one has looked, which may have a run of this name of
        # its own.
        strange = about.get("job") is not None and about["job"] not in self.jobs
        if strange and self._asked(node_of, 60.0) != self.node:
            return None
        return str(about.get("id") or self.folder)

    def names(self) -> list[str]:
        """The names of all files of the run's folder, asked of its node."""
        found: list[str] = self._asked(files_of, 60.0)
        return found

    def content(self, name: str) -> bytes | None:
        """Of one of them; None: it is gone."""
        raw: bytes | None = self._asked(content_of, 300.0, name)
        return raw

    def _asked(self, what: Any, timeout_s: float, *more: str) -> Any:
        import ray
        from ray.exceptions import RayError
        from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

        # On the node of the job's driver: the folder is on that node's own disk. soft: it may be
        # gone, and shared storage is there for all.
        there = NodeAffinitySchedulingStrategy(self.node, soft=True)
        task = ray.remote(what).options(num_cpus=0, scheduling_strategy=there)
        try:
            return ray.get(task.remote(self.folder, *more), timeout=timeout_s)
        except RayError as error:
            text = (str(error).strip().splitlines() or [type(error).__name__])[-1]
            raise CheckpointError(
                f"run {self.run!r}: {self.folder} cannot be read on its node ({text[:200]}). Fetch"
                " again."
            ) from None

    def bring(self, to: Path) -> Path:
        """File by file. A checkpoint that is pruned meanwhile was superseded: then all that has
        changed is copied once more.
        """
        with arriving(to / self.run) as temporary:
            temporary.mkdir()
            lost: set[str] | None = None
            for _ in range(TRIES):
                self._copy(temporary)
                before, lost = lost, promised_and_gone(temporary)
                # Missing twice: it is lost there, too, and the copy is as good as the run.
                if not lost or lost == before:
                    break
            else:
                raise CheckpointError(
                    f"run {self.run!r}: its checkpoints are replaced faster than they are copied."
                    f" `raygan stop {self.run}`, then fetch again."
                )
        return to / self.run

    def _copy(self, temporary: Path) -> None:
        # The journal first: what is committed later adds to what it names, and takes nothing
        # away that is not missed (`promised_and_gone`).
        journal = [n for n in self.names() if n.startswith(f"{JOURNAL}/")]
        self._take(journal, temporary)
        rest = [n for n in self.names() if n not in journal]
        for old in files_of(str(temporary)):
            if old not in journal and old not in rest:
                inside(temporary, old).unlink()
        self._take(rest, temporary)

    def _take(self, names: Sequence[str], temporary: Path) -> None:
        # A file a call: a checkpoint has gigabytes, and Ray holds a task's answer in memory.
        for name in names:
            # The names come from another machine.
            path = inside(temporary, name)
            # A checkpoint that has its name is never written again.
            if name.startswith(f"{FOLDER}/") and path.exists():
                continue
            if (raw := self.content(name)) is not None:
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(raw)


def promised_and_gone(run: Path) -> set[str]:
    """Checkpoints that the journal says are there, and that are not, or not as a whole."""
    gone = set[str]()
    for entry in read_head(LocalStorage(run)).index:
        folder = run / FOLDER / entry.folder
        try:
            parts = json.loads((folder / "manifest.json").read_bytes())["parts"]
            whole = all((folder / f"{part}.safetensors").exists() for part in parts)
        except (OSError, ValueError, KeyError):
            whole = False
        if entry.promised and not whole:
            gone.add(entry.folder)
    return gone


def files_of(folder: str) -> list[str]:
    """Names of all files below a folder."""
    root = expanded(folder)
    # os.walk passes over what is removed while it looks.
    found = (Path(at) / name for at, _, files in os.walk(root) for name in files)
    return sorted(str(p.relative_to(root)) for p in found if p.is_file() and not p.is_symlink())


def node_of(folder: str) -> str:
    """The node that was asked."""
    import ray

    return str(ray.get_runtime_context().get_node_id())


def content_of(folder: str, name: str) -> bytes | None:
    """One of them; None: it is gone."""
    try:
        return (expanded(folder) / name).read_bytes()
    except FileNotFoundError:
        return None
