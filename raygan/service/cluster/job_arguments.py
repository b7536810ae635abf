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
from raygan.paths import in_bucket

RUN_DIR = "~/raygan-runs"
"""On the node of the driver, where nothing else is asked: a job's own folder is thrown away."""


def for_a_job(arguments: Sequence[str]) -> tuple[list[str], Path | None]:
    """(arguments, run folder) as a job needs them: a name, a run folder that outlives the job,
    plain lines. Raises ConfigError.
    """
    verb, *rest = arguments
    if verb not in ("train", "resume"):
        return list(arguments), None
    # A job has no terminal: a table that is redrawn would be a log of escape codes.
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
