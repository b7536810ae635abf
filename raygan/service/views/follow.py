"""A run that goes on, as others see it: its folder where that can be seen, else a copy that its hub
keeps up to date.

with follow("runs/mine") as feed:       # or follow("mine", address): through the hub of a run
                                        # on the cluster
    feed.refresh()
    feed.run.scores(), state(feed.run)
    feed.ask({"verb": "stop"})
"""

from __future__ import annotations

import contextlib
import json
import math
import shlex
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Protocol

from raygan.controller.bucket import BucketStorage
from raygan.controller.bucket_copies import refresh, shown, storage_of
from raygan.controller.files import say, write_within
from raygan.controller.jsonl import Lines, told_by_a_run
from raygan.controller.requests import file_of
from raygan.controller.run_folder import check_name, find_run, inside, write_atomically
from raygan.controller.run_format import refuse_newer
from raygan.errors import ConfigError
from raygan.service.runs.alive import at_work, running
from raygan.service.runs.run import Run
from raygan.service.views.copies import own_folder
from raygan.service.views.state import ENDED

JOBS_S = 10.0
"""For the cluster's jobs, which are looked at for a better word only."""


class Feed(Protocol):
    """What can be seen of a run, and what can be asked of it."""

    run: Run
    look_s: float
    """Who looks less often may miss the end."""

    def refresh(self) -> bool:
        """Look again; False when there is nothing more to come."""

    def ask(self, request: dict[str, Any]) -> None:
        """Leave a request for the driver: {"verb": "stop", ...} (`controller.requests`)."""


class FolderFeed:
    """Follows a run in its own folder."""

    look_s = math.inf
    """What it says stays."""

    def __init__(self, path: Path) -> None:
        self.run = Run.load(path)

    def refresh(self) -> bool:
        """The files are what they are; of a run in a bucket they are brought."""
        refresh(self.run.path)
        return running(self.run.info)

    def ask(self, request: dict[str, Any]) -> None:
        """As a file that the driver looks for."""
        name = file_of(request)
        try:
            raw = json.dumps(request).encode()
            if isinstance(there := storage_of(self.run.path), BucketStorage):
                there.write(name, raw)  # the driver looks there
            else:
                write_within(self.run.path, name, raw)
        except OSError as error:
            raise ConfigError(
                f"run {shown(self.run.path)!r}: {name} cannot be written ({say(error)}). Ask on the"
                " machine that drives the run, or by its name and --address."
            ) from None


class HubFeed:
    """A copy of the run's small files in a folder of its own, from the hub."""

    look_s = 2.0

    def __init__(self, name: str, hub: Any, folder: Path) -> None:
        self.hub = hub
        self.who = uuid.uuid4().hex
        self.path = folder / name
        (self.path / "samples").mkdir(parents=True)
        (self.path / "checkpoints").mkdir()
        self.offsets: dict[str, int] = {}
        self.skipped = 0
        """Bytes of logs that the hub had dropped already."""
        if not self._take() or not (self.path / "run.json").exists():
            raise ConfigError(
                f"run {name!r}: its hub knows nothing yet. Look again in a few seconds."
            )
        refuse_newer(self.path)
        self.run = Run(self.path)

    def refresh(self) -> bool:
        """Take what is new. A hub stays for a moment after the end, to tell it."""
        return self._take() and (self.run.info["status"] not in ENDED or at_work(self.run.info))

    def _take(self) -> bool:
        """False: the hub is gone."""
        import ray
        from ray.exceptions import RayError

        have = [str(p.relative_to(self.path)) for p in (self.path / "samples").glob("*.npy")]
        try:
            # What we have is said: the hub sends the rest, not 32 MB at each look.
            added, whole = ray.get(self.hub.read.remote(have, self.offsets, self.who), timeout=20.0)
        except RayError:  # the run is over, and its hub with it
            return False
        for name, (begin, raw) in added.items():
            self.skipped += begin - self.offsets.get(name, 0)
            # `inside`: the names come from another machine, and ../.. is one of them.
            with inside(self.path, name).open("ab") as file:
                file.write(raw)
            self.offsets[name] = begin + len(raw)
        for name, raw in whole.items():
            write_atomically(inside(self.path, name), raw)
        return True

    def ask(self, request: dict[str, Any]) -> None:
        """Through the hub, to the driver."""
        import ray

        ray.get(self.hub.ask.remote(request), timeout=20.0)

    def leave(self) -> None:
        """Nobody looks any more: the run's end need not wait for this reader."""
        import ray
        from ray.exceptions import RayError

        with contextlib.suppress(RayError):
            ray.get(self.hub.leave.remote(self.who), timeout=2.0)


@contextlib.contextmanager
def follow(run: str, address: str = "auto") -> Iterator[Feed]:
    """The run in this folder, or of this name, or in this folder on the cluster. ConfigError."""
    found, nowhere = None, ""
    try:
        found = find_run(run)
    except ConfigError as error:
        # Of a name, or of a whole path, the cluster may know.
        if "/" in run and not run.startswith("/"):
            raise
        nowhere = str(error)
    if found is not None:
        yield FolderFeed(found)
        return
    check_name(Path(run).name)
    from raygan.actors.cluster import cluster

    with contextlib.ExitStack() as stack:
        try:
            stack.enter_context(cluster(address, 0, start=False))
        except ConfigError as error:
            if address != "auto":  # a cluster that was named is what was meant
                raise
            # Whoever has typed a path means a folder first.
            if "/" in run:
                raise ConfigError(nowhere) from None
            raise ConfigError(f"{nowhere} Nor is there a cluster to ask: {error}") from None
        folder = stack.enter_context(own_folder())
        feed = HubFeed(Path(run).name, _hub(run, nowhere, address), folder)
        stack.callback(feed.leave)
        yield feed


def _hub(run: str, nowhere: str, address: str) -> Any:
    """Of the run of this name, or in this folder. Raises ConfigError where there is none, or are
    several.
    """
    from raygan.actors.hub import hubs_of

    found = {
        folder: hub
        for folder, hub in hubs_of(Path(run).name).items()
        # hubs are found by the run's name, which two folders may share
        if "/" not in run or folder == str(Path(run))
    }
    if not found:
        raise ConfigError(_not_going_on(run, nowhere, address))
    if len(found) > 1:
        raise ConfigError(
            f"run {run!r}: {len(found)} runs of that name go on on the cluster, in"
            f" {' and '.join(sorted(found))}. Name the folder."
        )
    return next(iter(found.values()))


def _not_going_on(run: str, nowhere: str, address: str) -> str:
    """What the cluster's jobs know of a run that has no hub."""
    name, folder = Path(run).name, str(Path(run).parent)
    for job in cluster_jobs():
        # a bare name fits runs in any folder; with a folder it is that one
        if job["run"] != name or ("/" in run and job["run_dir"] != folder):
            continue
        if job["exit_code"] is None:
            return (
                f"run {run!r} is {job['status']} as job {job['id']}, and tells nothing yet. Look"
                f" again in a few seconds, or at `ray job logs {job['id']}`."
            )
        return (
            f"run {run!r} has ended ({job['status']}, exit code {job['exit_code']}, job"
            f" {job['id']}). `raygan fetch {job['id']}` brings its folder; `raygan submit -- status"
            f" {shlex.quote(job['run_dir'] + '/' + name)}` looks at it there."
        )
    return (
        f"{nowhere} Nor is it a run that goes on on the cluster: `raygan runs --address {address}`"
        " lists what that knows."
    )


def cluster_jobs() -> list[dict[str, Any]]:
    """Those of the cluster that was joined, newest first; [] where it says nothing for seconds."""
    import ray
    from ray.exceptions import RayError

    from raygan.service.cluster.jobs import listed

    # From within: its dashboard's port may be closed to us, and Ray's client waits for ever.
    task = ray.remote(listed).options(num_cpus=0, max_retries=0)
    try:
        address = ray.get_runtime_context().gcs_address
        found: list[dict[str, Any]] = ray.get(task.remote(address), timeout=JOBS_S)
    except RayError:
        return []
    return found


def scale(feed: Feed, pairs: int, timeout_s: float = 120.0) -> str:
    """Ask, wait for the answer; returns one line. Raises ConfigError when refused or unanswered."""
    refuse_unless_running(feed, "scaled")
    # Its own name: two that scale at once must not take each other's answer.
    request, answers = uuid.uuid4().hex, Lines(feed.run.path / "events.jsonl", told_by_a_run)
    # Answers to earlier requests are in the file already.
    answers.skip()
    feed.ask({"verb": "scale", "id": request, "pairs": pairs})
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        feed.refresh()
        for event in answers.fresh():
            if event.get("request") == request:
                if event["kind"] == "refused":
                    raise ConfigError(f"scale: {event['why']}")
                return f"{feed.run.name}: {pairs} members since step {event['step']}" + (
                    f" ({event['why']})" if "why" in event else ""
                )
        time.sleep(0.2)
    raise ConfigError(
        f"scale: no answer of {feed.run.name} within {timeout_s:.0f} s. Is its driver alive?"
        " `raygan runs` tells."
    )


def stop(feed: Feed, timeout_s: float = 120.0) -> str:
    """Ask for a checkpoint and an end, wait; returns one line. Raises ConfigError unanswered."""
    refuse_unless_running(feed, "stopped")
    began = time.monotonic()
    # this life of it: what comes too late must not stop the next one
    feed.ask({"verb": "stop", "epoch": feed.run.info.get("epoch")})
    while time.monotonic() - began < timeout_s:
        more = feed.refresh()
        info = feed.run.info
        if info["status"] in ENDED or not more:
            saved = feed.run.summary.last.get("checkpoint")
            where = f", checkpoint of step {saved['step']}" if saved else ""
            # Its hub went before it could tell the end.
            status = info["status"] if info["status"] in ENDED else "gone"
            return f"{feed.run.name}: {status} after {time.monotonic() - began:.1f} s{where}"
        time.sleep(0.1)
    raise ConfigError(
        f"stop: {feed.run.name} has not ended within {timeout_s:.0f} s. `kill"
        f" {feed.run.info.get('pid')}` on {feed.run.info.get('host')} asks its driver itself."
    )


def refuse_unless_running(feed: Feed, what: str) -> None:
    """Raises ConfigError for a run that has ended, or whose driver is gone."""
    info = feed.run.info
    if not running(info) or info["status"] in ENDED:
        status = (
            info["status"]
            if info["status"] in ENDED
            else f"{info['status']} by name, but its driver is gone: lost"
        )
        raise ConfigError(
            f"run {shown(feed.run.path)!r} is {status}, not running. Only a running run can be"
            f" {what}."
        )
