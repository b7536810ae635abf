"""Verbs about what a run's generators make: samples, scores, files, servers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from raygan.cli.flags import Arguments, parse, setting_value
from raygan.cli.verbs.asked import opened, whole_number
from raygan.errors import ConfigError
from raygan.paths import expanded
from raygan.visible import as_json
from raygan.visible import say as print
from raygan.watching import tell


def sample(argv: Sequence[str]) -> int:
    """`raygan sample`: draw samples into a file."""
    args = parse("sample", argv)
    from raygan.service.scores.sampling import write_samples

    run = opened(args)
    count, seed = whole_number(args, "count", 1024, least=1), whole_number(args, "seed", 0)
    out = expanded(args.get("out") or "samples.npz")
    print(
        write_samples(
            run, args.get("from") or run.main_player, count, seed, out, args.has("reject")
        )
    )
    return 0


def serve(argv: Sequence[str]) -> int:
    """`raygan serve`: put a generator behind HTTP."""
    args = parse("serve", argv)
    from raygan.service.scores.loading import place_of
    from raygan.service.serving import running
    from raygan.service.serving.source import Source

    # Each replica opens it itself, and reads a store itself: it may be another machine's.
    path, trust = place_of(args.positional[0]), args.has("trust-code")
    source = Source(path, args.get("from"), args.has("reject"), trust)
    return running.serve(
        source, args.get("host") or "127.0.0.1",
        whole_number(args, "port", 8000, least=1, most=65535),
        whole_number(args, "replicas", 1, least=1), args.get("address") or "auto",
        whole_number(args, "every", 5, least=1),
        lambda at: print(f"{at}  sample?count=16&seed=0&format=png, latent, health, metrics, docs",
                         flush=True),
    )  # fmt: skip


def evaluate(argv: Sequence[str]) -> int:
    """`raygan evaluate`: score the generators of runs."""
    args = parse("evaluate", argv)
    tell("loading torch")
    # All of them, before any is scored: what may not run, or is not there, is said at once.
    for path in args.positional:
        opened(args, path)
    groups = args.get("metrics")
    if args.has("reject") and groups in WAYS:
        raise ConfigError(f"--reject: --metrics {groups} looks at all that generators make.")
    if "samples-of" in args.lists and groups in WAYS:
        raise ConfigError(f"--samples-of: --metrics {groups} takes the runs' own generators.")
    WAYS.get(groups or "", _scores)(args)
    return 0


def _show(args: Arguments, found: Any, text: Callable[[Any], str]) -> None:
    print(as_json(found, indent=1) if args.has("json") else text(found))


def _scores(args: Arguments) -> None:
    from raygan.service.scores.evaluate import evaluate_runs, table

    groups = args.get("metrics")
    found = evaluate_runs(
        args.positional, groups.split(",") if groups else None,
        whole_number(args, "samples", 10_000, least=16), args.get("extractor"),
        whole_number(args, "seed", 0), args.has("other-data"), args.has("reject"),
        [setting_value("data", text) for text in args.lists.get("samples-of", [])],
    )  # fmt: skip
    _show(args, found, table)


def _gam2(args: Arguments) -> None:
    from raygan.service.scores import gam2

    found = gam2.gam2(
        args.positional,
        whole_number(args, "samples", gam2.LEAST, least=16),
        whole_number(args, "seed", 0),
        whole_number(args, "control", 0),
        whole_number(args, "judges", 0),
    )
    _show(args, found, gam2.table)


def _mixture(args: Arguments) -> None:
    from raygan.service.runs.run import Run
    from raygan.service.scores.export import fit_mixture, mixture_table

    for run in map(Run.load, args.positional):
        samples, seed = whole_number(args, "samples", 2000, least=64), whole_number(args, "seed", 0)
        _show(args, fit_mixture(run, samples, seed), partial(mixture_table, run))


def _ais(args: Arguments) -> None:
    from raygan.service.scores import likelihood

    found = likelihood.ais_runs(
        args.positional,
        whole_number(args, "samples", 16, least=1),
        whole_number(args, "chains", 16, least=1),
        whole_number(args, "distributions", 1000, least=2),
        whole_number(args, "seed", 0),
    )
    _show(args, found, likelihood.table)


WAYS: dict[str, Callable[[Arguments], None]] = {"gam2": _gam2, "mixture": _mixture, "ais": _ais}
"""What `--metrics` may name in the place of groups of scores."""


def export(argv: Sequence[str]) -> int:
    """Write a generator as a folder of its own."""
    args = parse("export", argv)
    from raygan.service.scores.export import export as write

    run = opened(args)
    out = expanded(args.get("out") or f"{run.name}-model")
    write(run, args.get("from") or run.main_player, out, args.has("onnx"), args.has("reject"))
    print(f"{out}: {', '.join(sorted(p.name for p in out.iterdir()))}")
    return 0


def push(argv: Sequence[str]) -> int:
    """A generator to the Hugging Face Hub."""
    args = parse("push", argv)
    from raygan.service.scores.push import push as send

    run = opened(args)
    which, licence = args.get("from") or run.main_player, args.get("licence") or "unknown"
    print(
        send(
            run, args.positional[1], which, licence, args.has("private"), args.has("dry-run"),
            args.has("reject")
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
    """`raygan report`: write a run's HTML report."""
    args = parse("report", argv)
    from raygan.service.views.report import write_report

    out = args.get("out")
    print(write_report(opened(args), expanded(out) if out else None))
    return 0
