"""The local side of runs that lie in a bucket: what many modules read and write by plain paths.

    <cache>/raygan/buckets/<key>/        a view: what was fetched last, brought up to date at each
                                         look
    <cache>/raygan/buckets/<key>.<host>.<pid>/
                                         a driver's own; `mirror.Mirror` sends what changes in it
        address                          s3://bucket/prefix, which `key` is made of
        <run>/                           run.json, config.json, logs, samples, report ...

Journal and checkpoints are in the bucket only, and `storage_of` such a folder is the bucket's. The
address stands outside the run's folder: whoever brings a folder cannot name a bucket in it.
"""

from __future__ import annotations

import contextlib
import fcntl
import functools
import hashlib
import json
import os
import platform
import shlex
import shutil
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from raygan.controller.bucket import AT_ONCE, BucketStorage, open_bucket
from raygan.controller.files import open_within, say, write_within
from raygan.controller.storage import LocalStorage, Storage
from raygan.errors import ConfigError
from raygan.object_store import Objects, refuse_unreachable
from raygan.paths import cache, in_bucket, on_disk

ADDRESS = "address"
LOGS = ("metrics.jsonl", "events.jsonl", "schedule.jsonl")
PROTECTED = ("journal", "checkpoints")
"""What is never copied: it is read where it lies."""


@functools.cache
def _temporary() -> Path:
    return Path(tempfile.mkdtemp(prefix="raygan-"))


def _root() -> Path:
    return (cache() or _temporary()) / "buckets"


def address_of(path: Path) -> str | None:
    """Where the run lies whose local side this folder is; None of every other folder."""
    parent = path.absolute().parent
    if parent.parent.resolve() != _root().resolve():
        return None
    try:
        return f"{(parent / ADDRESS).read_text()}/{path.name}"
    except OSError:
        return None


def shown(path: Path) -> str:
    """What a user calls this run folder."""
    return address_of(path) or str(path)


def typed(path: Path) -> str:
    """The same in a command that is to be typed: with the quotes that a shell needs."""
    return shlex.quote(shown(path))


def storage_of(path: Path) -> Storage:
    """Of a run folder: where its journal and its checkpoints are."""
    address = address_of(path)
    return open_bucket(address) if address else LocalStorage(path)


def keep(path: Path, name: str, raw: bytes) -> None:
    """Write a result beside a run, whether that goes on or not: of one in a bucket there too.
    Raises OSError.
    """
    if isinstance(there := storage_of(path), BucketStorage):
        there.write(name, raw)
    write_within(path, name, raw)


def taken(path: Path) -> bool:
    """Is there a run of this name, or one that somebody makes?"""
    address = address_of(path)
    if address is None:
        return os.path.lexists(path)
    try:
        there = open_bucket(address)
        return there.exists("journal/00000001.jsonl") or there.exists("run.json")
    except OSError as error:
        raise ConfigError(f"{address}: the bucket cannot be asked ({say(error)}).") from None


def runs_folder(path: str | Path) -> Path:
    """Where the runs of a `--run-dir` are written on this machine: the same place wherever this
    process stands later. Raises ConfigError.
    """
    address = in_bucket(path)
    if address is None:
        return Path(os.path.realpath(on_disk(path)))
    refuse_unreachable(address)
    key = _key(address)
    for left in _root().glob(f"{key}.{platform.node()}.*"):
        if not Path(f"/proc/{left.name.rpartition('.')[2]}").exists():
            # a copy, of a driver that is gone; journal and checkpoints were never in it
            shutil.rmtree(left, ignore_errors=True)
    return _made(address, f"{key}.{platform.node()}.{os.getpid()}")


def to_write(path: Path) -> Path:
    """The folder in which this process goes on with a run: of one in a bucket a new copy."""
    address = address_of(path)
    if address is None:
        return path
    folder = runs_folder(address.rpartition("/")[0]) / path.name
    shutil.rmtree(folder, ignore_errors=True)
    return _bring(address, folder)


def view(address: str) -> Path:
    """A local folder with what the run's small files say now. Raises ConfigError where there is no
    such run.
    """
    parent, _, name = address.rpartition("/")
    if parent.endswith("/"):
        raise ConfigError(f"run {address!r} is no run: write {address}/RUN.")
    return _bring(address, _made(parent, _key(parent)) / name)


def refresh(path: Path) -> None:
    """Bring a view up to date; nothing happens with other folders."""
    if (address := address_of(path)) is not None and "." not in path.absolute().parent.name:
        _bring(address, path)


def names_at(address: str) -> list[str]:
    """Runs below an address, by name."""
    there = open_bucket(address)
    refuse_unreachable(address)
    try:
        return [name for name in there.list(".") if there.exists(f"{name}/run.json")]
    except OSError as error:
        raise ConfigError(f"{address}: cannot be listed ({say(error)}).") from None


def forget(path: Path) -> None:
    """A local copy of a run that is no more, under a name that is used again."""
    if address_of(path) is not None:
        shutil.rmtree(path, ignore_errors=True)
        (path.parent / f".{path.name}.seen").unlink(missing_ok=True)


def _key(address: str) -> str:
    return hashlib.sha256(address.encode()).hexdigest()[:16]


def _made(address: str, name: str) -> Path:
    folder = _root() / name
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        write_within(folder, ADDRESS, address.encode())
    except OSError as error:
        raise ConfigError(
            f"{address}: no room for its local copy ({say(error)}). Set XDG_CACHE_HOME."
        ) from None
    return folder


# --------------------------------------------------------------------------------------------------
# bringing


def _bring(address: str, folder: Path) -> Path:
    there = open_bucket(address)
    if not folder.exists():
        refuse_unreachable(address)
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    with (folder.parent / f".{folder.name}.lock").open("w") as lock:
        # two looks at one run share the view, and would cut each other's logs
        fcntl.flock(lock, fcntl.LOCK_EX)
        try:
            found = "run.json" in (top := there.list("."))
            if found:
                _take(there.objects, folder, [name for name in top if name not in PROTECTED])
        except OSError as error:
            raise ConfigError(f"run {address!r}: it cannot be read ({say(error)}).") from None
    if not found:
        shutil.rmtree(folder, ignore_errors=True)
        raise ConfigError(
            f"run {address!r} is not a run (there is no run.json). `raygan runs --at"
            f" {address.rpartition('/')[0]}` lists those that are there."
        )
    return folder


def _take(there: Objects, folder: Path, top: list[str]) -> None:
    """What has changed since the last time; run.json last."""
    seen = fetched(folder)
    now: dict[str, tuple[str, int]] = {}
    for name in top:
        # its writer may just have removed it
        with contextlib.suppress(FileNotFoundError):
            now |= there.below(name) or there.versions(name)
    # a key may have any name: none of them leads out of the folder
    now = {n: facts for n, facts in now.items() if not {"", ".", ".."} & {*n.split("/")}}
    whole = [n for n in now if n.partition("/")[0] not in LOGS]
    changed = sorted(
        (n for n in whole if seen.get(n) != now[n] or not (folder / n).exists()),
        # last: who finds it finds the others as it says
        key=lambda n: n == "run.json",
    )
    for log in LOGS:
        _take_log(there, folder, log, seen, now)
    with ThreadPoolExecutor(AT_ONCE) as pool:
        for name, raw in zip(changed, pool.map(lambda n: _content(there, n), changed), strict=True):
            if raw is None:
                del now[name]
            else:
                write_within(folder, name, raw)
    for name in {n for n in seen if n.partition("/")[0] not in LOGS} - {*whole}:
        (folder / name).unlink(missing_ok=True)
    facts = {n: (*now[n], _touched(folder / n)) for n in now}
    write_within(folder.parent, f".{folder.name}.seen", json.dumps(facts).encode())


def _content(there: Objects, name: str) -> bytes | None:
    """None of what is gone since it was listed."""
    try:
        return there.get(name)
    except FileNotFoundError:
        return None


def _take_log(
    there: Objects, folder: Path, log: str, seen: dict[str, tuple[str, int]],
    now: dict[str, tuple[str, int]],
) -> None:  # fmt: skip
    """Segments that are as they were stay; what follows the first that is not is read again."""
    segments = sorted(n for n in now if n.startswith(f"{log}/"))
    same = 0
    while same < len(segments) and seen.get(segments[same]) == now[segments[same]]:
        same += 1
    begin = sum(now[n][1] for n in segments[:same])
    handle = open_within(folder, log, os.O_RDWR | os.O_CREAT)
    with os.fdopen(handle, "r+b") as file, ThreadPoolExecutor(AT_ONCE) as pool:
        # somebody has cut the copy: all of it is read again
        if file.seek(0, os.SEEK_END) < begin:
            begin = same = 0
        file.truncate(begin)
        file.seek(begin)
        for raw in pool.map(there.get, segments[same:]):
            file.write(raw)


def fetched(folder: Path) -> dict[str, tuple[str, int]]:
    """What was fetched by now: name -> (version, bytes)."""
    return {name: facts[:2] for name, facts in _seen(folder).items()}


def as_fetched(folder: Path) -> set[str]:
    """Those of them that nobody has written here since."""
    return {name for name, facts in _seen(folder).items() if facts[2] == _touched(folder / name)}


def _seen(folder: Path) -> dict[str, tuple[str, int, int]]:
    """name -> (version, bytes, time of the local file)."""
    try:
        found = json.loads((folder.parent / f".{folder.name}.seen").read_bytes())
        return (
            {n: (str(v[0]), int(v[1]), int(v[2])) for n, v in found.items()}
            if (folder / "run.json").exists()
            else {}
        )
    except (OSError, ValueError, TypeError, AttributeError, IndexError):
        return {}


def _touched(path: Path) -> int:
    """When it was last written, in ns; 0 where it is not (a log's segments)."""
    try:
        return path.stat().st_mtime_ns
    except OSError:
        return 0
