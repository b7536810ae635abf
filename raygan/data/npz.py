"""`npz:PATH`: one array of a NumPy archive, or the array of a .npy file, which stays mapped from it where it needs no change."""

from __future__ import annotations

import zipfile
import zlib
from dataclasses import replace
from pathlib import Path

import numpy as np
from pydantic import Field

from raygan.data.arrays import ArraySettings, as_samples
from raygan.data.files import FileComponent
from raygan.data.labels import as_classes, beside
from raygan.data.record import Array, Read, Record
from raygan.data.room import check_room
from raygan.data.search import must_be_file
from raygan.errors import DataError

USUAL = ("x", "images", "data", "arr_0")
DAMAGED = (ValueError, OSError, EOFError, KeyError, AttributeError, TypeError, SyntaxError, NotImplementedError, RuntimeError,
           zlib.error, zipfile.BadZipFile)  # fmt: skip


class Npz(FileComponent, ArraySettings):
    """Points (N, features); images (N, H, W), (N, H, W, C) or (N, C, H, W); of any type of numbers."""

    key: str | None = Field(None, description="The array's name; None = x, images, data, arr_0 or the only one.")

    def read(self) -> Read:
        """The array, in its checked form."""
        path, record = must_be_file(self.name, self.path), Record(f"npz:{self.path}")
        try:
            array, labels = self._arrays(path, record)
        except DAMAGED as error:
            why = " ".join(str(error).split()) or type(error).__name__
            raise DataError(f"data.npz: {path} cannot be read ({why}). Save it with numpy.savez.") from None
        found = as_samples(self.where, array, self.layout, self.scale, record)
        if labels is None or self.labels is None:
            return found
        return replace(found, classes=as_classes(self.where, self.labels, labels, len(array), record))

    def _arrays(self, path: Path, record: Record) -> tuple[Array, Array | None]:
        """(samples, labels where they are asked for)."""
        if not zipfile.is_zipfile(path):
            samples = np.asanyarray(np.load(path, mmap_mode="r", allow_pickle=False))
            return samples, None if self.labels is None else lone_array(beside(self.name, path, self.labels))
        with zipfile.ZipFile(path) as entries:
            check_room(f"data.npz: {path}", 2 * max((e.file_size for e in entries.infolist()), default=0))
        outside = self.labels is not None and self.labels.endswith(".npy")
        with np.load(path, allow_pickle=False) as archive:
            where, there = f"data.{self.name}: {path}", [n for n in archive.files if n != self.labels]
            if self.labels in (None, self.key) or outside:
                there = archive.files
            elif self.labels not in archive.files:
                raise DataError(f"{where}: no labels {self.labels!r}. It holds: {listed(archive.files)}.")
            key = one_of(where, "array", there, self.key, USUAL, "key")
            for other in there:
                if other != key:
                    record.skip("other arrays of the archive", other)
            samples = archive[key]
            if not isinstance(samples, np.ndarray):
                raise ValueError(f"{key} is not an array")
            if self.labels is None:
                return samples, None
            return samples, lone_array(beside(self.name, path, self.labels)) if outside else archive[self.labels]


def lone_array(path: Path) -> Array:
    """Of a .npy file."""
    return np.asarray(np.load(path, allow_pickle=False))


def one_of(where: str, what: str, there: list[str], asked: str | None, usual: tuple[str, ...], setting: str) -> str:
    """The one that is asked for, the only one, or one with a usual name. Raises DataError, with the guess, for all else."""
    if not there:
        raise DataError(f"{where} holds no {what}. Check the file.")
    if asked is not None:
        if asked not in there:
            raise DataError(f"{where}: no {what} {asked!r}. It holds: {listed(there)}.")
        return asked
    if len(there) == 1:
        return there[0]
    known = [name for name in usual if name in there]
    if known:
        return known[0]
    guess = next((n for n in there if "train" in n and n.lower().startswith(("x", "im", "da"))), there[0])
    raise DataError(f"{where} holds several: {listed(there)}. Set data.{setting}: {guess}, or another.")


def listed(names: list[str]) -> str:
    """At most 20 of them."""
    return ", ".join(names[:20]) + (f", ... ({len(names)})" if len(names) > 20 else "")
