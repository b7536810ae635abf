"""Verbs about a cluster, its jobs and its dashboards, and about this machine."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from raygan.cli.commands import VERBS
from raygan.cli.flags import Arguments, parse
from raygan.cli.usage import usage
from raygan.cli.verbs.asked import resolved_from, whole_number
from raygan.errors import ConfigError, OutOfSightError, did_you_mean
from raygan.paths import expanded, in_bucket
from raygan.visible import say as print

if TYPE_CHECKING:
    from raygan.config import Resolved
    from raygan.service.cluster.jobs import Job


def submit(argv: Sequence[str]) -> int:
    """Send a verb to a cluster, as a Ray job."""
    args, rest = _split(argv)
    retries = whole_number(args, "retries", 0)
    if retries and args.has("no-wait"):
        raise ConfigError("--retries with --no-wait: nobody is there to send again. Leave one out.")
    from raygan.service.cluster.job_arguments import for_a_job, to_try_again

    arguments, run = for_a_job(
        to_try_again(rest) if retries else rest, expanded(args.get("working-dir") or ".")
    )
    return _sent(_sender(args, arguments, run), retries)


def _split(argv: Sequence[str]) -> tuple[Arguments, list[str]]:
    """(what stands before `--`, the job's command behind it). Raises ConfigError."""
    if "--" not in argv:
        if {"-h", "--help"} & set(argv):
            parse("submit", ["--help"])
        raise ConfigError(f"what to run stands behind `--`. Usage: {usage('submit')}")
    # What stands behind `--` is the job's: a --help or --address there is none of ours.
    at = list(argv).index("--")
    args, rest = parse("submit", argv[:at]), list(argv[at + 1 :])
    if not rest or rest[0] not in VERBS:
        verb = rest[0] if rest else ""
        raise ConfigError(f"submit: no verb {verb!r}. {did_you_mean(verb, VERBS)}")
    _refuse_mistyped(rest)
    return args, rest


def _sent(send: Callable[[], tuple[int, Job | None]], retries: int) -> int:
    """The job's exit code; one that is lost is sent again, so many times at most."""
    from raygan.service.cluster.jobs import LOST

    while True:
        try:
            code, job = send()
        except OutOfSightError as lost:
            # Gone with its head: as lost as a driver that was killed.
            if not (lost.gone and retries):
                raise
            print(f"{lost} It is sent again", flush=True)
        else:
            if job is None or code not in LOST or not retries:
                if job is not None:
                    print(f"job {job.id}: exit code {code}", flush=True)
                return code
            print(f"job {job.id}: exit code {code}; it is sent again", flush=True)
        retries -= 1


def _refuse_mistyped(arguments: Sequence[str]) -> None:
    """Raises ConfigError for what the verb itself would refuse there, once it was sent."""
    verb, *rest = arguments
    if verb == "submit":
        raise ConfigError("submit: a job sends no other job. Leave out one `submit --`.")
    parse(verb, rest)


def _sender(
    args: Arguments, arguments: Sequence[str], run: Path | None
) -> Callable[[], tuple[int, Job | None]]:
    """Sends the job and follows it: (exit code, the job where it has ended)."""
    from raygan.service.cluster.job_arguments import LIVE, own_files
    from raygan.service.cluster.jobs import Jobs
    from raygan.service.cluster.named_files import named_files

    folder = expanded(args.get("working-dir") or ".")
    include, needed = args.lists.get("include", []), list(arguments)
    if (resolved := _settings(arguments, folder)) is not None:
        include = [*include, *own_files(resolved, folder, arguments)]
        needed += named_files(resolved, folder)
    asked = {
        "entrypoint_num_cpus": whole_number(args, "driver-cpus", 0),
        "entrypoint_memory": whole_number(args, "driver-memory-gb", 0) * 10**9,
    }
    driver = {name: much for name, much in asked.items() if much}
    cluster = Jobs(args.get("address") or "auto")

    def send() -> tuple[int, Job | None]:
        # Packed anew for each try: the archive goes once it is sent.
        submission, package = cluster.prepare(
            arguments, run, working_dir=folder, include=include, driver=driver, needed=needed
        )
        print(shlex.join(submission.command), package.text, sep="\n", flush=True)
        if args.has("dry-run"):
            submission.discard()
            return 0, None
        job = cluster.send(submission)
        hint = (
            f"raygan status {run.name}"
            if run and arguments[0] in LIVE
            else f"ray job logs {job.id}"
        )
        if args.has("no-wait"):
            print(f"job {job.id} was sent: {hint}")
            return 0, None
        if (code := _followed(job)) is None:
            print(f"\njob {job.id} goes on: {hint}")
            return 130, None
        return code, job

    return send


def _settings(arguments: Sequence[str], folder: Path) -> Resolved | None:
    """Of the runs that the job makes, where they can be told from here."""
    verb, *rest = arguments
    asked = parse(verb, rest)
    if verb in ("train", "plan"):
        return resolved_from(asked)
    if verb != "sweep":
        return None
    from raygan.service.sweeps.file import read_sweep

    spec = read_sweep(folder / asked.positional[0])
    return spec.resolved((spec.points() or [{}])[0])


def _followed(job: Job) -> int | None:
    """Its exit code, once all that it prints is shown; None: Ctrl-C here, which leaves it be."""
    try:
        for text in job.follow():
            print(text, end="", flush=True)
        return job.wait()
    except KeyboardInterrupt:
        return None


def fetch(argv: Sequence[str]) -> int:
    """Copy a submitted run's folder here."""
    args = parse("fetch", argv)
    if address := in_bucket(args.positional[0]):
        from raygan.service.runs.download import download

        print(download(address, expanded(args.get("to") or "runs")))
        return 0
    from raygan.service.cluster.fetching import fetch as copy
    from raygan.service.cluster.jobs import Jobs

    address, to = args.get("address") or "auto", expanded(args.get("to") or "runs")
    # A dashboard's http://HOST:8265 reaches its jobs, and no object store: that is found as "auto".
    print(copy(args.positional[0], to, Jobs(address), "auto" if "://" in address else address))
    return 0


def dashboards(argv: Sequence[str]) -> int:
    """Grafana dashboards and Prometheus alerts."""
    args = parse("dashboards", argv)
    from raygan.service.cluster import dashboards as made

    prometheus = args.get("prometheus") or "http://127.0.0.1:9090"
    to = expanded(name) if (name := args.get("to")) else None
    match args.positional[0]:
        case "install":
            folder = made.install(to)
            print(
                *(folder / name for name in made.files()), made.HOW.format(folder=folder), sep="\n"
            )
        case "check":
            empty = 0
            for where, expr in made.expressions():
                found = made.query(prometheus, expr)
                empty += not found
                print(f"{len(found):4d} series  {where}")
            print(
                f"{empty} expressions have no series: nothing of that kind runs now"
                if empty
                else "every expression has series"
            )
        case "draw":
            from raygan.service.cluster.panel_pictures import draw_all, seconds_of

            last_s = seconds_of(args.get("last") or "30m")
            drawn = draw_all(to, prometheus, args.get("run") or ".*", last_s)
            for path, without in drawn.items():
                print(f"{path}; no series: {', '.join(without)}" if without else path)
        case other:
            raise ConfigError(f"dashboards: {other!r}: install, check or draw.")
    return 0


def doctor(argv: Sequence[str]) -> int:
    """`raygan doctor`: check this machine; the exit code of the worst finding."""
    parse("doctor", argv)
    from raygan.service.cluster.doctor import checks

    worst = 0
    for ok, name, text in checks():
        print(f"{'ok  ' if ok else 'MISS'}  {name:<12} {text}")
        worst |= not ok and name in ("python", "torch", "ray", "start")
    return worst
