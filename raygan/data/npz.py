"""`npz:PATH`: one array of a NumPy archive, or the array of a .npy file, which stays mapped from it where it needs no change."""

from __future__ import annotations

import zipfile
import zlib
from pathlib import Path

import numpy as np
from pydantic import Field

from raygan.data.arrays import ArraySettings, as_samples
from raygan.data.files import FileComponent
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
            array = self._array(path, record)
        except DAMAGED as error:
            why = " ".join(str(error).split()) or type(error).__name__
            raise DataError(f"data.npz: {path} cannot be read ({why}). Save it with numpy.savez.") from None
        return as_samples(self.where, array, self.layout, self.scale, record)

    def _array(self, path: Path, record: Record) -> Array:
        if not zipfile.is_zipfile(path):
            return np.asanyarray(np.load(path, mmap_mode="r", allow_pickle=False))
        with zipfile.ZipFile(path) as entries:
            check_room(f"data.npz: {path}", 2 * max((e.file_size for e in entries.infolist()), default=0))
        with np.load(path, allow_pickle=False) as archive:
            key = one_of(f"data.npz: {path}", "array", archive.files, self.key, USUAL, "key")
            for other in archive.files:
                if other != key:
                    record.skip("other arrays of the archive", other)
            array = archive[key]
            if not isinstance(array, np.ndarray):
                raise ValueError(f"{key} is not an array")
            return array


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
