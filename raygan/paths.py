"""A user's home, where there is one: not every process has it (a container's random uid, a batch
system).
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

from raygan.errors import ConfigError

ADDRESS = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+):/")
"""Two letters at least: `C:/` is no address."""


def home() -> Path | None:
    """The user's home, there or not; None for a user without HOME and entry in passwd."""
    try:
        return Path.home()
    except RuntimeError:
        return None


BUCKETS = ("s3", "gs", "az")
"""Schemes of object stores in which runs may lie."""


def in_bucket(path: str | Path) -> str | None:
    """The address of a run, or of a folder of runs, in an object store; None for another path. One
    slash is enough: a Path has lost the second. Raises ConfigError without a bucket's name.

    >>> in_bucket("s3:/mine/runs/")
    's3://mine/runs'
    """
    found = ADDRESS.match(str(path))
    if not found or found[1].lower() not in BUCKETS:
        return None
    rest = [part for part in str(path)[found.end() :].split("/") if part]
    if not rest or {".", ".."} & {*rest}:
        raise ConfigError(f"{str(path)!r}: write {found[1].lower()}://BUCKET/FOLDER.")
    return f"{found[1].lower()}://{'/'.join(rest)}"


def split_address(address: str) -> tuple[str, str, str]:
    """(scheme, bucket, what follows it).

    >>> split_address("s3://mine/a/b")
    ('s3', 'mine', 'a/b')
    """
    scheme, _, rest = address.partition("://")
    bucket, _, prefix = rest.partition("/")
    return scheme, bucket, prefix


def run_and_pair(entry: str) -> tuple[str, str]:
    """(run, pair) of RUN or RUN:PAIR, as `start_from` has them; pair "": all of the run's.

    >>> run_and_pair("runs/a:pair-01"), run_and_pair("s3://bucket/a")
    (('runs/a', 'pair-01'), ('s3://bucket/a', ''))
    """
    # from behind: an address has a colon of its own, and no pair's name has a slash
    run, _, pair = entry.rpartition(":")
    return (run, pair) if pair and "/" not in pair else (entry, "")


def on_disk(path: str | Path) -> Path:
    """The path; of `file://` what follows. Raises ConfigError for another address
    (s3://bucket/runs), which would be a local folder named `s3:`. One slash is enough: a Path has
    lost the second.

    >>> str(on_disk("file:///data/runs"))
    '/data/runs'
    """
    found = ADDRESS.match(str(path))
    if found and found[1].lower() == "file":
        return Path("/" + str(path)[found.end() :].lstrip("/"))
    if found:
        named = ", ".join(f"{scheme}://" for scheme in BUCKETS)
        runs = (
            f"at {found[1]}:// lie only runs that `raygan train` makes"
            if found[1].lower() in BUCKETS
            else f"runs may lie at {named} too"
        )
        raise ConfigError(
            f"{str(path)!r}: data, sweeps and what is written here lie in a file system, not at"
            f" {found[1]}://; {runs}. Mount it (s3fs, gcsfuse, a CSI volume) and give the folder,"
            " or copy what is in it."
        )
    return Path(path)


def expanded(path: str | Path) -> Path:
    """`~` and `~somebody` as their home. Raises ConfigError where that is nobody's, or they have
    none, and for an address that is no file's (`on_disk`).
    """
    path = on_disk(path)
    try:
        return path.expanduser()
    except RuntimeError:
        user = (
            f"uid {os.getuid()}: HOME is not set, and there is no entry in passwd"
            if str(path).startswith("~/")
            else "no such user"
        )
        raise ConfigError(f"{str(path)!r}: no home ({user}). Write the whole path.") from None


IN_A_JOB = "RAYGAN_IN_A_JOB"
"""Of the environment: the id of the job, in one that `raygan submit` has sent."""


def include_hint(path: str | Path) -> str:
    """What helps, too, where nothing lies at this path: in a job only what was sent is there."""
    whole = Path.cwd() / path
    if IN_A_JOB not in os.environ or str(path)[:1] == "~" or not whole.is_relative_to(Path.cwd()):
        return ""
    name = whole.relative_to(Path.cwd())
    return f" A job has what was sent with it: `raygan submit --include {name} -- ...`."


def cache() -> Path | None:
    """What can be had again (~/.cache/raygan, below XDG_CACHE_HOME where that is set), there or
    not; None without a home.
    """
    named, own = os.environ.get("XDG_CACHE_HOME", ""), home()
    # another than a whole path counts for nothing, as XDG has it: it would be another one in each
    # folder in which a process stands
    base = Path(named) if named.startswith("/") else own and own / ".cache"
    return base / "raygan" if base else None


def state() -> Path | None:
    """Where raygan keeps what it knows of this user on this machine (XDG_STATE_HOME), there or not;
    None without a home.
    """
    named = os.environ.get("XDG_STATE_HOME", "")
    base = (
        Path(named)
        if named.startswith("/")
        else (there / ".local/state" if (there := home()) else None)
    )
    return base / "raygan" if base else None


@contextlib.contextmanager
def whole(path: Path) -> Iterator[Path]:
    """A file or folder beside `path` to write; it takes that place when all of it is there.

    Whatever goes wrong, nothing of it is left: on a full disk it would take the room that is
    needed. An OSError names `path`.
    """
    hidden = path.with_name(f".{path.name}.tmp{path.suffix}")
    _removed(hidden)
    try:
        yield hidden
        hidden.replace(path)
    except OSError as error:
        if error.filename is None or str(error.filename).startswith(str(hidden)):
            error.filename = str(path)
        raise
    finally:
        _removed(hidden)


def _removed(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)
