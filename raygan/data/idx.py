"""`idx:PATH`: images in an IDX file, plain or gzip."""

from __future__ import annotations

from dataclasses import replace

from raygan.data.arrays import ArraySettings, as_samples
from raygan.data.files import FileComponent
from raygan.data.fitting import Fitting
from raygan.data.idx_format import idx_rows, read_idx
from raygan.data.labels import as_classes, beside
from raygan.data.record import Read, Record
from raygan.data.search import must_be_file
from raygan.errors import DataError


class Idx(FileComponent, ArraySettings, Fitting):
    """Images (N, H, W) uint8."""

    def read(self) -> Read:
        """(N, 1, H, W) uint8."""
        array = idx_rows(must_be_file(self.name, self.path))
        if array.ndim == 1 and self.layout is None:
            raise DataError(
                f"{self.where} holds uint8 of shape {array.shape}: labels, by the look of it. Check"
                " the path."
            )
        record = Record(f"idx:{self.path}")
        found = as_samples(self.where, array, self.layout, self.scale, record)
        if self.labels is None:
            return found
        labels = read_idx(beside(self.name, must_be_file(self.name, self.path), self.labels))
        return replace(
            found, classes=as_classes(self.where, self.labels, labels, len(array), record)
        )
