"""A verb's arguments as a job needs them: its working directory is thrown away, and its driver may
live on any node.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from itertools import zip_longest
from pathlib import Path

from raygan.config import Resolved
from raygan.controller.run_folder import check_name
from raygan.errors import ConfigError
from raygan.paths import in_bucket, on_disk

RUN_DIR = "~/raygan-runs"
"""On the node of the driver, where nothing else is asked: a job's own folder is thrown away."""
WRITES = {
    "train": ("--run-dir", RUN_DIR),
    "distil": ("--run-dir", RUN_DIR),
    "sweep": ("--run-dir", RUN_DIR),
    "reproduce": ("--run-dir", f"{RUN_DIR}/reproduce"),
    "sample": ("--out", "samples.npz"),
    "export": ("--out", "RUN-model"),
    "report": ("--out", ""),
    "data": ("--out", ""),
    "new": ("--to", "."),
    "fetch": ("--to", "runs"),
    "dashboards": ("--to", ""),
    "runs": ("--repair", ""),
}
"""verb -> the flag that says where it writes, and where without it; "": nowhere, or in its run."""
INTO = ("resume", "evaluate", "report")
"""Verbs that write into the runs that are named behind them."""
LIVE = ("train", "resume", "distil")
"""Verbs with a table that is redrawn."""
SWITCHES = {
    "--plain", "--json", "--quiet", "--strict", "--trust-code", "--other-code", "--other-data",
    "--reject", "--dry-run", "--quick", "--resume",
}  # fmt: skip
"""Flags without a value, of the verbs whose plain arguments are looked at."""


def for_a_job(
    arguments: Sequence[str], working_dir: Path = Path()
) -> tuple[list[str], Path | None]:
    """(arguments, folder of the run, sweep or claim) as a job needs them: what is written outlives
    the job, a run has a name, lines are plain. Raises ConfigError.
    """
    verb, *rest = arguments
    # A job has no terminal: a table that is redrawn would be a log of escape codes.
    if verb in LIVE and not {"--plain", "--json", "--quiet"} & set(rest):
        rest.append("--plain")
    plain = _plain(rest)
    if verb in INTO:
        for run in plain:
            _stays("run", run, bucket=True)
    if verb == "resume":
        return [verb, *rest], Path(plain[0]) if plain else None
    if verb == "train" and (old := _value(rest, "--resume")) not in (None, "auto"):
        # It has its name and its place.
        return [verb, *rest], Path(_stays("--resume", str(old), bucket=True))
    if verb not in WRITES:
        return [verb, *rest], None
    flag, otherwise = WRITES[verb]
    folder = _value(rest, flag) or otherwise
    if folder:
        _stays(flag, folder, bucket=verb == "train")
    if flag != "--run-dir":
        return [verb, *rest], None
    if not _value(rest, flag):
        rest += [flag, folder]
    name = _name(verb, rest, plain, working_dir)
    return [verb, *rest], Path(folder) / name if name else None


def _name(verb: str, rest: list[str], plain: Sequence[str], working_dir: Path) -> str | None:
    """Of the folder below --run-dir; a run that has none is given one."""
    if verb == "sweep":
        from raygan.service.sweeps.file import read_sweep

        return read_sweep(working_dir / plain[0]).name if plain else None
    if verb == "reproduce":
        return (plain[0] + "-quick" * ("--quick" in rest)) if plain else None
    name = _value(rest, "--name")
    if name is None:
        name = f"run-{secrets.token_hex(3)}"
        rest += ["--name", name]
    check_name(name)
    return name


def to_try_again(arguments: Sequence[str]) -> list[str]:
    """`train` or `resume` as it may be sent several times: what was committed is gone on with.
    Raises ConfigError.
    """
    verb, *rest = arguments
    # +1000 twice is 2,000: the second try cannot know whether the first one has written its
    # config.
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
        # An installed package's: it is installed there too, or refused there.
        if record.get("module"):
            continue
        path = Path(str(record["path"]))
        # As it was typed, too: the job's command line names it, and there is no such path there.
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
    """Of a flag that may be written `--name x`, `--name=x`, `-o x`; the last one counts. Raises
    ConfigError where the value is missing.
    """
    found = None
    for a, b in zip_longest(arguments, arguments[1:]):
        if a == flag or (a == "-o" and flag == "--out"):
            if b is None or b.startswith("--"):
                raise ConfigError(f"{flag} needs a value. Write {flag} VALUE.")
            found = b
        elif a.startswith(f"{flag}="):
            found = a.partition("=")[2]
    return found


def _plain(arguments: Sequence[str]) -> list[str]:
    """What is no flag, and no flag's value."""
    return [
        a
        for before, a in zip(["--plain", *arguments], arguments, strict=False)
        if not a.startswith("-")
        and (not before.startswith("-") or before in SWITCHES or "=" in before)
    ]


def _stays(what: str, folder: str, bucket: bool = False) -> str:
    """The folder, which outlives the job. Raises ConfigError for another. bucket: it may be one."""
    if not (bucket and in_bucket(folder)) and not str(on_disk(folder)).startswith(("/", "~")):
        raise ConfigError(
            f"{what} {folder!r}: a job's working directory is thrown away. Give an absolute path,"
            f" on storage that all nodes see{', or a bucket' if bucket else ''}."
        )
    return folder
