"""What a command line asks for, as verbs need it: settings, run, folder, console, number."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from raygan.cli.flags import Arguments
from raygan.config import Resolved, resolve
from raygan.errors import ConfigError
from raygan.paths import expanded, in_bucket, run_and_pair


def resolved_from(args: Arguments) -> Resolved:
    """Preset, files and flags, laid over each other. Raises ConfigError."""
    try:
        return resolve(args.get("preset"), args.files("config"), args.settings)
    except ConfigError as error:
        if args.get("resume") is None or args.get("preset") is not None or args.files("config"):
            raise
        # the run's own settings come in later: these stand on the default preset's
        raise ConfigError(
            f"{error} With --resume name the run's --preset or --config too."
        ) from None


def console_for(args: Arguments) -> Any:
    """What a user sees meanwhile, by --plain, --json, --quiet or what stdout is."""
    from raygan.cli.console import console

    style = next((s for s in ("plain", "json", "quiet") if args.has(s)), None)
    return console(style)


def run_dir_of(args: Arguments) -> Path:
    """Where this machine writes the runs of --run-dir; of one in a bucket its local side."""
    from raygan.controller.bucket_copies import runs_folder

    named = args.get("run-dir") or "runs"
    return runs_folder(named if in_bucket(named) else expanded(named))


def opened(args: Arguments, path: str | None = None) -> Any:
    """The run that is named, with its own parts at hand: those that its folder brings only by
    --trust-code.
    """
    from raygan.service.runs.run import Run

    # Said at once, not from within a worker: own parts of a run run unasked only where this user
    # made it (decision 62).
    return Run.load(path or args.positional[0]).use_code(trusted=args.has("trust-code"))


def trust_sources(sources: Sequence[str]) -> None:
    """Runs to start from, as `start_from` writes them."""
    from raygan.service.runs.run import Run

    for entry in sources:
        Run.load(run_and_pair(entry)[0], trust_code=True)


ANY = 2**63 - 1
"""The largest seed or number that torch takes."""


def whole_number(args: Arguments, name: str, default: int, least: int = 0, most: int = ANY) -> int:
    """The value of an option that takes a whole number. Raises ConfigError."""
    text = args.get(name)
    if text is None:
        return default
    # isdigit alone takes other scripts' digits, which int() reads as well; and twenty digits are
    # enough for 2^63.
    whole = text.isascii() and text.isdigit()
    too_large = whole and (len(text) > 20 or int(text) > most)
    if not whole or too_large or int(text) < least:
        limits = f"from {least} to {most}" if most < ANY or too_large else f"of at least {least}"
        raise ConfigError(f"--{name} {text!r}: needs a whole number {limits}.")
    return int(text)
