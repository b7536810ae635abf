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
from raygan.data.free_memory import check_room
from raygan.data.hdf5_attributes import check_filled, check_unpacked, fills
from raygan.data.hdf5_elsewhere import arrays_of, check_there, parts_of
from raygan.data.keeping import LARGE
from raygan.data.label_column import SAVE_APART
from raygan.data.labels import as_classes
from raygan.data.npz import check_dense, listed, one_of
from raygan.data.record import Array, Read, Record
from raygan.data.rows import Rows
from raygan.data.search import must_be_file
from raygan.data.stored import part_rows
from raygan.errors import DataError
from raygan.paths import expanded

DAMAGED = (OSError, KeyError, RuntimeError, ValueError, TypeError)
LAST = {"HWN": "NHW", "HWCN": "NCHW"}
"""Layouts with samples last, as MATLAB has pictures -> what they are with the samples first."""


class Hdf5(FileComponent, ArraySettings, Fitting):
    """Points or images, as in npz."""

    key: Annotated[str | None, For("arrays with names")] = Field(
        None, description="The array's path in the file; None = the usual names, or the only one."
    )

    def sources(self) -> list[Path | str] | None:
        """The file, and those that it takes its arrays from."""
        own = super().sources()
        try:
            return own and [*own, *parts_of(expanded(self.path))]
        except (ImportError, *DAMAGED):  # whoever reads it says so
            return own

    def read(self) -> Read:
        """The array, in its checked form."""
        path, record = must_be_file(self.name, self.path), Record(f"hdf5:{self.path}")
        try:
            import h5py  # type: ignore[import-not-found, import-untyped, unused-ignore]
        except ImportError:
            raise DataError(f"{self.where} needs h5py. Run: pip install 'raygan[hdf5]'.") from None
        try:
            with h5py.File(path, "r") as file:
                key = self._key(file, record)
                array, layout = self._samples(path, key, file[key], record)
                labels = None
                if self.labels is not None:
                    dataset = file[self.labels]
                    stored = np.asarray(dataset)
                    labels = (
                        of_matlab(self.where, dataset, stored).T if is_matlab(dataset) else stored
                    )
        except DAMAGED as error:
            raise damaged(path, error) from None
        how = SAVE_APART if labels is None else ""
        read = as_samples(self.where, array, layout, self.scale, record, how)
        read = replace(read, held=read.held | {"arrays with names"})
        if labels is None or self.labels is None:
            return read
        return replace(
            read, classes=as_classes(self.where, self.labels, labels, len(array), record)
        )

    def _key(self, file: Any, record: Record) -> str:
        """The samples' path in the file; the others are left out."""
        there = arrays_of(self.where, file, (self.key, self.labels), record)
        # h5py.Empty has a type and no shape
        shapes: dict[str, tuple[int, ...]] = {n: file[n].shape or () for n in there}
        if self.labels is not None and self.labels not in shapes:
            raise DataError(
                f"{self.where}: no labels {self.labels!r}. It holds: {listed(list(shapes))}."
            )
        # the samples may be asked for by the same key as the labels: then they are those
        rest = {n: s for n, s in shapes.items() if n != self.labels or n == self.key}
        key = one_of(self.where, rest, self.key)
        check_dense(self.where, key, rest)
        for other in rest:
            if other != key:
                record.skip("other arrays of the file", other)
        for name in filter(None, (key, self.labels)):
            if file[name].shape is None:
                raise DataError(f"{self.where}: {name!r} is empty. Check the file.")
            check_there(self.where, file[name])
        return key

    def _samples(
        self, path: Path, key: str, found: Any, record: Record
    ) -> tuple[Array | Rows, str | None]:
        """(samples, their layout where it is given)."""
        check_unpacked(self.where, found)
        missing = fills(found)
        if is_matlab(found):
            # samples lie scattered over the whole array: no part of it is some of them
            check_room(self.where, 2 * found.nbytes)
            stored = check_filled(self.where, key, of_matlab(self.where, found, found[()]), missing)
            array, layout = turned(self.where, stored, self.layout)
            record.convert("axes turned round, which MATLAB writes the other way", len(array))
            return array, layout
        if found.nbytes >= LARGE:
            return self._rows(path, key, found), self.layout
        return check_filled(self.where, key, found[()], missing), self.layout

    def _rows(self, path: Path, key: str, found: Any) -> Rows:
        """The array a part at a time."""

        def parts() -> Iterator[Array]:
            import h5py

            size = part_rows(found_shape, dtype)
            try:
                with h5py.File(path, "r") as file:
                    for at in range(0, found_shape[0], size):
                        yield check_filled(self.where, key, file[key][at : at + size], missing)
            except DAMAGED as error:
                raise damaged(path, error) from None

        # kept by value: the file is closed when the parts are read
        missing = fills(found)
        found_shape, dtype = tuple(found.shape), np.dtype(found.dtype)
        return Rows(found_shape, dtype, parts)


def is_matlab(dataset: Any) -> bool:
    """Has MATLAB written it? Its arrays lie in columns: all axes are the other way round."""
    return "MATLAB_class" in dataset.attrs


def of_matlab(where: str, dataset: Any, stored: Array) -> Array:
    """The same array, as what MATLAB says that it is. Raises DataError for text, and for one that
    is empty, of which the file has the shape only.
    """
    kind = dataset.attrs["MATLAB_class"]
    kind = kind.decode() if isinstance(kind, bytes) else str(kind)
    if kind == "char" or dataset.attrs.get("MATLAB_empty"):
        what = "text" if kind == "char" else "nothing"
        raise DataError(f"{where}: {dataset.name} holds {what}. Save it as numbers.")
    return stored.astype(bool) if kind == "logical" else stored


def turned(where: str, stored: Array, layout: str | None) -> tuple[Array, str | None]:
    """(MATLAB's array with its samples first, the layout that it then has). Raises DataError where
    they may be last.
    """
    if layout in LAST and stored.ndim == len(layout):
        # the other way round samples are first already: what is left are rows and columns
        return stored.swapaxes(-2, -1), LAST[layout]
    array = stored.T
    if layout is None and array.ndim > 2:
        last = next((k for k in LAST if len(k) == array.ndim), "NHWC")
        raise DataError(
            f"{where} holds {array.dtype} of shape {array.shape}, of MATLAB's: samples are last, by"
            f" the look of it, but not for certain. Set data.layout: {last} or points."
        )
    return array, layout


def damaged(path: Path, error: Exception) -> DataError:
    """One line for a file that cannot be read."""
    return DataError(
        f"data.hdf5: {path} cannot be read ({' '.join(str(error).split())}). Check the file."
    )
