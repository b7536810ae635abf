"""`parquet:PATH`: a column of encoded images in the layout of the hub's data sets ({bytes, path})."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from raygan.data.base import Array
from raygan.data.files import FileComponent, stack_images
from raygan.data.search import check_size, must_exist
from raygan.errors import DataError


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
            about = pyarrow.parquet.ParquetFile(path).metadata
            check_size(
                f"data.parquet: {path}",
                sum(about.row_group(i).total_byte_size for i in range(about.num_row_groups)),
            )
            cells: list[Any] = pyarrow.parquet.read_table(path, columns=[column])[column].to_pylist()
        except (pyarrow.ArrowException, OSError, MemoryError) as error:
            raise DataError(f"data.parquet: {path} cannot be read ({error}). Check the path.") from None
        raw = [c["bytes"] if isinstance(c, dict) else c for c in cells]
        if not all(isinstance(r, bytes) for r in raw):
            raise DataError(f"data.parquet: column {column!r} of {path} holds no encoded images. Set data.column.")
        return stack_images(self.name, ((f"row {i}", r) for i, r in enumerate(raw)))
