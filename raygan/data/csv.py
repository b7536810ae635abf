"""`csv:PATH`: a table of numbers, a row a sample; `.tsv` and `.tab` are parted by tabs. Read by
pyarrow.
"""

from __future__ import annotations

from typing import Any

from raygan.data.search import must_be_file
from raygan.data.table import TableComponent
from raygan.errors import DataError

TABS = (".tsv", ".tab")


class Csv(TableComponent):
    """Columns of numbers; the first row may be their names."""

    def table(self) -> Any:
        """The whole table. Raises DataError."""
        import pyarrow
        from pyarrow import csv

        path = must_be_file(self.name, self.path)
        try:
            # through pyarrow, which unpacks by the suffix as it will for the table: the bytes of a
            # .csv.gz have no commas, and its first row would be taken for names
            with pyarrow.input_stream(str(path)) as file:
                first = file.read(1 << 20).partition(b"\n")[0]
            mark = "\t" if path.name.removesuffix(".gz").endswith(TABS) else separator(first)
            options = csv.ReadOptions(autogenerate_column_names=not has_names(first, mark))
            return csv.read_csv(path, options, csv.ParseOptions(delimiter=mark))
        except (pyarrow.ArrowException, OSError) as error:
            why = " ".join(str(error).split())[:200]
            raise DataError(f"data.csv: {path} cannot be read ({why}). Check the file.") from None


def separator(line: bytes) -> str:
    """
    >>> separator(b"1;2"), separator(b"1,2"), separator(b"1")
    (';', ',', ',')
    """
    return max((",", ";", "\t"), key=lambda mark: line.count(mark.encode()))


def has_names(line: bytes, mark: str) -> bool:
    """Is the first row no row of numbers?

    >>> has_names(b"a,b", ","), has_names(b"1,-2.5e3", ","), has_names(b",1", ",")
    (True, False, False)
    """
    for cell in line.decode(errors="replace").strip().split(mark):
        try:
            float(cell.strip().strip('"') or 0)
        except ValueError:
            return True
    return False
