"""A table's columns as samples: one of encoded pictures or of lists, or those of numbers, a row a
sample.

A null is a row that is refused by its number, not a zero; a column that is no feature (labels, ids,
text) is left out by a setting.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from pydantic import Field

from raygan.data.arrays import ArraySettings, as_samples
from raygan.data.cells import advice, column_text
from raygan.data.features import features, is_list, is_number
from raygan.data.files import FileComponent
from raygan.data.first_row import is_text
from raygan.data.labels import as_classes
from raygan.data.precision import check_kept
from raygan.data.questions import COLUMNS, Doubt, is_answered
from raygan.data.record import Array, Read, Record
from raygan.data.rows import Rows, regrouped
from raygan.data.stored import part_rows
from raygan.errors import DataError


class TableComponent(FileComponent, ArraySettings):
    """What data sets of tables share: a row is a sample."""

    column: str | None = Field(
        None,
        description="The column, or several with commas between; None: all, if all are numbers.",
    )

    @abstractmethod
    def table(self, record: Record) -> tuple[Any, bool]:
        """(A pyarrow table, or, where it is large, one that is `Streamed`; has it names?)"""

    def read(self) -> Read:
        """Points (N, columns), or what a column of lists holds."""
        record = Record(f"{self.name}:{self.path}")
        whole, named = self.table(record)
        table, labels = parted(self.where, whole, self.labels)
        array = columns(self.where, table, self.column, record)
        if not named:
            record.columns = []
        # names tell, and whoever names columns has told
        told = named or labels is not None or self.column is not None
        how = "" if told else "Set data.labels: f{at}"
        found = as_samples(self.where, array, self.layout, self.scale, record, how)
        return (
            found
            if labels is None
            else replace(found, classes=column_classes(self.where, labels, len(array), record))
        )


@dataclass(frozen=True)
class Streamed:
    """A large table, read a few rows at a time: what is asked of it is what a pyarrow table is
    asked, and its columns of numbers come as `Rows`.
    """

    schema: Any
    """A pyarrow schema."""
    rows: int
    batches: Callable[[list[str]], Iterator[Any]]
    """Of these columns, each time from the first row on."""

    @property
    def column_names(self) -> list[str]:
        """The names of the columns, as a table has them."""
        return list(self.schema.names)

    def select(self, names: list[str]) -> Any:
        """These columns as a table in memory."""
        import pyarrow

        return pyarrow.Table.from_batches(self.batches(names))

    def drop_columns(self, names: list[str]) -> Streamed:
        """The same table without these columns."""
        import pyarrow

        left = [field for field in self.schema if field.name not in names]
        return Streamed(pyarrow.schema(left, self.schema.metadata), self.rows, self.batches)


def streamed(where: str, table: Streamed, names: list[str]) -> Rows:
    """(N, columns) of a large table's numbers, some rows at a time."""
    # one type for all columns, of the schema: a batch alone might look narrower
    kinds = [table.schema.field(name).type.to_pandas_dtype() for name in names]
    dtype = np.result_type(*kinds)
    for name, kind in zip(names, kinds, strict=True):
        check_kept(where, name, column_parts(where, table, name), kind, dtype)

    def read() -> Iterator[Array]:
        at = 0
        for batch in table.batches(names):
            found = [numbers(where, name, batch.column(name), at) for name in names]
            at += batch.num_rows
            yield np.stack([column.astype(dtype, copy=False) for column in found], 1)

    shape = (table.rows, len(names))
    return Rows(shape, dtype, lambda: regrouped(read(), part_rows(shape, dtype)))


def column_parts(where: str, table: Streamed, name: str) -> Iterator[Array]:
    """One column of a large table, some rows at a time."""
    at = 0
    for batch in table.batches([name]):
        yield numbers(where, name, batch.column(0), at)
        at += batch.num_rows


def parted(where: str, table: Any, labels: str | None) -> tuple[Any, Any]:
    """(the table without the column of labels, that column as a table of its own or None). Raises
    DataError.
    """
    if labels is None:
        return table, None
    if labels not in table.column_names:
        raise DataError(
            f"{where}: no column {labels!r} for data.labels. It has:"
            f" {', '.join(table.column_names[:20])}."
        )
    return table.drop_columns([labels]), table.select([labels])


def column_classes(
    where: str, labels: Any, count: int, record: Record, rows: Sequence[int] | None = None
) -> list[str]:
    """The class of each row, or of these `rows` only, from a table of one column. Raises DataError
    for nulls.
    """
    name, column = labels.column_names[0], labels.column(0)
    if column.null_count and is_text(column.type):
        first = int(np.argmax(np.asarray(column.is_null())))
        raise DataError(
            f"{where}: labels {name!r} hold {column.null_count:,} blanks, the first of sample"
            f" {first} (so are NA, null and the like in a csv). Fill or remove them."
        )
    check_nulls(where, name, column)
    values = np.array(column.to_pylist())
    return as_classes(where, name, values if rows is None else values[list(rows)], count, record)


def columns(where: str, table: Any, asked: str | None, record: Record) -> Array | Rows:
    """(N, columns) of the columns of numbers, or the one column of lists."""
    names = chosen(where, table, asked)
    kept = set(names)
    for name in table.column_names:
        if name not in kept:
            record.skip("columns", name)
    record.columns = names
    if isinstance(table, Streamed):
        if all(is_number(table.schema.field(name).type) for name in names):
            return streamed(where, table, names)
        table = table.select(names)  # lists are read into memory
    if len(names) == 1 and is_list(table.schema.field(names[0]).type):
        record.columns = []
        return lists(where, names[0], table.column(names[0]))
    if text := [n for n in names if not is_number(table.schema.field(n).type)]:
        raise DataError(
            f"{where}: column {column_text(table, text[0])} holds no numbers."
            f" {advice(table, text[0]) or 'Set data.column to columns of numbers.'}"
        )
    found = [numbers(where, name, table.column(name)) for name in names]
    dtype = np.result_type(*found)
    for name, array in zip(names, found, strict=True):
        check_kept(where, name, [array], array.dtype, dtype)
    return np.stack(found, 1)


def chosen(where: str, table: Any, asked: str | None) -> list[str]:
    """The columns to read. Raises DataError where that has to be asked for."""
    there = list(table.column_names)
    if len(set(there)) < len(there):
        twice = next(n for n in there if there.count(n) > 1)
        raise DataError(f"{where}: two columns are named {twice!r}. Rename one.")
    if asked is not None:
        return named(where, there, asked)
    if not there:
        raise DataError(f"{where} has no columns. Check the file.")
    good = features(table)
    if len(good) == len(there) or (all_numbers(table) and is_answered(COLUMNS)):
        return there
    raise no_features(where, table, good)


def named(where: str, there: list[str], asked: str) -> list[str]:
    """The columns that `data.column` names. Raises DataError for one that is not there."""
    names = [asked] if asked in there else [n.strip() for n in asked.split(",")]
    if missing := [n for n in names if n not in there]:
        raise DataError(f"{where}: no column {missing[0]!r}. It has: {', '.join(there[:20])}.")
    return names


def no_features(where: str, table: Any, good: list[str]) -> DataError:
    """The line about a table of which only the columns `good` are features, with what to set."""
    there = list(table.column_names)
    odd = [n for n in there if n not in good]
    may = good or readable(table)
    if not may:
        return DataError(
            f"{where}: no column of numbers: {column_text(table, odd[0])}."
            f" {advice(table, odd[0]) or 'Set data.column to columns of numbers.'}"
        )
    # without a column of numbers one would train on what a damaged cell has left
    if told := next((n for n in odd if advice(table, n)), None):
        return DataError(
            f"{where}: column {column_text(table, told)} may be no feature. {advice(table, told)}"
        )
    # all numbers can be read, once it is known that they are to be
    return (Doubt if all_numbers(table) else DataError)(
        f"{where}: column {column_text(table, odd[0])} may be no feature. Set"
        f" data.column: {','.join(may)}, or others of: {', '.join(there[:20])}."
    )


def all_numbers(table: Any) -> bool:
    """Does each column hold numbers?"""
    return all(is_number(field.type) for field in table.schema)


def readable(table: Any) -> list[str]:
    """Columns that can be read, where none is a feature for certain: one of lists, or all of
    numbers.
    """
    lone = [field.name for field in table.schema if is_list(field.type)]
    return lone[:1] or [field.name for field in table.schema if is_number(field.type)]


def numbers(where: str, name: str, column: Any, at: int = 0) -> Array:
    """One column of numbers, without nulls; its first row is row `at` of the table."""
    check_nulls(where, name, column, at)
    return np.asarray(column)


def check_nulls(where: str, name: str, column: Any, at: int = 0) -> None:
    """Raises DataError that tells how many, and the first."""
    if column.null_count:
        # told by its row in the whole table, also where a part is read
        first = at + int(np.argmax(np.asarray(column.is_null())))
        raise DataError(
            f"{where}: column {name!r} has {column.null_count:,} nulls, the first in row {first}."
            " Fill or remove them."
        )


def lists(where: str, name: str, column: Any) -> Array:
    """Lists of one length each, as an array (N, ...)."""
    check_nulls(where, name, column)
    try:
        array = np.array(column.to_pylist())
    except ValueError:
        # numpy refuses lists of unlike lengths
        array = np.array([], object)
    if array.dtype.kind not in "biuf":
        raise DataError(
            f"{where}: the lists of column {name!r} differ in length, or hold nulls. Bring all to"
            " one length."
        )
    return array
