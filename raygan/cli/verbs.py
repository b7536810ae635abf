"""One function a verb: read the arguments, call the service, print. Returns the exit code."""

from __future__ import annotations

import contextlib
import json
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from raygan.cli.flags import Arguments, parse
from raygan.config import PRESETS, Config, Resolved, full_dump, resolve, validate
from raygan.config import presets as preset_names
from raygan.errors import ConfigError, RequirementError
from raygan.paths import expanded
from raygan.visible import say as print

RUN_OPTIONS = ("preset", "name", "run-dir", "address", "resume", "require")
TRAIN_SWITCHES = ("inline", "strict", "trust-code", "plain", "json", "quiet", "dry-run")
TRAIN_USAGE = (
    "raygan train [--preset NAME] [--config FILE ...] [--SETTING VALUE ...] [--name N] [--run-dir"
    " runs] [--resume auto|PATH [--strict] [--trust-code]] [--address auto|local|ADDR] [--inline]"
    " [--plain|--json|--quiet] [--dry-run] [--require modes=8]"
)


def _resolved(args: Arguments) -> Resolved:
    return resolve(
        args.get("preset"), [expanded(f) for f in args.lists.get("config", [])], args.settings
    )


def _console(args: Arguments) -> Any:
    from raygan.cli.console import console

    style = next((s for s in ("plain", "json", "quiet") if args.has(s)), None)
    return console(style)


def train(argv: Sequence[str]) -> int:
    """Train a run."""
    args = parse(
        argv, valued=RUN_OPTIONS, switches=TRAIN_SWITCHES, repeated=("config",),
        settings=True, usage=TRAIN_USAGE,
    )  # fmt: skip
    resolved = _resolved(args)
    if args.has("dry-run"):
        print(resolved.yaml(), end="")
        return 0
    from raygan.service import training

    if args.has("trust-code"):
        _trust(resolved.config.start_from)
    if args.has("strict") and args.get("resume") is None:
        raise ConfigError(
            "--strict needs --resume: it refuses to go on with a run of another machine."
        )
    if wanted := args.get("require"):
        training.requirements(wanted)
    shown = _console(args)
    run = training.train(
        resolved, run_dir=expanded(args.get("run-dir") or "runs"), name=args.get("name"),
        address=args.get("address") or "auto", inline=args.has("inline"), resume=args.get("resume"), listeners=[shown],
        command="raygan train " + shlex.join(argv), strict=args.has("strict"), trust_code=args.has("trust-code"),
    )  # fmt: skip
    return _finish(run, shown, args)


def resume(argv: Sequence[str]) -> int:
    """Go on with a run."""
    usage = (
        "raygan resume RUN [--steps +1000] [--strict] [--trust-code | --other-code] [--other-data]"
        " [--address auto|local|ADDR] [--plain|--json|--quiet] [--require modes=8]"
    )
    args = parse(
        argv,
        valued=("steps", "address", "require"),
        switches=("strict", "trust-code", "other-code", "other-data", "plain", "json", "quiet"),
        positional=(1, 1),
        usage=usage,
    )
    steps = args.get("steps") or "+0"
    if not (steps.startswith("+") and steps[1:].isdigit()):
        raise ConfigError(f"--steps {steps!r}: write how many more, as in --steps +1000.")
    from raygan.service import training

    if wanted := args.get("require"):
        training.requirements(wanted)
    shown = _console(args)
    run = training.resume_run(
        args.positional[0], extra_steps=int(steps), address=args.get("address") or "auto", listeners=[shown],
        strict=args.has("strict"), trust_code=args.has("trust-code"), new_code=args.has("other-code"),
        new_data=args.has("other-data"),
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
    from raygan.controller.run_folder import RunFolder
    from raygan.service import training
    from raygan.service.views.report import write_report

    try:
        report: Path | None = write_report(run)
    except ConfigError as error:  # training is done all the same
        report = None
        NOTES.warning("%s", error)
    shown.finish(run, report)
    if wanted := args.get("require"):
        complaint = training.require(run, wanted)
        if complaint:
            with contextlib.suppress(OSError):  # told by the exit code all the same
                RunFolder(run.path).status(exit_code=RequirementError.exit_code)
            raise RequirementError(complaint)
    return int(run.info["exit_code"])


def data(argv: Sequence[str]) -> int:
    """What a source holds, as training would be given it."""
    args = parse(
        argv, valued=("out",), switches=("json",), settings=True, positional=(1, 1),
        usage="raygan data SOURCE [--data.SETTING VALUE ...] [--num-pairs N] [--json] [--out FILE.png]",
    )  # fmt: skip
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


def plan(argv: Sequence[str]) -> int:
    """What a run would need."""
    args = parse(
        argv, valued=RUN_OPTIONS, switches=TRAIN_SWITCHES, repeated=("config",),
        settings=True, usage=TRAIN_USAGE.replace("raygan train", "raygan plan"),
    )  # fmt: skip
    from raygan.service.plan import plan_text

    print(plan_text(_resolved(args), args.get("address") or "auto"))
    return 0


def sample(argv: Sequence[str]) -> int:
    """Draw samples."""
    args = parse(
        argv, valued=("from", "count", "seed", "out"), switches=("trust-code",), positional=(1, 1),
        usage="raygan sample RUN [--from global|best|mixture|fitted|pair:3] [-n 1024] [--seed 0] [-o x.npz|.png|.parquet] "
        "[--trust-code]",
    )  # fmt: skip
    from raygan.service.scores.sampling import write_samples

    run = _opened(args)
    count, seed = whole(args, "count", 1024, least=1), whole(args, "seed", 0)
    out = expanded(args.get("out") or "samples.npz")
    print(write_samples(run, args.get("from") or run.main_player, count, seed, out))
    return 0


def evaluate(argv: Sequence[str]) -> int:
    """Score runs."""
    args = parse(
        argv, valued=("metrics", "samples", "extractor", "seed", "control", "judges", "chains", "distributions"),
        switches=("json", "trust-code", "other-data"), positional=(1, 999),
        usage="raygan evaluate RUN [RUN ...] [--metrics modes,density,classes,fid,kid,prdc | gam2 | ais | mixture] "
        "[--samples 10000] [--extractor raw|pixels|cnn:mnist|torchscript:PATH] [--control N] [--judges N] "
        "[--chains 16] [--distributions 1000] [--seed 0] [--json] [--trust-code] [--other-data]",
    )  # fmt: skip
    from raygan.service.scores.evaluate import evaluate_runs, table

    for path in args.positional:
        _opened(args, path)
    groups = args.get("metrics")
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
        args.get("extractor"), whole(args, "seed", 0), args.has("other-data"),
    )  # fmt: skip
    print(json.dumps(results, indent=1) if args.has("json") else table(results))
    return 0


def export(argv: Sequence[str]) -> int:
    """Write a generator as a folder of its own."""
    args = parse(
        argv, valued=("from", "out"), switches=("onnx", "trust-code"), positional=(1, 1),
        usage="raygan export RUN [--from best|global|mixture|fitted|pair:3] [-o FOLDER] [--onnx] [--trust-code]",
    )  # fmt: skip
    from raygan.service.scores.export import export as write

    run = _opened(args)
    out = expanded(args.get("out") or f"{run.name}-model")
    write(run, args.get("from") or run.main_player, out, args.has("onnx"))
    print(f"{out}: {', '.join(sorted(p.name for p in out.iterdir()))}")
    return 0


def compare(argv: Sequence[str]) -> int:
    """One table of several runs."""
    args = parse(argv, positional=(2, 999), usage="raygan compare RUN RUN ...")
    from raygan.service.scores.evaluate import compare_runs

    print(compare_runs(args.positional))
    return 0


def report(argv: Sequence[str]) -> int:
    """Write the HTML report."""
    usage = "raygan report RUN [-o FILE.html] [--trust-code]"
    args = parse(argv, valued=("out",), switches=("trust-code",), positional=(1, 1), usage=usage)
    from raygan.service.views.report import write_report

    out = args.get("out")
    print(write_report(_opened(args), expanded(out) if out else None))
    return 0


def verify(argv: Sequence[str]) -> int:
    """Prove what the papers promise."""
    args = parse(
        argv, valued=("preset", "steps", "address", "device"), switches=("inline", "trust-code"),
        repeated=("config",), positional=(0, 1),
        usage="raygan verify [RUN] [--preset NAME] [--config FILE ...] [--steps 20] [--device auto] "
        "[--inline] [--trust-code]",
    )  # fmt: skip
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
    usage = "raygan scale RUN --pairs K [--address auto|ADDR]"
    args = parse(argv, valued=("pairs", "address"), positional=(1, 1), usage=usage)
    from raygan.service.views import follow as feed

    if args.get("pairs") is None:
        raise ConfigError(f"--pairs is missing. Usage: {usage}")
    with feed.follow(args.positional[0], args.get("address") or "auto") as seen:
        print(feed.scale(seen, whole(args, "pairs", 0, least=1)))
    return 0


def stop(argv: Sequence[str]) -> int:
    """Let a running run save and end."""
    usage = "raygan stop RUN [--address auto|ADDR]"
    args = parse(argv, valued=("address",), positional=(1, 1), usage=usage)
    from raygan.service.views import follow as feed

    with feed.follow(args.positional[0], args.get("address") or "auto") as seen:
        print(feed.stop(seen))
    return 0


def status(argv: Sequence[str]) -> int:
    """A run, now."""
    usage = "raygan status RUN [--address auto|ADDR] [--json]"
    args = parse(argv, valued=("address",), switches=("json",), positional=(1, 1), usage=usage)
    from raygan.service.views import follow as feed

    with feed.follow(args.positional[0], args.get("address") or "auto") as seen:
        now = feed.state(seen.run)
    print(json.dumps(now, indent=1) if args.has("json") else feed.state_text(now))
    return 0


def watch(argv: Sequence[str]) -> int:
    """Follow a run, in the terminal or in a browser."""
    usage = (
        "raygan watch RUN [--web] [--host 127.0.0.1] [--port 8266] [--every 2] [--address"
        " auto|ADDR]"
    )
    args = parse(
        argv, valued=("address", "host", "port", "every"), switches=("web",), positional=(1, 1), usage=usage
    )  # fmt: skip
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
    usage = (
        "raygan submit [--address auto|ADDR] [--working-dir .] [--include PATH ...] [--no-wait]"
        " [--dry-run] -- VERB ..."
    )
    if "--" not in argv:
        if {"-h", "--help"} & set(argv):
            parse(["--help"], usage=usage)
        raise ConfigError(f"what to run stands behind `--`. Usage: {usage}")
    at = list(argv).index("--")
    args = parse(
        argv[:at],
        valued=("address", "working-dir"),
        switches=("no-wait", "dry-run"),
        repeated=("include",),
        usage=usage,
    )
    from raygan.cli import VERBS
    from raygan.errors import did_you_mean
    from raygan.service.cluster import jobs

    rest = list(argv[at + 1 :])
    if not rest or rest[0] not in VERBS:
        raise ConfigError(
            f"submit: no verb {rest[0] if rest else ''!r}."
            f" {did_you_mean(rest[0] if rest else '', VERBS)}"
        )
    arguments, run = jobs.for_a_job(rest)
    folder = Path(args.get("working-dir") or ".")
    include = args.lists.get("include", [])
    if rest[0] == "train":
        include = [*include, *jobs.own_files(_check_train(arguments[1:]), folder, arguments)]
    cluster = jobs.Jobs(args.get("address") or "auto")
    submission, package = cluster.prepare(arguments, run, working_dir=folder, include=include)
    print(shlex.join(submission.command), package.text, sep="\n", flush=True)
    if args.has("dry-run"):
        return 0
    job = cluster.send(submission)
    hint = f"raygan status {run.name}" if run else f"ray job logs {job.id}"
    if args.has("no-wait"):
        print(f"job {job.id} was sent: {hint}")
        return 0
    try:
        for text in job.follow():
            print(text, end="", flush=True)
        code = job.wait()
    except KeyboardInterrupt:
        print(f"\njob {job.id} goes on: {hint}")
        return 130
    print(f"job {job.id}: exit code {code}")
    return code


def _check_train(argv: Sequence[str]) -> Resolved:
    """Refuse a mistake in the settings here, not in a job a minute later."""
    args = parse(
        argv, valued=RUN_OPTIONS, switches=TRAIN_SWITCHES, repeated=("config",),
        settings=True, usage=TRAIN_USAGE,
    )  # fmt: skip
    return _resolved(args)


def fetch(argv: Sequence[str]) -> int:
    """Copy a submitted run's folder here."""
    usage = "raygan fetch RUN [--to runs] [--address auto|ADDR]"
    args = parse(argv, valued=("to", "address"), positional=(1, 1), usage=usage)
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
    usage = (
        "raygan sweep FILE [--run-dir runs] [--resume] [--samples N] [--max-concurrent N]"
        " [--address auto|ADDR] [--dry-run]"
    )
    args = parse(
        argv, valued=("run-dir", "samples", "max-concurrent", "address"), switches=("resume", "dry-run"), positional=(1, 1),
        usage=usage,
    )  # fmt: skip
    from raygan.service.sweeps import report as sweep_report
    from raygan.service.sweeps import tune as sweeping
    from raygan.service.sweeps.file import read_sweep, trial_name

    file = Path(args.positional[0])
    if args.has("dry-run"):
        points = read_sweep(file).points()
        print(*(trial_name(p) for p in points), f"{len(points)} runs", sep="\n")
        return 0
    folder = sweeping.sweep(
        file, run_dir=expanded(args.get("run-dir") or "runs"), resume=args.has("resume"),
        address=args.get("address") or "auto", samples=whole(args, "samples", 0, least=1) or None,
        max_concurrent=whole(args, "max-concurrent", 0, least=1) or None,
    )  # fmt: skip
    sweep_report.write(folder)
    print(sweep_report.text(folder))
    return 0


def dashboards(argv: Sequence[str]) -> int:
    """Grafana dashboards and Prometheus alerts."""
    usage = "raygan dashboards install [--to FOLDER] | check [--prometheus http://127.0.0.1:9090]"
    args = parse(argv, valued=("to", "prometheus"), positional=(1, 1), usage=usage)
    from raygan.service.cluster import dashboards as made

    if args.positional[0] == "install":
        folder = made.install(Path(to) if (to := args.get("to")) else None)
        print(*(folder / name for name in made.files()), made.HOW.format(folder=folder), sep="\n")
        return 0
    if args.positional[0] != "check":
        raise ConfigError(f"dashboards: {args.positional[0]!r}: install or check. Usage: {usage}")
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
    usage = "raygan runs [--run-dir runs | --address auto|ADDR] [--json] | raygan runs --repair RUN"
    args = parse(argv, valued=("run-dir", "address", "repair"), switches=("json",), usage=usage)
    if named := args.get("repair"):
        return _repair(named)
    from raygan.service.runs.listing import list_runs, runs_table

    if address := args.get("address"):
        from raygan.service.cluster.jobs import Jobs
        from raygan.service.runs.listing import jobs_table

        sent = Jobs(address).list()
        print(json.dumps(sent, indent=1) if args.has("json") else jobs_table(sent))
        return 0
    found = list_runs(expanded(args.get("run-dir") or "runs"))
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
    args = parse(argv, positional=(0, 1), usage="raygan presets [NAME]")
    if args.positional:
        print(resolve(args.positional[0]).yaml(), end="")
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
    usage = "raygan new loss|network|data|strategy|metric NAME [--to FOLDER]"
    args = parse(argv, valued=("to",), positional=(2, 2), usage=usage)
    kind, name = args.positional
    from raygan.service.new import write_new

    part, test = write_new(kind, name, Path(expanded(args.get("to") or ".")))
    shown = part if part.is_absolute() else f"./{part}"
    flag = "--metrics" if kind == "metric" else f"--{kind}"
    print(f"{part} and {test}\npytest {test}\nraygan train {flag} {shown}")
    return 0


def doctor(argv: Sequence[str]) -> int:
    """Check this machine."""
    parse(argv, usage="raygan doctor")
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
