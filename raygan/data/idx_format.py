"""The IDX format of MNIST's files: magic (0, 0, type, dimensions), sizes as big-endian uint32, then
the bytes.
"""

from __future__ import annotations

import gzip
import math
import zlib
from pathlib import Path
from typing import BinaryIO, cast

import numpy as np
import numpy.typing as npt

from raygan.data import keeping
from raygan.data.base import freeze
from raygan.data.free_memory import check_room, within_room
from raygan.data.rows import Rows
from raygan.data.stored import Stored
from raygan.errors import DataError


def read_idx(path: Path) -> npt.NDArray[np.uint8]:
    """A file of unsigned bytes, plain or gzip. Raises DataError for anything that is not wholly
    one.
    """
    with path.open("rb") as file:
        packed = file.read(2) == b"\x1f\x8b"
    try:
        with within_room(path), gzip.open(path) if packed else path.open("rb") as file:
            return _read(path, cast(BinaryIO, file))
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise DataError(f"{path}: damaged gzip ({error}). Get the file again.") from None


def idx_rows(path: Path) -> npt.NDArray[np.uint8] | Rows:
    """`read_idx`, from the file a part at a time where it is large. Raises DataError."""
    with path.open("rb") as file:
        head = file.read(4 + 4 * 255)
    plain = head[:3] == b"\0\0\x08" and len(head) >= 8
    sizes = tuple(int(n) for n in np.frombuffer(head[4 : 4 + 4 * head[3]], ">u4")) if plain else ()
    offset = 4 + 4 * len(sizes)
    if math.prod(sizes) < keeping.LARGE or path.stat().st_size != offset + math.prod(sizes):
        return read_idx(path)
    return Rows.of(Stored(path, np.dtype(np.uint8), sizes, offset))


def _read(path: Path, file: BinaryIO) -> npt.NDArray[np.uint8]:
    """The header first: what it claims must have room, and be there to the byte."""
    magic = file.read(4)
    if len(magic) < 4 or magic[:2] != b"\0\0" or magic[2] != 8:
        raise DataError(
            f"{path}: not an IDX file of unsigned bytes (it begins with {magic.hex()}). Check the"
            " path."
        )
    raw = file.read(4 * magic[3])
    sizes = tuple(int(n) for n in np.frombuffer(raw[: len(raw) // 4 * 4], dtype=">u4"))
    claimed = math.prod(sizes)
    found = 0
    if len(raw) == 4 * magic[3] and sizes:
        # a header of 20 bytes may claim a terabyte
        check_room(path, claimed)
        out = np.empty(claimed, np.uint8)
        found = _fill(file, memoryview(out.data))
        # one byte beyond what the header says, and the header is not this file's
        more = bool(file.read(1))
        if found == claimed and not more:
            freeze(out)
            return out.reshape(sizes)
        found += more
    header = 4 + len(raw)
    raise DataError(
        f"{path}: truncated IDX file: {header + found}"
        f" bytes{' or more' if found > claimed else ''}, its header says {header + claimed}. Get"
        " the file again."
    )


def _fill(file: BinaryIO, room: memoryview) -> int:
    at = 0
    while at < len(room) and (part := file.read(min(1 << 22, len(room) - at))):
        room[at : at + len(part)] = part
        at += len(part)
    return at
