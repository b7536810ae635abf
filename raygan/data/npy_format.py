"""What a .npy file, or one in an archive, says of its array before any of it is read."""

from __future__ import annotations

import math
import zipfile
from typing import Any, NamedTuple

import numpy as np

from raygan.data.questions import OTHERS, is_answered


class Further(ValueError):
    """A file goes on behind its array."""


class Entry(NamedTuple):
    """An array in an archive, by its header."""

    name: str
    size: int
    """Bytes, unpacked."""
    offset: int
    """Of these, the header's."""
    shape: tuple[int, ...]
    columns_first: bool
    dtype: np.dtype[Any]


def stored(entries: zipfile.ZipFile, key: str) -> Entry:
    """The same of anything. Raises ValueError."""
    name = f"{key}.npy" if f"{key}.npy" in entries.NameToInfo else key
    size = entries.getinfo(name).file_size
    if not name.endswith(".npy"):
        return Entry(name, size, 0, (), False, np.dtype("V"))
    with entries.open(name) as file:
        shape, columns_first, dtype = header(file)
        return Entry(name, size, file.tell(), shape, columns_first, dtype)


def check_whole(size: int, offset: int, shape: tuple[int, ...], dtype: np.dtype[Any]) -> None:
    """Raises ValueError for a .npy file of so many bytes that is not one array and nothing else."""
    left = size - offset - math.prod(shape) * dtype.itemsize
    if left < 0:
        raise ValueError("it ends before its array does")
    # saved twice into one file: numpy reads the first and does not look further
    if left > 0 and not is_answered(OTHERS):
        raise Further(
            f"{left:,} bytes follow its array of shape {shape}: another array, which nobody would"
            " read"
        )


def header(file: Any) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    """(shape, is it in columns, type) of a .npy file; what follows is the array.

    Raises ValueError.
    """
    version = np.lib.format.read_magic(file)
    read = (
        np.lib.format.read_array_header_1_0
        if version == (1, 0)
        else np.lib.format.read_array_header_2_0
    )
    shape, columns_first, dtype = read(file)
    return tuple(shape), bool(columns_first), dtype
