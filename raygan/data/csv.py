"""`csv:PATH`: a table of numbers, a row a sample; `.tsv` and `.tab` are parted by tabs. Read by
pyarrow.
"""

from __future__ import annotations

import codecs
import io
from pathlib import Path
from typing import Any

from pydantic import Field

from raygan.data.first_row import has_names
from raygan.data.record import Record
from raygan.data.search import must_be_file
from raygan.data.table import TableComponent
from raygan.errors import DataError

TABS = (".tsv", ".tab")
BLOCK = 1 << 20
"""Bytes that are parsed at a time, and looked at to tell what the first row is."""
UTF16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


class Csv(TableComponent):
    """Columns of numbers; the first row may be their names."""

    header: bool | None = Field(
        None, description="Is the first row names? None: told by the rows below it."
    )

    def table(self, record: Record) -> tuple[Any, bool]:
        """(The whole table, has it names?) Raises DataError."""
        import pyarrow

        path = must_be_file(self.name, self.path)
        try:
            return self._parsed(path, record)
        except UnicodeDecodeError:
            raise DataError(f"{self.where}: its text is not UTF-8. Save it as UTF-8.") from None
        except (pyarrow.ArrowException, OSError) as error:
            why = " ".join(str(error).split())[:200]
            raise DataError(f"data.csv: {path} cannot be read ({why}). Check the file.") from None

    def _parsed(self, path: Path, record: Record) -> tuple[Any, bool]:
        from pyarrow import csv

        start = beginning(path)
        if start.startswith(UTF16):
            raise DataError(f"{self.where} is UTF-16. Save it as UTF-8.")
        lines = [line for line in start.splitlines() if line.strip()]
        if not lines:
            raise DataError(f"{self.where} holds no rows. Check the file.")
        # not left to pyarrow: with that error from it a process now and then aborts at its end
        lines[0].decode()
        tabs = path.name.removesuffix(".gz").endswith(TABS)
        form = csv.ParseOptions(delimiter="\t" if tabs else separator(lines[0]))
        # a row has to fit into a block: some are longer than pyarrow's own
        block = max(BLOCK, 4 * max(map(len, lines)))
        # by pyarrow too, which knows marks of byte orders, quotes and line ends of all kinds
        top = csv.read_csv(io.BytesIO(start), csv.ReadOptions(block_size=block), form)
        first = top.column_names
        names = self.header if self.header is not None else has_names(self.where, first, top)
        if names and not len(top):
            raise DataError(
                f"{self.where} holds names only ({', '.join(first[:20])}). Check the file."
            )
        record.convert("first row taken as names" if names else "first row taken as a sample")
        options = csv.ReadOptions(autogenerate_column_names=not names, block_size=block)
        return csv.read_csv(path, options, form), names


def beginning(path: Path) -> bytes:
    """The first lines, two at least where there are so many; the last one ended."""
    import pyarrow

    # through pyarrow, which unpacks by the suffix as it will for the table: the bytes of a .csv.gz
    # have no commas, and its first row would be taken for names
    with pyarrow.input_stream(str(path)) as file:
        start = bytearray(file.read(BLOCK))
        while len(start.splitlines()) < 3 and (more := file.read(len(start))):
            start += more
        whole = not file.read(1)
    # the last line may be cut off in its middle
    lines = start.splitlines(keepends=True)
    return bytes(start) + b"\n" if whole else b"".join(lines[:-1])


def separator(line: bytes) -> str:
    """
    >>> separator(b"1;2"), separator(b"1,2"), separator(b"1")
    (';', ',', ',')
    """
    return max((",", ";", "\t"), key=lambda mark: line.count(mark.encode()))
