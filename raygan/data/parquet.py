"""`parquet:PATH`: a column of encoded images in the layout of the hub's data sets ({bytes, path})."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pydantic import Field

from raygan.data.base import Array
from raygan.data.files import FileComponent, stack_images
from raygan.data.search import must_exist
from raygan.errors import DataError

ROWS = 16
"""Decoded at a time."""


class Parquet(FileComponent):
    """One parquet file with an image column."""

    column: str | None = Field(None, description="The image column; None = image, img or the first with bytes.")

    def read(self) -> Array:
        """(N, C, H, W) uint8."""
        import pyarrow
        import pyarrow.parquet

        path = must_exist(self.name, self.path)
        try:
            names = pyarrow.parquet.read_schema(path).names
            column = self.column or next((n for n in names if n in ("image", "img")), names[0])
            if column not in names:
                raise DataError(f"data.parquet: no column {column!r} in {path}. It has: {', '.join(names)}.")
            file = pyarrow.parquet.ParquetFile(path)
            count = file.metadata.num_rows
            return stack_images(self.name, count, self._images(file, column, path))
        except (pyarrow.ArrowException, OSError) as error:
            raise DataError(f"data.parquet: {path} cannot be read ({error}). Check the path.") from None

    def _images(self, file: Any, column: str, path: Path) -> Iterator[tuple[str, bytes]]:
        """(row, encoded image), few at a time: what a dictionary repeats is small in the file only."""
        at = 0
        for batch in file.iter_batches(ROWS, columns=[column]):
            for cell in batch.column(0).to_pylist():
                raw = cell["bytes"] if isinstance(cell, dict) else cell
                if not isinstance(raw, bytes):
                    raise DataError(
                        f"data.parquet: column {column!r} of {path} holds no encoded images. Set data.column."
                    )
                yield f"row {at}", raw
                at += 1
