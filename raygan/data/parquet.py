"""`parquet:PATH`: a table in one file, or a folder of shards, also one that is partitioned
(g=0/part-0.parquet); encoded pictures ({bytes, path}, as on the hub) or numbers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from pydantic import Field

from raygan.data import keeping
from raygan.data.files import Named, PictureSettings, stack_images
from raygan.data.free_memory import check_room
from raygan.data.record import Read, Record
from raygan.data.shards import Shard, check_alike, opened, shards
from raygan.data.table import Streamed, TableComponent, column_classes, parted
from raygan.errors import DataError

ROWS = 16
"""Pictures decoded at a time: what a dictionary repeats is small in the file only."""
STREAMED = 1 << 16
"""Rows of numbers at a time."""
USUAL = ("image", "img")


class Parquet(TableComponent, PictureSettings):
    """A column of pictures, or columns of numbers."""

    column: str | None = Field(
        None, description="None = image, img, the only one with bytes, or all if all are numbers."
    )

    def sources(self) -> list[Path | str]:
        """The shards, and what is left out."""
        record = Record("")
        return [*shards(self.path, record), *record.skipped]

    def read(self) -> Read:
        """Pictures (N, C, H, W) or points (N, columns)."""
        import pyarrow

        record = Record(f"parquet:{self.path}")
        files = opened(self.path, record)
        check_alike(files)
        # labels first: bytes of theirs are no pictures
        rest, named_by = parted(self.where, files[0].schema.empty_table(), self.labels)
        if column := picture_column(self.where, rest.schema, self.column):
            labels = None
            if named_by is not None:
                labels = pyarrow.concat_tables([f.read(named_by.column_names) for f in files])
            for name in rest.column_names:
                if name != column:
                    record.skip("columns", name)
            count = sum(f.rows for f in files)
            named = pictures(self.where, files, column, partial(refuse_path, self.where))
            found, names = stack_images(self.where, self, record, count, named, self.scale)
            return labelled(self.where, found, names, labels, record)
        return super().read()

    def table(self, record: Record) -> tuple[Any, bool]:
        """All shards as one table, with names."""
        import pyarrow

        files = opened(self.path, record)
        # unpacked, as the file's own index tells: nothing is read for it
        size = sum(group_bytes(f.file) for f in files)
        if size >= keeping.LARGE:
            return streamed_table(files), True
        check_room(self.where, size)
        return pyarrow.concat_tables([f.read() for f in files]), True


def streamed_table(files: list[Shard]) -> Streamed:
    """All shards as one table that is never in memory as a whole."""
    count = sum(f.rows for f in files)

    def batches(names: list[str]) -> Iterator[Any]:
        for file in files:
            yield from file.batches(STREAMED, names)

    return Streamed(files[0].schema, count, batches)


def labelled(where: str, found: Read, names: list[str], labels: Any, record: Record) -> Read:
    """Pictures with the classes of the rows that were read, from a table of one column; as they are
    for None.
    """
    if labels is None:
        return found
    read = [int(name.removeprefix("row ")) for name in names]
    return replace(found, classes=column_classes(where, labels, len(read), record, read))


def group_bytes(file: Any) -> int:
    """Unpacked, as the file tells."""
    return sum(
        file.metadata.row_group(i).total_byte_size for i in range(file.metadata.num_row_groups)
    )


def picture_column(where: str, schema: Any, asked: str | None) -> str | None:
    """The column of encoded pictures; None for a table without. Raises DataError where there are
    several.
    """
    found = [n for n in schema.names if holds_bytes(schema.field(n).type)]
    if asked is not None:
        return asked if asked in found else None
    usual = [n for n in USUAL if n in found]
    if len(found) > 1 and len(usual) != 1:
        raise DataError(
            f"{where}: columns {', '.join(found)} hold bytes. Set data.column:"
            f" {(usual or found)[0]}, or another."
        )
    return (usual or found or [None])[0]


def holds_bytes(kind: Any) -> bool:
    """Bytes, or a struct with a field `bytes`."""
    import pyarrow.types as types

    if types.is_dictionary(kind):
        return holds_bytes(kind.value_type)
    if types.is_struct(kind):
        at = kind.get_field_index("bytes")
        # of nulls alone where each cell names a file
        return at >= 0 and (types.is_null(found := kind.field(at).type) or holds_bytes(found))
    return bool(
        types.is_binary(kind) or types.is_large_binary(kind) or types.is_fixed_size_binary(kind)
    )


def pictures(
    where: str, files: list[Shard], column: str, read: Callable[[str], bytes]
) -> Iterator[Named]:
    """(row, what gives its bytes), few at a time; `read`: a file that a cell names."""
    at = 0
    for file in files:
        # few rows: a column of the same picture a million times is small in the file only
        for batch in file.batches(ROWS, [column]):
            for cell in batch.column(0).to_pylist():
                yield f"row {at}", partial(content, cell, read)
                at += 1


def content(cell: Any, read: Callable[[str], bytes]) -> bytes:
    """A cell's bytes, or those of the file that it names in their place, by `read`. Raises OSError
    for a null: a picture that is not there cannot be read.
    """
    raw, path = (cell["bytes"], cell.get("path")) if isinstance(cell, dict) else (cell, None)
    if raw is None and path is not None:
        return read(path)
    if raw is None:
        raise OSError("null")
    return bytes(raw)


def refuse_path(where: str, path: str) -> bytes:
    """A table's file alone tells what is read, and its hash in the cache: no other is opened."""
    raise DataError(
        f"{where} holds the path {path!r} and no bytes. Write the bytes into the table, or name the"
        " folder of pictures: folder:PATH."
    )
