"""`npz:PATH`: one array of a NumPy archive, or the array of a .npy file, which stays mapped from it
where it needs no change.
"""

from __future__ import annotations

import math
import re
import zipfile
import zlib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from pydantic import Field

from raygan.data.arrays import ArraySettings, as_samples
from raygan.data.asking import OTHERS, Doubt, is_answered
from raygan.data.base import For
from raygan.data.files import FileComponent
from raygan.data.fitting import Fitting
from raygan.data.free_memory import check_room
from raygan.data.keeping import LARGE
from raygan.data.label_column import SAVE_APART
from raygan.data.labels import as_classes, beside
from raygan.data.npy_format import Entry, Further, check_whole, header, stored
from raygan.data.record import Array, Read, Record
from raygan.data.rows import Rows
from raygan.data.search import must_be_file
from raygan.data.stored import Stored, part_rows
from raygan.errors import DataError

USUAL = ("images", "data", "x", "arr_0")
"""Names of samples; the surest first."""
LISTED = re.compile(r"arr_\d+")
LIST = 3
"""Arrays from which on they may be a list."""
SPARSE = (
    {"data", "indices", "indptr"},
    {"data", "row", "col"},
    {"data", "offsets", "shape"},
    {"data", "ir", "jc"},
)
"""Arrays of one matrix: compressed by rows or columns, by coordinates, by diagonals (scipy.sparse);
MATLAB's.
"""
DAMAGED = (ValueError, OSError, EOFError, KeyError, AttributeError, TypeError, SyntaxError,
           NotImplementedError, RuntimeError, zlib.error, zipfile.BadZipFile)  # fmt: skip


class Npz(FileComponent, ArraySettings, Fitting):
    """Points (N, features); images (N, H, W), (N, H, W, C), (N, C, H, W); any type of numbers."""

    key: Annotated[str | None, For("arrays with names")] = Field(
        None, description="The array's name; None = x, images, data, arr_0 or the only one."
    )

    def read(self) -> Read:
        """The array, in its checked form."""
        path, record = must_be_file(self.name, self.path), Record(f"npz:{self.path}")
        try:
            array, labels = self._arrays(path, record)
        except DAMAGED as error:
            raise damaged(path, error) from None
        how = SAVE_APART if labels is None else ""
        found = as_samples(self.where, array, self.layout, self.scale, record, how)
        if zipfile.is_zipfile(path):
            found = replace(found, held=found.held | {"arrays with names"})
        if labels is None or self.labels is None:
            return found
        return replace(
            found, classes=as_classes(self.where, self.labels, labels, len(array), record)
        )

    def _arrays(self, path: Path, record: Record) -> tuple[Array | Rows, Array | None]:
        """(samples, labels where they are asked for)."""
        if not zipfile.is_zipfile(path):
            return npy_rows(path), (
                None if self.labels is None else lone_array(beside(self.name, path, self.labels))
            )
        outside = self.labels is not None and self.labels.endswith(".npy")
        # a pickle in an archive would run whatever its author has written
        with np.load(path, allow_pickle=False) as archive:
            where, there = (
                f"data.{self.name}: {path}",
                [n for n in archive.files if n != self.labels],
            )
            if self.labels in (None, self.key) or outside:
                there = archive.files
            elif self.labels not in archive.files:
                raise DataError(
                    f"{where}: no labels {self.labels!r}. It holds: {listed(archive.files)}."
                )
            # only the last one of a name can be read: nobody asked for it rather than the others
            if twice := [n for n, times in Counter(archive.files).items() if times > 1]:
                raise DataError(f"{where} holds {twice[0]} twice. Save it anew.")
            shapes = {name: stored(archive.zip, name).shape for name in there}
            key = one_of(where, shapes, self.key)
            check_dense(where, key, there)
            for other in there:
                if other != key:
                    record.skip("other arrays of the archive", other)
            samples = member(path, archive, key)
            if self.labels is None:
                return samples, None
            if outside:
                return samples, lone_array(beside(self.name, path, self.labels))
            entry(path, archive.zip, self.labels)
            return samples, archive[self.labels]


def lone_array(path: Path) -> Array:
    """Of a .npy file. Raises DataError that names it."""
    try:
        with path.open("rb") as file:
            shape, _, dtype = header(file)
            check_objects(f"data.npz: {path}", dtype)
            check_whole(path.stat().st_size, file.tell(), shape, dtype)
        return np.asarray(np.load(path, allow_pickle=False))
    except DAMAGED as error:
        raise damaged(path, error) from None


def check_dense(where: str, key: str, names: Iterable[str]) -> None:
    """Raises DataError where an array and those beside it are one sparse matrix: its `data` are the
    numbers that are not 0, without their places.
    """
    folder, _, name = key.rpartition("/")
    beside = {n.rpartition("/")[2] for n in names if n.rpartition("/")[0] == folder}
    if any(name in parts <= beside for parts in SPARSE):
        raise DataError(
            f"{where}: {key!r} is a part of a sparse matrix. Save it dense: numpy.save(PATH,"
            " matrix.toarray())."
        )


def check_objects(where: str, dtype: np.dtype[Any]) -> None:
    """Raises DataError for Python's objects."""
    # pickled: reading them would run whatever their author has written
    if dtype.hasobject:
        raise DataError(
            f"{where} holds Python objects ({dtype}). Save it as numbers or text:"
            " array.astype(float) or astype(str)."
        )


def npy_rows(path: Path) -> Array | Rows:
    """Mapped from the file, or read from it a part at a time where it is large."""
    with path.open("rb") as file:
        shape, columns_first, dtype = header(file)
        offset = file.tell()
    check_objects(f"data.npz: {path}", dtype)
    check_whole(path.stat().st_size, offset, shape, dtype)
    if columns_first or math.prod(shape) * dtype.itemsize < LARGE or not shape:
        # mapped: what needs no change is never copied
        mapped: Array = np.asanyarray(np.load(path, mmap_mode="r", allow_pickle=False))
        return mapped
    return Rows.of(Stored(path, dtype, shape, offset))


def member(path: Path, archive: Any, key: str) -> Array | Rows:
    """An array of the archive, or what unpacks it a part at a time where it is large."""
    held = entry(path, archive.zip, key)
    # in columns the samples lie scattered over the whole array: no part of it is some samples
    if held.columns_first or held.size < LARGE or not held.shape:
        # twice: unpacked, and once more in its checked form
        check_room(f"data.npz: {path}", 2 * held.size)
        found: Array = archive[key]
        if not isinstance(found, np.ndarray):
            raise ValueError(f"{key} is not an array")
        return found
    name, shape, dtype = held.name, held.shape, held.dtype
    return Rows(shape, dtype, lambda: unpacked(path, name, shape, dtype))


def entry(path: Path, entries: zipfile.ZipFile, key: str) -> Entry:
    """What is stored of an array in an archive. Raises DataError for objects, ValueError."""
    found = stored(entries, key)
    check_objects(f"data.npz: {path}: {key}", found.dtype)
    if found.name.endswith(".npy"):
        check_whole(found.size, found.offset, found.shape, found.dtype)
    return found


def unpacked(
    path: Path, name: str, shape: tuple[int, ...], dtype: np.dtype[Any]
) -> Iterator[Array]:
    """The parts of an archive's array, one after the other.

    Raises DataError where it is damaged.
    """
    size, row = part_rows(shape, dtype), math.prod(shape[1:]) * dtype.itemsize
    try:
        with zipfile.ZipFile(path) as entries, entries.open(name) as file:
            header(file)
            for at in range(0, shape[0], size):
                count = min(size, shape[0] - at)
                if len(raw := file.read(count * row)) < count * row:
                    raise EOFError("it ends before its array does")
                yield np.frombuffer(raw, dtype).reshape(count, *shape[1:])
    except DAMAGED as error:
        raise damaged(path, error) from None


def damaged(path: Path, error: Exception) -> DataError:
    """One line for a file that is no archive of arrays."""
    why = " ".join(str(error).split()) or type(error).__name__
    kind = Doubt if isinstance(error, Further) else DataError
    return kind(f"data.npz: {path} cannot be read ({why}). Save it with numpy.savez.")


def one_of(where: str, shapes: Mapping[str, tuple[int, ...]], asked: str | None) -> str:
    """The array that is asked for, the only one, or one with a usual name. Raises DataError, with
    the guess, for all else.
    """
    there = list(shapes)
    if not there:
        raise DataError(f"{where} holds no array. Check the file.")
    if asked is not None:
        if asked not in there:
            raise DataError(f"{where}: no array {asked!r}. It holds: {listed(there)}.")
        return asked
    if len(there) == 1:
        return there[0]
    alike = len(there) >= LIST and len(set(shapes.values())) == 1
    # of numpy.savez(*LIST) the first is one sample
    unnamed = alike and all(map(LISTED.fullmatch, there))
    known = [] if unnamed and not is_answered(OTHERS) else [name for name in USUAL if name in there]
    larger = [n for n in there if len(shapes[n]) > 1]
    # x may be an axis beside what is measured along it
    if len(known) == 1 and (len(shapes[known[0]]) > 1 or not larger):
        return known[0]
    known = [n for n in known if n in larger]
    trained = [n for n in there if "train" in n and n.lower().startswith(("x", "im", "da"))]
    guess = (known or trained or larger or there)[0]
    stack = " Or save them as one, where each is a sample: numpy.stack(LIST)." if alike else ""
    raise (Doubt if unnamed else DataError)(
        f"{where} holds several: {listed(there)}. Set data.key: {guess}, or another.{stack}"
    )


def listed(names: list[str]) -> str:
    """At most 20 of them."""
    return ", ".join(names[:20]) + (f", ... ({len(names)})" if len(names) > 20 else "")
