"""How much memory this process may still take: what the machine has, its container, and `ulimit -v`
allow.

A file tells how large it is unpacked; that is asked for here before it is unpacked, or while it is
where the file does not tell.
"""

from __future__ import annotations

import contextlib
import resource
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from raygan.errors import DataError

SPARE = 128 << 20
"""Left for everything else."""
PROC, CGROUP = Path("/proc"), Path("/sys/fs/cgroup")
CHUNK = 1 << 22


def room() -> int:
    """Bytes; never less than 0."""
    return max(0, min(_of_the_machine(), _of_the_container(), _of_the_process()) - SPARE)


def _of_the_machine() -> int:
    lines = _text(PROC / "meminfo").splitlines()
    return next(
        (int(line.split()[1]) << 10 for line in lines if line.startswith("MemAvailable:")), 1 << 62
    )


def _of_the_container() -> int:
    """The tightest of our control groups, both versions, up to the root; page cache that can go is
    not counted as used.
    """
    found = [1 << 62]
    for line in _text(PROC / "self/cgroup").splitlines():
        _, kinds, path = line.split(":", 2)
        # version 2 has one line without kinds, version 1 a line a kind
        if kinds not in ("", "memory") and "memory" not in kinds.split(","):
            continue
        top = CGROUP / "memory" if kinds else CGROUP
        names = (
            ("memory.limit_in_bytes", "memory.usage_in_bytes")
            if kinds
            else ("memory.max", "memory.current")
        )
        here = top / path.lstrip("/")
        # a limit of any group above ours holds for us too
        for folder in (here, *here.parents):
            if folder.is_relative_to(top):
                most, used = (_text(folder / name).strip() for name in names)
                if most.isdigit() and used.isdigit():
                    found.append(int(most) - int(used) + _cache(folder))
    return min(found)


def _cache(folder: Path) -> int:
    lines = _text(folder / "memory.stat").splitlines()
    return sum(
        int(v) for k, _, v in (line.partition(" ") for line in lines)
        if k in ("inactive_file", "total_inactive_file")
    ) if lines else 0  # fmt: skip


def _of_the_process() -> int:
    most = resource.getrlimit(resource.RLIMIT_AS)[0]
    if most == resource.RLIM_INFINITY:
        return 1 << 62
    pages = _text(PROC / "self/statm").split()
    # `ulimit -v` counts addresses, also those that hold nothing yet
    return most - (int(pages[0]) * resource.getpagesize() if pages else 0)


def _text(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:  # not on this system
        return ""


def check_room(what: object, nbytes: int) -> None:
    """Raises DataError when unpacking it takes more than there is."""
    if nbytes > (most := room()):
        raise DataError(
            f"{what}: {size_text(nbytes)} unpacked, and this process may take {size_text(most)}"
            " more. Use a part of it, or more memory."
        )


def size_text(nbytes: int) -> str:
    """A size in words.

    >>> size_text(3 << 30), size_text(5 << 20)
    ('3.0 GiB', '5 MiB')
    """
    return f"{nbytes / 2**30:.1f} GiB" if nbytes >= 1 << 30 else f"{nbytes >> 20} MiB"


@contextlib.contextmanager
def within_room(what: object) -> Iterator[None]:
    """Whatever was not foreseen: memory that is refused is one line."""
    try:
        yield
    except MemoryError:
        raise DataError(
            f"{what}: more than the {size_text(room())} of memory that this process may take. Use a"
            " part of it, or more memory."
        ) from None


def read_file(what: object, path: Path) -> bytes:
    """All of a plain file. Raises DataError for a device, a pipe, a folder, and for more than there
    is room for; OSError.
    """
    about = path.stat()
    if not stat.S_ISREG(about.st_mode):
        raise DataError(f"{what} is no plain file. Remove or replace it.")
    check_room(what, about.st_size)  # a sparse file is small on disk
    with path.open("rb") as file:
        return file.read(about.st_size)


def read_stream(what: object, stream: BinaryIO, factor: float = 1.0) -> bytes:
    """All of a stream that does not tell its length, as long as `factor` times it has room."""
    out = bytearray()
    while part := stream.read(CHUNK):
        # a stream's length is known when it has been read: it is asked on the way
        out += part
        if len(out) % (64 << 20) < CHUNK:  # now and then: it reads /proc
            check_room(what, int(len(out) * factor))
    return bytes(out)
