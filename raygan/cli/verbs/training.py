"""Verbs that train, or say what training would need."""

from __future__ import annotations

import contextlib
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from raygan.cli.flags import Arguments, parse
from raygan.cli.verbs.asked import (
    console_for,
    opened,
    resolved_from,
    run_dir_of,
    trust_sources,
    whole_number,
)
from raygan.config import Config, full_dump, validate
from raygan.errors import ConfigError, RayganError, RequirementError
from raygan.visible import say as print
from raygan.watching import tell


def train(argv: Sequence[str]) -> int:
    """`raygan train`: train a new run, or resume one."""
    args = parse("train", argv)
    resolved = resolved_from(args)
    if args.has("dry-run"):
        print(resolved.yaml(), end="")
        return 0
    tell("loading torch")
    from raygan.controller.run_folder import RunFolder
    from raygan.service.scores.required import requirements
    from raygan.service.training import train as begin

    # --trust-code is about the runs of `start_from` as well: they bring their own parts.
    if args.has("trust-code"):
        trust_sources(resolved.config.start_from)
    if args.has("strict") and args.get("resume") is None:
        raise ConfigError(
            "--strict needs --resume: it refuses to go on with a run of another machine."
        )
    if wanted := args.get("require"):
        requirements(wanted)
    if (name := args.get("name")) and args.get("resume") is None:
        # Before the console: a name that is taken is one line, without a table above it.
        RunFolder.refuse(run_dir_of(args), name)
    shown = console_for(args)
    run = begin(
        resolved, run_dir=run_dir_of(args), name=args.get("name"),
        address=args.get("address") or "auto", inline=args.has("inline"), resume=args.get("resume"),
        listeners=[shown], command="raygan train " + shlex.join(argv), strict=args.has("strict"),
        trust_code=args.has("trust-code"), require=args.get("require"),
    )  # fmt: skip
    return finish(run, shown, args)


def resume(argv: Sequence[str]) -> int:
    """Go on with a run."""
    args = parse("resume", argv)
    steps = args.get("steps") or "+0"
    if not (steps.startswith("+") and steps[1:].isdigit()):
        raise ConfigError(f"--steps {steps!r}: write how many more, as in --steps +1000.")
    tell("loading torch")
    from raygan.service.resuming import resume_run
    from raygan.service.scores.required import requirements

    if wanted := args.get("require"):
        requirements(wanted)
    shown = console_for(args)
    run = resume_run(
        args.positional[0], extra_steps=int(steps), address=args.get("address") or "auto",
        listeners=[shown], strict=args.has("strict"), trust_code=args.has("trust-code"),
        new_code=args.has("other-code"), new_data=args.has("other-data"),
        require=args.get("require"),
    )  # fmt: skip
    return finish(run, shown, args)


def finish(run: Any, shown: Any, args: Arguments) -> int:
    """The report, the last words and `--require` of a run that has ended; its exit code."""
    from raygan.cli.ending import shown as place
    from raygan.controller.jsonl import NOTES
    from raygan.controller.mirror import send
    from raygan.controller.run_folder import RunFolder
    from raygan.service.runs.alive import ended_with
    from raygan.service.scores.required import require
    from raygan.service.views.report import write_report

    tell("writing the report")
    # Training is done, and its exit code stands, whatever becomes of the report: the data may have
    # moved meanwhile, a picture may fail.
    report: Path | None = None
    try:
        report = write_report(run)
    except Exception as error:
        what = str(error) if isinstance(error, RayganError) else f"{type(error).__name__}: {error}"
        NOTES.warning("no report: %s Next: raygan report %s", what, shlex.quote(place(run.path)))
    send(run.path)  # the report too: the run's mirror ended with the run
    shown.finish(run, report)
    code = ended_with(run.info)
    if wanted := args.get("require"):
        complaint = require(run, wanted)
        with contextlib.suppress(OSError):  # told by the exit code all the same
            RunFolder(run.path).status(exit_code=RequirementError.exit_code if complaint else code)
        send(run.path)
        if complaint:
            raise RequirementError(complaint)
    # not what is stored: that may be of an earlier command's --require
    return code


def plan(argv: Sequence[str]) -> int:
    """What a run would need."""
    args = parse("plan", argv)
    from raygan.service.plan import plan_text

    print(plan_text(resolved_from(args), args.get("address") or "auto"))
    return 0


def distil(argv: Sequence[str]) -> int:
    """One generator out of many."""
    args = parse("distil", argv)
    tell("loading torch")
    from raygan.service.distil import lesson
    from raygan.service.scores.required import requirements
    from raygan.service.training import train as begin

    if wanted := args.get("require"):
        requirements(wanted)
    run, run_dir = opened(args), run_dir_of(args)
    learned = lesson(
        run, which=args.get("from"), count=whole_number(args, "count", 50_000, least=2),
        reject=args.has("reject"), preset=args.get("preset"), files=args.files("config"),
        settings=args.settings, run_dir=run_dir, name=args.get("name"),
    )  # fmt: skip
    print(f"{learned.place}: what {run.name} has made, {learned.kept:.0%} of it kept")
    shown = console_for(args)
    try:
        done = begin(
            learned.resolved, run_dir=run_dir, name=learned.name,
            address=args.get("address") or "auto", inline=args.has("inline"), listeners=[shown],
            command="raygan distil " + shlex.join(argv), trust_code=args.has("trust-code"),
        )  # fmt: skip
    finally:
        # Where training was refused, thousands of samples would lie there for nobody.
        learned.forget()
    return finish(done, shown, args)


def verify(argv: Sequence[str]) -> int:
    """Prove what the papers promise."""
    args = parse("verify", argv)
    from raygan.service.verify import verify_config

    config = opened(args).config if args.positional else resolved_from(args).config
    if (device := args.get("device")) is not None:
        config = validate(Config, {**full_dump(config), "device": device})
    results = verify_config(
        config,
        whole_number(args, "steps", 20, least=2),
        args.get("address") or "auto",
        args.has("inline"),
    )
    for result in results:
        print(
            ("-     " if not result.promised else "ok    " if result.ok else "FAIL  ") + result.text
        )
    return 0 if all(r.ok for r in results) else 1


def replay(argv: Sequence[str]) -> int:
    """Do an asynchronous run again."""
    args = parse("replay", argv)
    from raygan.service.replay import replay as again

    verdict = again(opened(args))
    print(verdict.text)
    return 0 if verdict.equal else 1
