"""`hdf5:PATH`: one array of an HDF5 file; needs h5py (`pip install raygan[hdf5]`)."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from pydantic import Field

from raygan.data.arrays import ArraySettings, as_samples
from raygan.data.files import FileComponent
from raygan.data.labels import as_classes
from raygan.data.npz import USUAL, listed, one_of
from raygan.data.record import Read, Record
from raygan.data.room import check_room
from raygan.data.search import must_be_file
from raygan.errors import DataError


class Hdf5(FileComponent, ArraySettings):
    """Points or images, as in npz."""

    key: str | None = Field(None, description="The array's path in the file; None = the usual names, or the only one.")

    def read(self) -> Read:
        """The array, in its checked form."""
        path, record = must_be_file(self.name, self.path), Record(f"hdf5:{self.path}")
        try:
            import h5py  # type: ignore[import-not-found, unused-ignore]
        except ImportError:
            raise DataError(f"{self.where} needs h5py. Run: pip install 'raygan[hdf5]'.") from None
        try:
            with h5py.File(path, "r") as file:
                there: list[str] = []
                file.visititems(lambda name, item: there.append(name) if isinstance(item, h5py.Dataset) else None)
                if self.labels is not None and self.labels not in there:
                    raise DataError(f"{self.where}: no labels {self.labels!r}. It holds: {listed(there)}.")
                rest = [n for n in there if n != self.labels or n == self.key]
                key = one_of(f"data.hdf5: {path}", "array", rest, self.key, USUAL, "key")
                for other in rest:
                    if other != key:
                        record.skip("other arrays of the file", other)
                found: Any = file[key]
                check_room(self.where, 2 * int(found.nbytes))
                array = found[()]
                labels = None if self.labels is None else np.asarray(file[self.labels])
        except (OSError, KeyError, RuntimeError, ValueError, TypeError) as error:
            raise DataError(
                f"data.hdf5: {path} cannot be read ({' '.join(str(error).split())}). Check the file."
            ) from None
        read = as_samples(self.where, array, self.layout, self.scale, record)
        if labels is None or self.labels is None:
            return read
        return replace(read, classes=as_classes(self.where, self.labels, labels, len(array), record))
