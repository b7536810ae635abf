"""Runs as Ray jobs: a run that is submitted has its driver on the cluster, under Ray's own
supervisor, and outlives the shell.

    jobs = Jobs("http://127.0.0.1:8265")              # or "auto", or host:6379
    job = jobs.submit(["train", "--preset", "ring8-gap", "--name", "mine"])
    jobs.list(); job.wait(); job.exit_code; job.stop()
    fetch("mine", Path("here"))                       # its run folder, from the node that wrote it

There is no second service beside Ray's: `ray job list | logs | stop` see the same jobs.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import shlex
import shutil
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import zip_longest
from pathlib import Path
from typing import Any

import raygan
from raygan.config import Resolved
from raygan.controller.run_folder import check_name, inside
from raygan.errors import CheckpointError, ConfigError
from raygan.paths import expanded, in_bucket
from raygan.service.cluster.package import Package, pack, weigh
from raygan.service.runs.download import arriving, download, refuse_there

__all__ = ["Job", "Jobs", "Package", "Submission", "fetch", "for_a_job", "weigh"]

GRACE_S = 60
"""Seconds that a stopped job has to write its checkpoint; Ray's own are 3."""
RUN_DIR = "~/raygan-runs"
"""On the node of the driver, where nothing else is asked: a job's own folder is thrown away."""
RUN, FOLDER, VERSION = "raygan_run", "raygan_run_dir", "raygan_version"
"""Keys of a job's metadata."""
PASSED_ON = ("RAYGAN_DATA",)
"""Settings of the environment that go with a job."""
PATIENCE_S = 60.0
"""For a cluster that is still starting."""
FINAL = ("SUCCEEDED", "FAILED", "STOPPED")
LOST = (1, 137)
"""Exit codes after which another try may get further: a death too many, a driver that was killed or
went down with its node. Bad input, no room, a stop, another driver that has taken the run over are
what they are.
"""
EMPTY: Mapping[str, int] = {}


@dataclass(frozen=True)
class Submission:
    """A job, before it is sent."""

    address: str
    id: str
    entrypoint: list[str]
    working_dir: Path
    """The archive that `package` has made; it goes once it is sent."""
    environment: dict[str, str]
    metadata: dict[str, str]
    driver: dict[str, int] = field(default_factory=dict)
    """What the driver's own process asks for; {}: it lives on the head, and is counted nowhere."""

    @property
    def command(self) -> list[str]:
        """The `ray job submit` line."""
        env = json.dumps({"env_vars": self.environment})
        return [
            "ray", "job", "submit", "--address", self.address, "--submission-id", self.id, "--working-dir", str(self.working_dir),
            "--runtime-env-json", env, "--metadata-json", json.dumps(self.metadata),
            *(word for name, much in self.driver.items() for word in ("--" + name.replace("_", "-"), str(much))),
            "--", *self.entrypoint,
        ]  # fmt: skip

    def discard(self) -> None:
        """Take the archive away: it is sent, or will not be."""
        shutil.rmtree(self.working_dir.parent, ignore_errors=True)


class Jobs:
    """The jobs of one cluster. Raises ConfigError when it cannot be reached, or does not let us in."""

    def __init__(self, address: str = "auto") -> None:
        os.environ.setdefault(
            "RAY_AUTH_MODE", "token"
        )  # a client must say so, before it imports ray
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
        import logging

        logging.getLogger("ray").setLevel(logging.ERROR)
        from ray.exceptions import AuthenticationError, RpcError
        from ray.job_submission import JobSubmissionClient

        from raygan.actors.cluster import knock, knock_nearest

        with _address_wins(address):
            try:
                if address != "auto":
                    knock(address)
                elif "RAY_API_SERVER_ADDRESS" not in os.environ:
                    knock_nearest()
                self.client = JobSubmissionClient(None if address == "auto" else address)
            except (
                ConnectionError,
                RuntimeError,
                ValueError,
                AuthenticationError,
                RpcError,
            ) as error:
                raise refused(address, error) from None
        self.address = str(self.client._address)

    def prepare(
        self,
        arguments: Sequence[str],
        run: Path | None = None,
        *,
        working_dir: Path = Path(),
        include: Sequence[str] = (),
        driver: Mapping[str, int] = EMPTY,
    ) -> tuple[Submission, Package]:
        """What would be sent for the run of that folder, and what it weighs. Raises ConfigError for
        a package that is too large, or that lacks a file which the arguments name.

        driver: what its process asks for, by Ray's names (`entrypoint_num_cpus`,
        `entrypoint_memory` in bytes).
        """
        archive, package = pack(working_dir, include, needed=arguments)
        environment = {"RAY_JOB_STOP_WAIT_TIME_S": str(GRACE_S), "PYTHONUNBUFFERED": "1"}
        environment |= {k: os.environ[k] for k in PASSED_ON if k in os.environ}
        metadata = {} if run is None else {RUN: run.name, FOLDER: str(run.parent)}
        metadata |= {VERSION: raygan.__version__}
        job = f"{run.name if run else arguments[0]}-{secrets.token_hex(3)}"
        entry = ["python", "-m", "raygan.cli", *arguments]
        sent = Submission(self.address, job, entry, archive, environment, metadata, dict(driver))
        return sent, package

    def submit(
        self, arguments: Sequence[str], *, working_dir: Path = Path(), include: Sequence[str] = ()
    ) -> Job:
        """Send `raygan ARGUMENTS` as a job and return at once. Raises ConfigError."""
        return self.send(
            self.prepare(*for_a_job(arguments), working_dir=working_dir, include=include)[0]
        )

    def send(self, submission: Submission) -> Job:
        """Send it; a cluster that is still starting (no agent takes jobs yet) is given time. Raises
        ConfigError.
        """
        try:
            return self._send(submission)
        finally:
            submission.discard()

    def _send(self, submission: Submission) -> Job:
        deadline = time.monotonic() + PATIENCE_S
        while True:
            try:
                self.client.submit_job(
                    entrypoint=shlex.join(submission.entrypoint), submission_id=submission.id, metadata=submission.metadata,
                    runtime_env={"working_dir": str(submission.working_dir), "env_vars": submission.environment},
                    entrypoint_num_cpus=submission.driver.get("entrypoint_num_cpus"),
                    entrypoint_memory=submission.driver.get("entrypoint_memory"),
                )  # fmt: skip
                return self.job(submission.id)
            except RuntimeError as error:
                if "No available agent" not in str(error) or time.monotonic() > deadline:
                    text = " ".join(str(error).split())[:200]
                    raise ConfigError(
                        f"submit: the cluster refuses the job ({text}). Look at its dashboard,"
                        f" {self.address}."
                    ) from None
                time.sleep(1.0)

    def job(self, job: str) -> Job:
        """A job by its submission id."""
        return Job(self, job)

    def list(self) -> list[dict[str, Any]]:
        """The jobs that raygan has sent, newest first: id, run, status, exit_code, where its folder
        is.
        """
        out = []
        for job in self.client.list_jobs():
            about = job.metadata or {}
            if job.submission_id and RUN in about:
                out.append({
                    "id": job.submission_id, "run": about[RUN], "run_dir": about.get(FOLDER, ""), "status": status_of(job),
                    "exit_code": exit_code_of(job), "started": (job.start_time or 0) / 1000, "node": job.driver_node_id,
                })  # fmt: skip
        return sorted(out, key=lambda j: -float(str(j["started"])))


@dataclass(frozen=True)
class Job:
    """A job that was sent."""

    jobs: Jobs
    id: str

    @property
    def details(self) -> Any:
        """Ray's own record."""
        return self.jobs.client.get_job_info(self.id)

    @property
    def status(self) -> str:
        """PENDING, RUNNING, SUCCEEDED, FAILED or STOPPED."""
        return status_of(self.details)

    @property
    def exit_code(self) -> int | None:
        """raygan's own exit code (Ray makes 1 of every failure); None while it goes on."""
        return exit_code_of(self.details)

    @property
    def logs(self) -> str:
        """Everything that it has printed."""
        return str(self.jobs.client.get_job_logs(self.id))

    def follow(self) -> Iterator[str]:
        """What it prints, as it comes."""
        import asyncio

        tail = self.jobs.client.tail_job_logs(self.id)

        async def one() -> str | None:
            return await anext(aiter(tail), None)

        with asyncio.Runner() as runner:
            while (text := runner.run(one())) is not None:
                yield text

    def wait(self, timeout_s: float = 3600.0) -> int:
        """Its exit code, when it has ended. Raises TimeoutError."""
        deadline = time.monotonic() + timeout_s
        while (code := self.exit_code) is None:
            if time.monotonic() > deadline:
                raise TimeoutError(f"job {self.id} is still {self.status} after {timeout_s:.0f} s")
            time.sleep(0.3)
        return code

    def stop(self) -> None:
        """SIGTERM: it writes a checkpoint and ends with 143."""
        self.jobs.client.stop_job(self.id)


def status_of(details: Any) -> str:
    """PENDING, RUNNING, SUCCEEDED, FAILED or STOPPED, of Ray's record of a job."""
    return str(getattr(details.status, "value", details.status))


def exit_code_of(details: Any) -> int | None:
    """raygan's own exit code, of Ray's record of a job; None while it goes on."""
    status, code = status_of(details), details.driver_exit_code
    if status not in FINAL:
        return None
    if code is None:
        return {"SUCCEEDED": 0, "STOPPED": 143}.get(status, 1)
    return 128 - int(code) if code < 0 else int(code)  # -15: ended by the signal itself


@contextlib.contextmanager
def _address_wins(address: str) -> Iterator[None]:
    """Ray lets the environment override an address that was given: not here."""
    names = ("RAY_API_SERVER_ADDRESS", "RAY_ADDRESS") if address != "auto" else ()
    kept = {name: os.environ.pop(name) for name in names if name in os.environ}
    try:
        yield
    finally:
        os.environ |= kept


def for_a_job(arguments: Sequence[str]) -> tuple[list[str], Path | None]:
    """(arguments, run folder) as a job needs them: a name, a run folder that outlives the job,
    plain lines. Raises ConfigError.
    """
    verb, *rest = arguments
    if verb not in ("train", "resume"):
        return list(arguments), None
    rest += [] if {"--plain", "--json", "--quiet"} & set(rest) else ["--plain"]
    if verb == "resume":
        valued = ("--steps", "--address", "--require")
        run = next(
            (
                a
                for a, b in zip(rest, arguments, strict=False)
                if not a.startswith("-") and b not in valued
            ),
            None,
        )
        return [verb, *rest], None if run is None else Path(_stays("run", run))
    folder = _value(rest, "--run-dir")
    if folder is None:
        folder = RUN_DIR
        rest += ["--run-dir", folder]
    _stays("--run-dir", folder)
    name = _value(rest, "--name")
    if name is None:
        name = f"run-{secrets.token_hex(3)}"
        rest += ["--name", name]
    check_name(name)
    return [verb, *rest], Path(folder) / name


def to_try_again(arguments: Sequence[str]) -> list[str]:
    """`train` or `resume` as it may be sent several times: what was committed is gone on with.
    Raises ConfigError.
    """
    verb, *rest = arguments
    if verb == "resume" and _value(rest, "--steps") is not None:
        raise ConfigError("--retries with resume --steps: each try would add them. Leave one out.")
    if verb == "resume":
        return [verb, *rest]
    if verb != "train":
        raise ConfigError(f"--retries goes with train and resume, not with {verb}. Leave it out.")
    if _value(rest, "--run-dir") is None or _value(rest, "--name") is None:
        raise ConfigError(
            f"--retries: another try may have its driver on another node, where {RUN_DIR} is"
            " empty. Give --name, and --run-dir on storage that all nodes see."
        )
    if (asked := _value(rest, "--resume")) not in (None, "auto"):
        raise ConfigError(f"--retries goes with --resume auto, not {asked!r}. Leave one out.")
    return [verb, *rest, *([] if asked else ["--resume", "auto"])]


def own_files(resolved: Resolved, folder: Path, arguments: Sequence[str]) -> list[str]:
    """Files of own parts, relative to the job's folder: they go along whether git tracks them or
    not. Raises ConfigError for one that lies outside, or is named by its whole path, which is no
    place on a cluster.
    """
    out, root = list[str](), folder.resolve()
    for record in resolved.config.code.values():
        if record.get("module"):
            continue  # installed there, or refused there
        path = Path(str(record["path"]))
        if any(str(path) in argument for argument in arguments):
            raise ConfigError(
                f"submit: {str(path)!r} is no path on the cluster. Write it relative to the working"
                " directory."
            )
        if not path.resolve().is_relative_to(root):
            raise ConfigError(
                f"submit: {str(path)!r} lies outside --working-dir {str(folder)!r}. Copy it there."
            )
        top = path.parent if path.is_dir() else None
        out += [
            str((path if top is None else top / name).resolve().relative_to(root))
            for name in record["files"]
        ]
    return out


def _value(arguments: Sequence[str], flag: str) -> str | None:
    """Of a flag that may be written `--name x` or `--name=x`."""
    for a, b in zip_longest(arguments, arguments[1:]):
        if a == flag or a.startswith(f"{flag}="):
            return b if a == flag else a.partition("=")[2]
    return None


def _stays(what: str, folder: str) -> str:
    if not folder.startswith(("/", "~")) and not in_bucket(folder):
        raise ConfigError(
            f"{what} {folder!r}: a job's working directory is thrown away. Give an absolute path,"
            " on storage that all nodes see, or a bucket."
        )
    return folder


def refused(address: str, error: Exception) -> ConfigError:
    """Ray's account of a door that stays shut, in one line."""
    text = " ".join(str(error).split())
    if any(
        mark in text.lower()
        for mark in ("authentication", "token", "unauthorized", "unauthenticated", "401", "403")
    ):
        return ConfigError(
            f"address = {address!r}: the cluster asks for its token. Put it into ~/.ray/auth_token"
            " (chmod 600) or RAY_AUTH_TOKEN, and set RAY_AUTH_MODE=token."
        )
    return ConfigError(
        f"address = {address!r}: no Ray cluster takes jobs there ({text[:160]}). Start one with"
        " `ray start --head`, or name its dashboard: --address http://HOST:8265."
    )


# ------------------------------------------------------------------------------------------------------
# fetching


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
            for name in found:
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
