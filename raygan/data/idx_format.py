"""The IDX format of MNIST's files: magic (0, 0, type, dimensions), sizes as big-endian uint32, then the bytes."""

from __future__ import annotations

import gzip
import math
import zlib
from pathlib import Path

import numpy as np
import numpy.typing as npt

from raygan.data import search
from raygan.errors import DataError


def read_idx(path: Path) -> npt.NDArray[np.uint8]:
    """A file of unsigned bytes, plain or gzip. Raises DataError for anything that is not wholly one."""
    raw = path.read_bytes()
    if raw[:2] == b"\x1f\x8b":
        try:
            with gzip.open(path) as file:
                raw = file.read(search.MAX_BYTES + 1)
            search.check_size(path, len(raw))
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            raise DataError(f"{path}: damaged gzip ({error}). Get the file again.") from None
    if len(raw) < 4 or raw[:2] != b"\0\0" or raw[2] != 8:
        raise DataError(f"{path}: not an IDX file of unsigned bytes (it begins with {raw[:4].hex()}). Check the path.")
    header = 4 + 4 * raw[3]
    sizes = tuple(int(n) for n in np.frombuffer(raw[4:header], dtype=">u4")) if len(raw) >= header else ()
    if len(raw) != header + math.prod(sizes) or not sizes:
        raise DataError(
            f"{path}: truncated IDX file: {len(raw)} bytes, its header says {header + math.prod(sizes)}. "
            "Get the file again."
        )
    return np.frombuffer(raw, dtype=np.uint8, offset=header).reshape(sizes)
