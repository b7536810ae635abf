"""Runs as Ray jobs: a run that is submitted has its driver on the cluster, under Ray's own
supervisor, and outlives the shell.

    jobs = Jobs("http://127.0.0.1:8265")              # or "auto", or host:6379
    job = jobs.submit(["train", "--preset", "ring8-gap", "--name", "mine"])
    jobs.list(); job.wait(); job.exit_code; job.stop()
    fetching.fetch("mine", Path("here"), jobs)        # its run folder, from the node that wrote it

There is no second service beside Ray's: `ray job list | logs | stop` see the same jobs.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import shlex
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import raygan
from raygan.errors import ConfigError
from raygan.own.importing import refuse_while_loading
from raygan.paths import IN_A_JOB
from raygan.service.cluster.job_arguments import for_a_job
from raygan.service.cluster.package import Package, pack
from raygan.service.cluster.records import exit_code_of, status_of
from raygan.service.cluster.sight import PAUSE_S, Patience, answers, dropped
from raygan.service.cluster.submission import Submission

GRACE_S = 60
"""Seconds that a stopped job has to write its checkpoint; Ray's own are 3."""
RUN, FOLDER, VERSION = "raygan_run", "raygan_run_dir", "raygan_version"
"""Keys of a job's metadata."""
PASSED_ON = ("RAYGAN_DATA",)
"""Settings of the environment that go with a job."""
PATIENCE_S = 60.0
"""For a cluster that is still starting."""
QUIET_S = 30.0
"""A job that prints nothing for so long may have a head that is gone."""
LOST = (1, 137)
"""Exit codes after which another try may get further: a death too many, a driver that was killed or
went down with its node. Bad input, no room, a stop, another driver that has taken the run over are
what they are.
"""
EMPTY: Mapping[str, int] = {}


class Jobs:
    """The jobs of one cluster.

    Raises ConfigError when it cannot be reached, or does not let us in.
    """

    def __init__(self, address: str = "auto") -> None:
        # A client must say so, before it imports ray.
        os.environ.setdefault("RAY_AUTH_MODE", "token")
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
        import logging

        from ray.exceptions import AuthenticationError, RpcError
        from ray.job_submission import JobSubmissionClient

        from raygan.actors.cluster import knock, knock_nearest

        # Its client tells of every upload, in lines that stand between ours.
        # After the import, which sets the level, too.
        logging.getLogger("ray").setLevel(logging.ERROR)
        with _address_wins(address):
            try:
                # Knocked first: Ray tells only after minutes that nobody opens.
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
        needed: Sequence[str] | None = None,
    ) -> tuple[Submission, Package]:
        """What would be sent for the run of that folder, and what it weighs. Raises ConfigError for
        a package that is too large, or that lacks a file which the arguments (or `needed`) name.

        driver: what its process asks for, by Ray's names (`entrypoint_num_cpus`,
        `entrypoint_memory` in bytes).
        """
        archive, package = pack(
            working_dir, include, needed=arguments if needed is None else needed
        )
        # Another id for each try, since Ray keeps those of jobs that have ended.
        job = f"{run.name if run else arguments[0]}-{secrets.token_hex(3)}"
        environment = {
            "RAY_JOB_STOP_WAIT_TIME_S": str(GRACE_S),
            "PYTHONUNBUFFERED": "1",
            IN_A_JOB: job,
        }
        environment |= {k: os.environ[k] for k in PASSED_ON if k in os.environ}
        metadata = {} if run is None else {RUN: run.name, FOLDER: str(run.parent)}
        metadata |= {VERSION: raygan.__version__}
        entry = ["python", "-m", "raygan.cli", *arguments]
        sent = Submission(self.address, job, entry, archive, environment, metadata, dict(driver))
        return sent, package

    def submit(
        self, arguments: Sequence[str], *, working_dir: Path = Path(), include: Sequence[str] = ()
    ) -> Job:
        """Send `raygan ARGUMENTS` as a job and return at once. Raises ConfigError."""
        return self.send(
            self.prepare(
                *for_a_job(arguments, working_dir), working_dir=working_dir, include=include
            )[0]
        )

    def send(self, submission: Submission) -> Job:
        """Send it; a cluster that is still starting (no agent takes jobs yet) is given time. Raises
        ConfigError.
        """
        refuse_while_loading("Jobs.send")
        try:
            return self._send(submission)
        finally:
            submission.discard()

    def _send(self, submission: Submission) -> Job:
        deadline = time.monotonic() + PATIENCE_S
        while True:
            try:
                self.client.submit_job(
                    entrypoint=shlex.join(submission.entrypoint), submission_id=submission.id,
                    metadata=submission.metadata,
                    runtime_env={"working_dir": str(submission.working_dir),
                                 "env_vars": submission.environment},
                    entrypoint_num_cpus=submission.driver.get("entrypoint_num_cpus"),
                    entrypoint_memory=submission.driver.get("entrypoint_memory"),
                )  # fmt: skip
                return self.job(submission.id)
            except (RuntimeError, OSError) as error:
                # By its words: Ray raises a bare RuntimeError for this as for all else.
                if "already exists" in str(error):
                    # Nobody else makes this id: it was taken, and only the answer was lost.
                    return self.job(submission.id)
                busy = "No available agent" in str(error) or dropped(error)
                if not busy or time.monotonic() > deadline:
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
        """The jobs that raygan has sent, newest first: of which run, where, and how they ended."""
        out = []
        for job in self.client.list_jobs():
            about = job.metadata or {}
            if job.submission_id and RUN in about:
                out.append({
                    "id": job.submission_id, "run": about[RUN], "run_dir": about.get(FOLDER, ""),
                    "status": status_of(job), "exit_code": exit_code_of(job),
                    "node": job.driver_node_id, "started": (job.start_time or 0) / 1000,
                    "ended": (job.end_time or 0) / 1000,
                })  # fmt: skip
        return sorted(out, key=lambda j: -float(str(j["started"])))


@dataclass(frozen=True)
class Job:
    """A job that was sent."""

    jobs: Jobs
    id: str

    @property
    def details(self) -> Any:
        """What Ray's own record says of the job."""
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
        """What it prints, as it comes, to its end; a connection that breaks is made again. Raises
        OutOfSightError.
        """
        patience, shown = Patience(self.id, self.jobs.address), 0
        while True:
            at, before, whole = 0, shown, False
            try:
                for text in self._tail():
                    at += len(text)
                    # A look begins with the first line each time.
                    if at > shown:
                        yield text[-(at - shown) :]
                        shown = at
                whole = True
            except Exception as error:
                patience.missed(error)
            # Asked each time: a dashboard that goes down in good order closes the log as the job's
            # end does. A log that breaks at the same place again has no more to show.
            if patience.ask(lambda: self.exit_code) is not None and (whole or shown == before):
                return
            time.sleep(PAUSE_S)

    def _tail(self) -> Iterator[str]:
        import asyncio

        tail = aiter(self.jobs.client.tail_job_logs(self.id))

        async def one() -> str | None:
            coming = asyncio.ensure_future(anext(tail, None))
            while not (await asyncio.wait({coming}, timeout=QUIET_S))[0]:
                await asyncio.to_thread(answers, self.jobs.address)
            return coming.result()

        with asyncio.Runner() as runner:
            # One at a time: Ctrl-C comes between two, and ends the watching, not the job.
            while (text := runner.run(one())) is not None:
                yield text

    def wait(self, timeout_s: float = 3600.0) -> int:
        """Its exit code, when it has ended. Raises TimeoutError, OutOfSightError."""
        deadline, patience = time.monotonic() + timeout_s, Patience(self.id, self.jobs.address)
        while (code := patience.ask(lambda: self.exit_code)) is None:
            if time.monotonic() > deadline:
                raise TimeoutError(f"job {self.id} is still {self.status} after {timeout_s:.0f} s")
            time.sleep(0.3)
        return code

    def stop(self) -> None:
        """SIGTERM: it writes a checkpoint and ends with 143."""
        self.jobs.client.stop_job(self.id)


def listed(address: str) -> list[dict[str, Any]]:
    """The jobs that raygan has sent; for a task on the cluster, which reaches its dashboard."""
    return Jobs(address).list()


@contextlib.contextmanager
def _address_wins(address: str) -> Iterator[None]:
    """Ray lets the environment override an address that was given: not here."""
    names = ("RAY_API_SERVER_ADDRESS", "RAY_ADDRESS") if address != "auto" else ()
    kept = {name: os.environ.pop(name) for name in names if name in os.environ}
    try:
        yield
    finally:
        os.environ |= kept


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
