"""`hdf5:PATH`: one array of an HDF5 file; needs h5py (`pip install raygan[hdf5]`)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from pydantic import Field

from raygan.data.arrays import ArraySettings, as_samples
from raygan.data.base import For
from raygan.data.files import FileComponent
from raygan.data.fitting import Fitting
from raygan.data.keeping import LARGE
from raygan.data.labels import as_classes
from raygan.data.npz import listed, one_of
from raygan.data.record import Array, Read, Record
from raygan.data.rows import Rows
from raygan.data.search import must_be_file
from raygan.data.stored import part_rows
from raygan.errors import DataError


class Hdf5(FileComponent, ArraySettings, Fitting):
    """Points or images, as in npz."""

    key: Annotated[str | None, For("arrays with names")] = Field(
        None, description="The array's path in the file; None = the usual names, or the only one."
    )

    def read(self) -> Read:
        """The array, in its checked form."""
        path, record = must_be_file(self.name, self.path), Record(f"hdf5:{self.path}")
        try:
            import h5py  # type: ignore[import-not-found, import-untyped, unused-ignore]
        except ImportError:
            raise DataError(f"{self.where} needs h5py. Run: pip install 'raygan[hdf5]'.") from None
        try:
            with h5py.File(path, "r") as file:
                shapes: dict[str, tuple[int, ...]] = {}
                file.visititems(
                    lambda name, item: (
                        # h5py.Empty has a type and no shape
                        shapes.update({name: item.shape or ()})
                        if isinstance(item, h5py.Dataset)
                        else None
                    )
                )
                there = list(shapes)
                if self.labels is not None and self.labels not in there:
                    raise DataError(
                        f"{self.where}: no labels {self.labels!r}. It holds: {listed(there)}."
                    )
                # the samples may be asked for by the same key as the labels: then they are those
                rest = [n for n in there if n != self.labels or n == self.key]
                key = one_of(f"data.hdf5: {path}", {n: shapes[n] for n in rest}, self.key)
                for other in rest:
                    if other != key:
                        record.skip("other arrays of the file", other)
                for name in filter(None, (key, self.labels)):
                    # h5py.Empty: a type and no shape
                    if file[name].shape is None:
                        raise DataError(f"{self.where}: {name!r} is empty. Check the file.")
                found: Any = file[key]
                array: Array | Rows = (
                    self._rows(path, key, found) if found.nbytes >= LARGE else found[()]
                )
                labels = None if self.labels is None else np.asarray(file[self.labels])
        except (OSError, KeyError, RuntimeError, ValueError, TypeError) as error:
            raise damaged(path, error) from None
        read = as_samples(self.where, array, self.layout, self.scale, record)
        read = replace(read, held=read.held | {"arrays with names"})
        if labels is None or self.labels is None:
            return read
        return replace(
            read, classes=as_classes(self.where, self.labels, labels, len(array), record)
        )

    def _rows(self, path: Path, key: str, found: Any) -> Rows:
        """The array a part at a time."""

        def parts() -> Iterator[Array]:
            import h5py

            size = part_rows(found_shape, dtype)
            try:
                with h5py.File(path, "r") as file:
                    for at in range(0, found_shape[0], size):
                        yield file[key][at : at + size]
            except (OSError, KeyError, RuntimeError, ValueError, TypeError) as error:
                raise damaged(path, error) from None

        # kept by value: the file is closed when the parts are read
        found_shape, dtype = tuple(found.shape), np.dtype(found.dtype)
        return Rows(found_shape, dtype, parts)


def damaged(path: Path, error: Exception) -> DataError:
    """One line for a file that cannot be read."""
    return DataError(
        f"data.hdf5: {path} cannot be read ({' '.join(str(error).split())}). Check the file."
    )
