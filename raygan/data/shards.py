"""The files of one table: a file, or those below a folder, whose names may tell columns
(g=0/part-0.parquet).
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from raygan.data.questions import Doubt
from raygan.data.record import Record
from raygan.data.search import must_be_file, must_exist
from raygan.data.tensors import plain, plain_schema
from raygan.data.walking import once, unseen, walk
from raygan.errors import DataError

NULL_FOLDER = "__HIVE_DEFAULT_PARTITION__"


@dataclass(frozen=True)
class Shard:
    """A file of the table, with the columns that its folders tell: g=0/part-0.parquet."""

    path: Path
    file: Any
    """pyarrow's ParquetFile."""
    told: Mapping[str, Any]
    """Column -> the value of all its rows, a pyarrow scalar."""

    @property
    def schema(self) -> Any:
        """The file's columns, then the folders'."""
        import pyarrow

        schema = plain_schema(self.file.schema_arrow)
        for name, value in self.told.items():
            schema = schema.append(pyarrow.field(name, value.type))
        return schema

    @property
    def rows(self) -> int:
        """How many rows the file has."""
        return int(self.file.metadata.num_rows)

    def read(self, columns: list[str] | None = None) -> Any:
        """These columns, or all, as a table."""
        names = self.schema.names if columns is None else columns
        with reading(self.path):
            return self._filled(self.file.read(columns=self._own(names)), names)

    def batches(self, size: int, columns: list[str]) -> Iterator[Any]:
        """These columns, so many rows at a time."""
        with reading(self.path):
            for batch in self.file.iter_batches(size, columns=self._own(columns)):
                yield self._filled(batch, columns)

    def _own(self, names: list[str]) -> list[str]:
        return [name for name in names if name not in self.told]

    def _filled(self, some: Any, names: list[str]) -> Any:
        import pyarrow

        some = plain(some)
        for name in names:
            if name in self.told:
                some = some.append_column(name, pyarrow.repeat(self.told[name], some.num_rows))
        return some.select(names)


@contextlib.contextmanager
def reading(path: Path) -> Iterator[None]:
    """What goes wrong is told with the file's own name, which among many shards helps most."""
    import pyarrow

    try:
        yield
    except (pyarrow.ArrowException, OSError) as error:
        why = " ".join(str(error).split())
        raise DataError(f"data.parquet: {path} cannot be read ({why}). Check the file.") from None


def opened(text: str, record: Record) -> list[Shard]:
    """The shards by name. Raises DataError."""
    import pyarrow.parquet

    paths, root = shards(text, record), must_exist("parquet", text)
    files = []
    for path in paths:
        with reading(path):
            files.append(pyarrow.parquet.ParquetFile(path))
    told = [folder_columns(path.relative_to(root).parts[:-1]) for path in paths]
    # a column that the files hold as well is theirs
    names = [n for n in dict.fromkeys(chain(*told)) if n not in files[0].schema_arrow.names]
    values = {name: typed([one.get(name) for one in told]) for name in names}
    for name in names:
        record.convert(f"column {name} taken from the names of folders", len(paths))
    return [
        Shard(path, file, {n: values[n][i] for n in names if n in told[i]})
        for i, (path, file) in enumerate(zip(paths, files, strict=True))
    ]


def folder_columns(folders: Sequence[str]) -> dict[str, str | None]:
    """Of a partitioned table, as Hive, Spark and pandas write it: column -> value.

    >>> folder_columns(("year=2020", "kind=a%20b", "more"))
    {'year': '2020', 'kind': 'a b'}
    """
    pairs = (folder.split("=", 1) for folder in folders if "=" in folder)
    return {unquote(k): None if v == NULL_FOLDER else unquote(v) for k, v in pairs}


def typed(values: list[str | None]) -> Any:
    """A pyarrow array of whole numbers, of numbers, or of text, whichever all of them are; of text
    too where two of them, as 01 and 1, are one number.
    """
    import pyarrow

    array = pyarrow.array(values, pyarrow.string())
    for kind in (pyarrow.int64(), pyarrow.float64()):
        with contextlib.suppress(pyarrow.ArrowInvalid):
            numbers = array.cast(kind)
            # each folder is a value of its own
            return numbers if len(numbers.unique()) == len(array.unique()) else array
    return array


def shards(text: str, record: Record) -> list[Path]:
    """The file, or the parquet files below the folder, by name."""
    path = must_exist("parquet", text)
    if not path.is_dir():
        return [path]
    out, again = once(walk("parquet", path, record, no_shard, no_shards), record)
    for kept, other in again:
        first, second = (folder_columns(p.relative_to(path).parts[:-1]) for p in (kept, other))
        if first != second:
            raise Doubt(
                f"data.parquet: {other} is the same file as {kept}, with other values in the names"
                " of its folders. Remove one of them."
            )
    if not out:
        raise DataError(f"data.parquet: no .parquet file in {text!r}. Check the path.")
    # by itself each: a link that leads nowhere, or a pipe, is told by its name
    return [must_be_file("parquet", str(shard)) for shard in out]


def no_shard(name: str, parents: Sequence[str]) -> str:
    """Why a file is left out; "" for a shard."""
    # _SUCCESS, _metadata and the like, which writers leave beside the shards
    if not name.endswith(".parquet") or name.startswith("_"):
        return unseen(name) or "files that are no shards"
    return unseen(name)


def no_shards(name: str) -> str:
    """Why a folder is left out; "" for one of shards.

    >>> no_shards("_temporary"), no_shards("_g=1"), no_shards("2020")
    ('folders of what is being written', '', '')
    """
    # as Hive and Spark read such a folder themselves: unless it is a column's
    if name.startswith("_") and "=" not in name:
        return "folders of what is being written"
    return unseen(name)


def check_alike(files: list[Shard]) -> None:
    """Raises DataError for a shard with other columns."""
    for shard in files:
        if not shard.schema.equals(files[0].schema):
            raise DataError(
                f"data.parquet: {shard.path} has columns {', '.join(shard.schema.names)}, unlike"
                f" those of {files[0].path} in name or type. Take the shards of one table."
            )
