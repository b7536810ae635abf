"""One function a verb: read the arguments, call the service, print. Returns the exit code."""

from __future__ import annotations

import contextlib
import json
import math
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from raygan.cli.commands import VERBS, usage
from raygan.cli.flags import Arguments, parse
from raygan.config import PRESETS, Config, Resolved, full_dump, resolve, validate
from raygan.config import presets as preset_names
from raygan.errors import ConfigError, RequirementError
from raygan.paths import expanded, in_bucket
from raygan.visible import say as print
from raygan.watching import tell

if TYPE_CHECKING:
    from raygan.service.cluster.jobs import Job


def _resolved(args: Arguments) -> Resolved:
    return resolve(args.get("preset"), args.files("config"), args.settings)


def _console(args: Arguments) -> Any:
    from raygan.cli.console import console

    style = next((s for s in ("plain", "json", "quiet") if args.has(s)), None)
    return console(style)


def train(argv: Sequence[str]) -> int:
    """Train a run."""
    args = parse("train", argv)
    resolved = _resolved(args)
    if args.has("dry-run"):
        print(resolved.yaml(), end="")
        return 0
    tell("loading torch")
    from raygan.service import training

    if args.has("trust-code"):
        _trust(resolved.config.start_from)
    if args.has("strict") and args.get("resume") is None:
        raise ConfigError(
            "--strict needs --resume: it refuses to go on with a run of another machine."
        )
    if wanted := args.get("require"):
        training.requirements(wanted)
    from raygan.controller.run_folder import RunFolder

    if (name := args.get("name")) and args.get("resume") is None:
        RunFolder.refuse(_run_dir(args), name)
    shown = _console(args)
    run = training.train(
        resolved, run_dir=_run_dir(args), name=args.get("name"),
        address=args.get("address") or "auto", inline=args.has("inline"), resume=args.get("resume"), listeners=[shown],
        command="raygan train " + shlex.join(argv), strict=args.has("strict"), trust_code=args.has("trust-code"),
        require=args.get("require"),
    )  # fmt: skip
    return _finish(run, shown, args)


def _run_dir(args: Arguments) -> Path:
    """Where this machine writes the runs of --run-dir; of one in a bucket its local side."""
    from raygan.controller.copies import runs_folder

    named = args.get("run-dir") or "runs"
    return runs_folder(named if in_bucket(named) else expanded(named))


def resume(argv: Sequence[str]) -> int:
    """Go on with a run."""
    args = parse("resume", argv)
    steps = args.get("steps") or "+0"
    if not (steps.startswith("+") and steps[1:].isdigit()):
        raise ConfigError(f"--steps {steps!r}: write how many more, as in --steps +1000.")
    tell("loading torch")
    from raygan.service import training

    if wanted := args.get("require"):
        training.requirements(wanted)
    shown = _console(args)
    run = training.resume_run(
        args.positional[0], extra_steps=int(steps), address=args.get("address") or "auto", listeners=[shown],
        strict=args.has("strict"), trust_code=args.has("trust-code"), new_code=args.has("other-code"),
        new_data=args.has("other-data"), require=args.get("require"),
    )  # fmt: skip
    return _finish(run, shown, args)


def _opened(args: Arguments, path: str | None = None) -> Any:
    """The run that is named, with its own parts at hand: those that its folder brings only by
    --trust-code.
    """
    from raygan.service.runs.run import Run

    return Run.load(path or args.positional[0]).use_code(trusted=args.has("trust-code"))


def _trust(sources: Sequence[str]) -> None:
    """Runs to start from, as `start_from` writes them."""
    from raygan.service.runs.run import Run

    for entry in sources:
        path, colon, _ = entry.rpartition(":")
        Run.load(path if colon else entry, trust_code=True)


def _finish(run: Any, shown: Any, args: Arguments) -> int:
    from raygan.controller.lines import NOTES
    from raygan.controller.mirror import send
    from raygan.controller.run_folder import RunFolder
    from raygan.service import training
    from raygan.service.views.report import write_report

    tell("writing the report")
    try:
        report: Path | None = write_report(run)
    except ConfigError as error:  # training is done all the same
        report = None
        NOTES.warning("%s", error)
    send(run.path)
    shown.finish(run, report)
    if wanted := args.get("require"):
        complaint = training.require(run, wanted)
        if complaint:
            with contextlib.suppress(OSError):  # told by the exit code all the same
                RunFolder(run.path).status(exit_code=RequirementError.exit_code)
            send(run.path)
            raise RequirementError(complaint)
    return int(run.info["exit_code"])


def data(argv: Sequence[str]) -> int:
    """What a source holds, as training would be given it."""
    args = parse("data", argv)
    if args.has("cache") or args.get("clear-cache") is not None:
        return _cached(args)
    if not args.positional:
        raise ConfigError("raygan data: no SOURCE. Name one, as in `raygan data npz:points.npz`")
    from raygan.service.runs import inspecting

    flags = {
        "network": "mlp",
        "strategy": "independent",
        **args.settings,
        "data": args.positional[0],
    }
    found, report = inspecting.report_of(resolve(flags=flags).config)
    drawn = inspecting.write_sheet(found, expanded(out)) if (out := args.get("out")) else ""
    if args.has("json"):
        print(json.dumps({**report, **({"sheet": drawn} if drawn else {})}, indent=1))
    else:
        print(
            "\n".join(
                [*inspecting.lines(found, report), *([f"sheet          {drawn}"] if drawn else [])]
            )
        )
    return 0


def _cached(args: Arguments) -> int:
    """What large sources have left in the cache; remove what was not read for so many days."""
    from raygan.data import kept

    folder, days = kept.cache_folder(), args.get("clear-cache")
    if days is None:
        print(kept.listing(kept.kept(folder), folder))
        return 0
    try:
        print(kept.listing(kept.cleared(_days(days), folder), folder, gone=True))
    except OSError as error:
        raise ConfigError(f"data cache {folder}: {error.strerror}: {error.filename}") from None
    return 0


def _days(value: str) -> float:
    try:
        days = float(value)
    except ValueError:
        days = -1.0
    if not 0 <= days < math.inf:
        raise ConfigError(f"--clear-cache = {value!r}: write a number of days, 0 for all")
    return days


def plan(argv: Sequence[str]) -> int:
    """What a run would need."""
    args = parse("plan", argv)
    from raygan.service.plan import plan_text

    print(plan_text(_resolved(args), args.get("address") or "auto"))
    return 0


def sample(argv: Sequence[str]) -> int:
    """Draw samples."""
    args = parse("sample", argv)
    from raygan.service.scores.sampling import write_samples

    run = _opened(args)
    count, seed = whole(args, "count", 1024, least=1), whole(args, "seed", 0)
    out = expanded(args.get("out") or "samples.npz")
    print(
        write_samples(
            run, args.get("from") or run.main_player, count, seed, out, args.has("reject")
        )
    )
    return 0


def distil(argv: Sequence[str]) -> int:
    """One generator out of many."""
    args = parse("distil", argv)
    tell("loading torch")
    from raygan.service import training
    from raygan.service.distil import lesson

    if wanted := args.get("require"):
        training.requirements(wanted)
    run, run_dir = _opened(args), expanded(args.get("run-dir") or "runs")
    learned = lesson(
        run, which=args.get("from"), count=whole(args, "count", 50_000, least=2), reject=args.has("reject"),
        preset=args.get("preset"), files=args.files("config"), settings=args.settings, run_dir=run_dir,
        name=args.get("name"),
    )  # fmt: skip
    print(f"{learned.samples}: what {run.name} has made, {learned.kept:.0%} of it kept")
    shown = _console(args)
    try:
        done = training.train(
            learned.resolved, run_dir=run_dir, name=learned.name, address=args.get("address") or "auto",
            inline=args.has("inline"), listeners=[shown], command="raygan distil " + shlex.join(argv),
            trust_code=args.has("trust-code"),
        )  # fmt: skip
    finally:
        learned.forget()
    return _finish(done, shown, args)


def serve(argv: Sequence[str]) -> int:
    """A generator behind HTTP."""
    args = parse("serve", argv)
    from raygan.service.scores.loading import SCHEME, is_export
    from raygan.service.serving import running
    from raygan.service.serving.source import Source

    path = args.positional[0]
    if in_bucket(path):
        path = str(in_bucket(path))
        _opened(args, path)
    elif not path.startswith(SCHEME):
        path = str(expanded(path).resolve() if is_export(path) else _opened(args).path)
    source = Source(path, args.get("from"), args.has("reject"), args.has("trust-code"))
    return running.serve(
        source, args.get("host") or "127.0.0.1", whole(args, "port", 8000, least=1, most=65535),
        whole(args, "replicas", 1, least=1), args.get("address") or "auto", whole(args, "every", 5, least=1),
        lambda at: print(f"{at}  sample?count=16&seed=0&format=png, latent, health, metrics, docs", flush=True),
    )  # fmt: skip


def evaluate(argv: Sequence[str]) -> int:
    """Score runs."""
    args = parse("evaluate", argv)
    tell("loading torch")
    from raygan.service.scores.evaluate import evaluate_runs, table

    for path in args.positional:
        _opened(args, path)
    groups = args.get("metrics")
    if args.has("reject") and groups in ("gam2", "mixture", "ais"):
        raise ConfigError(f"--reject: --metrics {groups} looks at all that generators make.")
    if groups == "gam2":
        from raygan.service.scores import gam2 as judging

        found = judging.gam2(
            args.positional, whole(args, "samples", judging.LEAST, least=16), whole(args, "seed", 0),
            whole(args, "control", 0), whole(args, "judges", 0),
        )  # fmt: skip
        print(json.dumps(found, indent=1) if args.has("json") else judging.table(found))
        return 0
    if groups == "mixture":
        from raygan.service.runs.run import Run
        from raygan.service.scores.export import fit_mixture, mixture_table

        for path in args.positional:
            fitted = fit_mixture(
                Run.load(path), whole(args, "samples", 2000, least=64), whole(args, "seed", 0)
            )
            print(
                json.dumps(fitted, indent=1)
                if args.has("json")
                else mixture_table(Run.load(path), fitted)
            )
        return 0
    if groups == "ais":
        from raygan.service.scores import likelihood

        entries = likelihood.ais_runs(
            args.positional, whole(args, "samples", 16, least=1), whole(args, "chains", 16, least=1),
            whole(args, "distributions", 1000, least=2), whole(args, "seed", 0),
        )  # fmt: skip
        print(json.dumps(entries, indent=1) if args.has("json") else likelihood.table(entries))
        return 0
    results = evaluate_runs(
        args.positional, groups.split(",") if groups else None, whole(args, "samples", 10_000, least=16),
        args.get("extractor"), whole(args, "seed", 0), args.has("other-data"), args.has("reject"),
    )  # fmt: skip
    print(json.dumps(results, indent=1) if args.has("json") else table(results))
    return 0


def export(argv: Sequence[str]) -> int:
    """Write a generator as a folder of its own."""
    args = parse("export", argv)
    from raygan.service.scores.export import export as write

    run = _opened(args)
    out = expanded(args.get("out") or f"{run.name}-model")
    write(run, args.get("from") or run.main_player, out, args.has("onnx"), args.has("reject"))
    print(f"{out}: {', '.join(sorted(p.name for p in out.iterdir()))}")
    return 0


def push(argv: Sequence[str]) -> int:
    """A generator to the Hugging Face Hub."""
    args = parse("push", argv)
    from raygan.service.scores.push import push as send

    run = _opened(args)
    which, licence = args.get("from") or run.main_player, args.get("licence") or "unknown"
    print(
        send(
            run, args.positional[1], which, licence, args.has("private"), args.has("dry-run"), args.has("reject")
        )
    )  # fmt: skip
    return 0


def compare(argv: Sequence[str]) -> int:
    """One table of several runs."""
    args = parse("compare", argv)
    from raygan.service.scores.compare import compare_runs

    print(compare_runs(args.positional))
    return 0


def report(argv: Sequence[str]) -> int:
    """Write the HTML report."""
    args = parse("report", argv)
    from raygan.service.views.report import write_report

    out = args.get("out")
    print(write_report(_opened(args), expanded(out) if out else None))
    return 0


def verify(argv: Sequence[str]) -> int:
    """Prove what the papers promise."""
    args = parse("verify", argv)
    from raygan.service.verify import verify_config

    config = _opened(args).config if args.positional else _resolved(args).config
    if (device := args.get("device")) is not None:
        config = validate(Config, {**full_dump(config), "device": device})
    results = verify_config(
        config, whole(args, "steps", 20, least=2), args.get("address") or "auto", args.has("inline")
    )
    for result in results:
        print(
            ("-     " if not result.promised else "ok    " if result.ok else "FAIL  ") + result.text
        )
    return 0 if all(r.ok for r in results) else 1


def scale(argv: Sequence[str]) -> int:
    """Let members join or leave a running run."""
    args = parse("scale", argv)
    from raygan.service.views import follow as feed

    if args.get("pairs") is None:
        raise ConfigError(f"--pairs is missing. Usage: {usage('scale')}")
    with feed.follow(args.positional[0], args.get("address") or "auto") as seen:
        print(feed.scale(seen, whole(args, "pairs", 0, least=1)))
    return 0


def stop(argv: Sequence[str]) -> int:
    """Let a running run save and end."""
    args = parse("stop", argv)
    from raygan.service.views import follow as feed

    with feed.follow(args.positional[0], args.get("address") or "auto") as seen:
        print(feed.stop(seen))
    return 0


def status(argv: Sequence[str]) -> int:
    """A run, now."""
    args = parse("status", argv)
    from raygan.service.views import follow as feed

    with feed.follow(args.positional[0], args.get("address") or "auto") as seen:
        now = feed.state(seen.run)
    print(json.dumps(now, indent=1) if args.has("json") else feed.state_text(now))
    return 0


def watch(argv: Sequence[str]) -> int:
    """Follow a run, in the terminal or in a browser."""
    args = parse("watch", argv)
    from raygan.service.views import follow as feed

    port, every_s = whole(args, "port", 8266, most=65535), whole(args, "every", 2, least=1)
    with feed.follow(args.positional[0], args.get("address") or "auto") as seen:
        if args.has("web"):
            from raygan.service.views.live import serve

            serve(seen, args.get("host") or "127.0.0.1", port)
            return 0
        from raygan.cli.console import follow

        return follow(seen, every_s)


def submit(argv: Sequence[str]) -> int:
    """Send a verb to a cluster, as a Ray job."""
    if "--" not in argv:
        if {"-h", "--help"} & set(argv):
            parse("submit", ["--help"])
        raise ConfigError(f"what to run stands behind `--`. Usage: {usage('submit')}")
    at = list(argv).index("--")
    args = parse("submit", argv[:at])
    from raygan.errors import did_you_mean
    from raygan.service.cluster import jobs

    rest = list(argv[at + 1 :])
    if not rest or rest[0] not in VERBS:
        raise ConfigError(
            f"submit: no verb {rest[0] if rest else ''!r}."
            f" {did_you_mean(rest[0] if rest else '', VERBS)}"
        )
    retries = whole(args, "retries", 0)
    if retries and args.has("no-wait"):
        raise ConfigError("--retries with --no-wait: nobody is there to send again. Leave one out.")
    arguments, run = jobs.for_a_job(jobs.to_try_again(rest) if retries else rest)
    folder = Path(args.get("working-dir") or ".")
    include = args.lists.get("include", [])
    if rest[0] == "train":
        include = [
            *include,
            *jobs.own_files(_resolved(parse("train", arguments[1:])), folder, arguments),
        ]
    asked = {
        "entrypoint_num_cpus": whole(args, "driver-cpus", 0),
        "entrypoint_memory": whole(args, "driver-memory-gb", 0) * 10**9,
    }
    driver = {name: much for name, much in asked.items() if much}
    cluster = jobs.Jobs(args.get("address") or "auto")
    while True:
        submission, package = cluster.prepare(
            arguments, run, working_dir=folder, include=include, driver=driver
        )
        print(shlex.join(submission.command), package.text, sep="\n", flush=True)
        if args.has("dry-run"):
            submission.discard()
            return 0
        job = cluster.send(submission)
        hint = f"raygan status {run.name}" if run else f"ray job logs {job.id}"
        if args.has("no-wait"):
            print(f"job {job.id} was sent: {hint}")
            return 0
        if (code := _followed(job)) is None:
            print(f"\njob {job.id} goes on: {hint}")
            return 130
        again = retries > 0 and code in jobs.LOST
        print(
            f"job {job.id}: exit code {code}" + ("; it is sent again" if again else ""), flush=True
        )
        if not again:
            return code
        retries -= 1


def _followed(job: Job) -> int | None:
    """Its exit code, once all that it prints is shown; None for Ctrl-C here, which leaves it alone."""
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

        print(download(address, Path(args.get("to") or "runs")))
        return 0
    from raygan.service.cluster import jobs

    address = args.get("address") or "auto"
    print(
        jobs.fetch(
            args.positional[0],
            Path(args.get("to") or "runs"),
            jobs.Jobs(address),
            "auto" if "://" in address else address,
        )
    )
    return 0


def sweep(argv: Sequence[str]) -> int:
    """Many runs over settings."""
    args = parse("sweep", argv)
    from raygan.service.sweeps import report as sweep_report
    from raygan.service.sweeps import tune as sweeping
    from raygan.service.sweeps.file import Sweep, read_sweep

    file = Path(args.positional[0])

    def asked(spec: Sweep) -> Sweep:
        more = {
            name: whole(args, name.replace("_", "-"), 0, least=1)
            for name in ("samples", "max_concurrent")
        }
        return spec.model_copy(update={name: number for name, number in more.items() if number})

    if args.has("dry-run"):
        from raygan.service.sweeps import estimate

        print(estimate.text(asked(read_sweep(file))))
        return 0
    folder = sweeping.sweep(
        file, run_dir=expanded(args.get("run-dir") or "runs"), resume=args.has("resume"),
        address=args.get("address") or "auto", samples=whole(args, "samples", 0, least=1) or None,
        max_concurrent=whole(args, "max-concurrent", 0, least=1) or None, track=args.get("track"),
    )  # fmt: skip
    sweep_report.write(folder)
    print(sweep_report.text(folder))
    return 0


def reproduce(argv: Sequence[str]) -> int:
    """Try what a paper claims."""
    args = parse("reproduce", argv)
    from raygan.service.papers import reproduce as papers

    folder = expanded(args.get("run-dir") or "runs/reproduce")
    if not args.positional:
        print(papers.listing(folder))
        return 0
    outcome = papers.reproduce(
        args.positional[0],
        seeds=whole(args, "seeds", 0, least=1),
        quick=args.has("quick"),
        run_dir=folder,
        address=args.get("address") or "auto",
        inline=args.get("address") is None,
        told=print,
    )
    print(papers.outcome_text(outcome))
    return 0


def dashboards(argv: Sequence[str]) -> int:
    """Grafana dashboards and Prometheus alerts."""
    args = parse("dashboards", argv)
    from raygan.service.cluster import dashboards as made

    if args.positional[0] == "install":
        folder = made.install(Path(to) if (to := args.get("to")) else None)
        print(*(folder / name for name in made.files()), made.HOW.format(folder=folder), sep="\n")
        return 0
    if args.positional[0] != "check":
        raise ConfigError(f"dashboards: {args.positional[0]!r}: install or check.")
    empty = 0
    for where, expr in made.expressions():
        found = made.query(args.get("prometheus") or "http://127.0.0.1:9090", expr)
        empty += not found
        print(f"{len(found):4d} series  {where}")
    print(
        f"{empty} expressions have no series: nothing of that kind runs now"
        if empty
        else "every expression has series"
    )
    return 0


def runs(argv: Sequence[str]) -> int:
    """List runs."""
    args = parse("runs", argv)
    if named := args.get("repair"):
        return _repair(named)
    from raygan.service.runs.listing import list_runs, list_runs_at, runs_table

    if address := args.get("address"):
        from raygan.service.cluster.jobs import Jobs
        from raygan.service.runs.listing import jobs_table

        sent = Jobs(address).list()
        print(json.dumps(sent, indent=1) if args.has("json") else jobs_table(sent))
        return 0
    named = args.get("at") or args.get("run-dir") or "runs"
    address = in_bucket(named)
    found = list_runs_at(address) if address else list_runs(expanded(named))
    print(json.dumps(found, indent=1) if args.has("json") else runs_table(found))
    return 0


def _repair(named: str) -> int:
    from raygan.service.runs.repair import repair
    from raygan.service.runs.run import Run
    from raygan.service.training import refuse_running

    run = Run.load(named)
    refuse_running(run.path)
    done = repair(run)
    told = ", ".join(f"{n} {kind}" for kind, n in sorted(done.items()))
    print(
        f"{run.name}: {told} written again"
        if done
        else f"{run.name}: events.jsonl has all that the journal says"
    )
    return 0


def presets(argv: Sequence[str]) -> int:
    """List presets, or show one."""
    args = parse("presets", argv)
    if args.positional:
        from raygan.cli.settings import texts

        preset = resolve(args.positional[0])
        print(preset.yaml(texts(preset)), end="")
        return 0
    width = max(map(len, preset_names()))
    for name in preset_names():
        first = (PRESETS / f"{name}.yaml").read_text().splitlines()[0].removeprefix("# ")
        print(f"{name:<{width}}  {first}")
    from raygan.own.installed import GROUPS, entry_points

    for kind in GROUPS:
        if found := entry_points(kind):
            print(f"{kind + ' of installed packages':<{width}}  {', '.join(found)}")
    return 0


def new(argv: Sequence[str]) -> int:
    """Write a part of one's own, to begin from."""
    args = parse("new", argv)
    kind, name = args.positional
    from raygan.service.new import write_new

    part, test = write_new(kind, name, Path(expanded(args.get("to") or ".")))
    shown = part if part.is_absolute() else f"./{part}"
    flag = "--metrics" if kind == "metric" else f"--{kind}"
    print(f"{part} and {test}\npytest {test}\nraygan train {flag} {shown}")
    return 0


def completion(argv: Sequence[str]) -> int:
    """What a shell needs to complete a command line."""
    args = parse("completion", argv)
    from raygan.cli.completion import script

    print(script(args.positional[0]))
    return 0


def doctor(argv: Sequence[str]) -> int:
    """Check this machine."""
    parse("doctor", argv)
    from raygan.service.cluster.doctor import checks

    worst = 0
    for ok, name, text in checks():
        print(f"{'ok  ' if ok else 'MISS'}  {name:<12} {text}")
        worst |= not ok and name in ("python", "torch", "ray", "start")
    return worst


def whole(args: Arguments, name: str, default: int, least: int = 0, most: int = 2**63 - 1) -> int:
    """A whole-number option."""
    text = args.get(name)
    if text is None:
        return default
    if not (text.isascii() and text.isdigit()) or len(text) > 20 or not least <= int(text) <= most:
        limits = f"of at least {least}" if most == 2**63 - 1 else f"from {least} to {most}"
        raise ConfigError(f"--{name} {text!r}: needs a whole number {limits}.")
    return int(text)
