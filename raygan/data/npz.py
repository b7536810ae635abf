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
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from pydantic import Field

from raygan.data.arrays import ArraySettings, as_samples
from raygan.data.base import For
from raygan.data.files import FileComponent
from raygan.data.fitting import Fitting
from raygan.data.free_memory import check_room
from raygan.data.keeping import LARGE
from raygan.data.label_column import SAVE_APART
from raygan.data.labels import as_classes, beside
from raygan.data.npy_format import Entry, Further, check_whole, header, stored
from raygan.data.questions import OTHERS, Doubt, is_answered
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
        # a pickle in an archive would run whatever its author has written
        with np.load(path, allow_pickle=False) as archive:
            where = f"data.{self.name}: {path}"
            there = self._candidates(where, archive.files)
            shapes = {name: stored(archive.zip, name).shape for name in there}
            key = one_of(where, shapes, self.key)
            check_dense(where, key, there)
            for other in there:
                if other != key:
                    record.skip("other arrays of the archive", other)
            samples = member(path, archive, key)
            if self.labels is None:
                return samples, None
            if self._labels_apart:
                return samples, lone_array(beside(self.name, path, self.labels))
            entry(path, archive.zip, self.labels)
            return samples, archive[self.labels]

    @property
    def _labels_apart(self) -> bool:
        """Do they lie in a file of their own, beside the archive?"""
        return self.labels is not None and self.labels.endswith(".npy")

    def _candidates(self, where: str, held: list[str]) -> list[str]:
        """Which of an archive's arrays may be the samples. Raises DataError for labels that are not
        among them, and for a name that two have.
        """
        labelled = self.labels not in (None, self.key) and not self._labels_apart
        if labelled and self.labels not in held:
            raise DataError(f"{where}: no labels {self.labels!r}. It holds: {listed(held)}.")
        # only the last one of a name can be read: nobody asked for it rather than the others
        if twice := [n for n, times in Counter(held).items() if times > 1]:
            raise DataError(f"{where} holds {twice[0]} twice. Save it anew.")
        return [n for n in held if n != self.labels] if labelled else held


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


@dataclass(frozen=True)
class Unasked:
    """Arrays by their shapes, of which nobody has said which one holds the samples."""

    shapes: Mapping[str, tuple[int, ...]]

    @property
    def alike(self) -> bool:
        """May they be a list, each a sample?"""
        return len(self.shapes) >= LIST and len(set(self.shapes.values())) == 1

    @property
    def unnamed(self) -> bool:
        """Of numpy.savez(*LIST), where the first is one sample?"""
        return self.alike and all(map(LISTED.fullmatch, self.shapes))

    @property
    def larger(self) -> list[str]:
        """More than one number a sample."""
        return [name for name, shape in self.shapes.items() if len(shape) > 1]

    @property
    def known(self) -> list[str]:
        """Those with a usual name, which says nothing in a list."""
        if self.unnamed and not is_answered(OTHERS):
            return []
        return [name for name in USUAL if name in self.shapes]

    @property
    def certain(self) -> str | None:
        """The only one, or the only one with a usual name; None where it has to be asked for."""
        if len(self.shapes) == 1:
            return next(iter(self.shapes))
        known, larger = self.known, self.larger
        # x may be an axis beside what is measured along it
        return known[0] if len(known) == 1 and (known[0] in larger or not larger) else None

    @property
    def guess(self) -> str:
        """The likeliest."""
        known = [name for name in self.known if name in self.larger]
        trained = [
            name
            for name in self.shapes
            if "train" in name and name.lower().startswith(("x", "im", "da"))
        ]
        return (known or trained or self.larger or list(self.shapes))[0]


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
    arrays = Unasked(shapes)
    if arrays.certain is not None:
        return arrays.certain
    stack = " Or save them as one, where each is a sample: numpy.stack(LIST)."
    raise (Doubt if arrays.unnamed else DataError)(
        f"{where} holds several: {listed(there)}. Set data.key: {arrays.guess}, or another."
        f"{stack if arrays.alike else ''}"
    )


def listed(names: list[str]) -> str:
    """At most 20 of them."""
    return ", ".join(names[:20]) + (f", ... ({len(names)})" if len(names) > 20 else "")
