"""`csv:PATH`: a table of numbers, a row a sample; `.tsv` and `.tab` are parted by tabs. Read by
pyarrow.
"""

from __future__ import annotations

import codecs
import io
from pathlib import Path
from typing import Any

from pydantic import Field

from raygan.data.first_row import has_names, is_text
from raygan.data.lines import (
    BLOCK,
    Form,
    beginning,
    cleaned,
    comments,
    exact,
    fractions,
    leading,
    separator,
    uncommented,
    unspaced,
    without,
)
from raygan.data.questions import OTHERS, ask
from raygan.data.record import Record
from raygan.data.search import must_be_file
from raygan.data.table import TableComponent
from raygan.data.thousands import check_dots
from raygan.errors import DataError

TABS = (".tsv", ".tab")
UTF16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


def check_names(where: str, values: Any, cells: Any) -> None:
    """Asks (`questions.Doubt`) about classes that are one by their values and several as they are
    written: 01, 1 and 1.0 are names, or one number.
    """
    written: dict[object, str] = {}
    for value, cell in zip(values.to_pylist(), cells.to_pylist(), strict=True):
        if value is None:
            continue
        name = unspaced(cell)
        if (first := written.setdefault(value, name)) != name:
            ask(
                OTHERS,
                f"{where}: labels {first!r} and {name!r} are one class as {values.type}, and two as"
                " they are written. Write each class one way.",
            )


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
        import pyarrow
        from pyarrow import csv

        start = beginning(path)
        before, told = comments(start)
        if told:
            record.convert("comment lines left out (#)", told)
            start = without(start, before)
        lines = self._lines(start)
        tabs = path.name.removesuffix(".gz").endswith(TABS)
        mark = "\t" if tabs else separator(lines)
        # a row has to fit into a block: some are longer than pyarrow's own
        block = max(BLOCK, 4 * max(map(len, lines)))
        # by pyarrow too, which knows marks of byte orders, quotes and line ends of all kinds
        top = csv.read_csv(
            io.BytesIO(start), csv.ReadOptions(block_size=block), csv.ParseOptions(delimiter=mark)
        )
        first = list(map(unspaced, top.column_names))
        first[0] = uncommented(first[0])
        names = self._is_named(first, top, record)
        if not names and mark == ",":
            self._check_commas(lines)
        form = Form(path, mark, block, names, before + leading(start))
        # as in a column of numbers: NA is no class
        found, blank = form.rows(csv.ConvertOptions(strings_can_be_null=True))
        if blank:
            record.convert("blank lines left out", blank)
        spelled = dict(zip(first if names else found.column_names, found.column_names, strict=True))

        def text(columns: list[str]) -> Any:
            kinds = {spelled[n]: pyarrow.string() for n in columns}
            cells = csv.ConvertOptions(column_types=kinds, strings_can_be_null=True)
            return form.rows(cells)[0].rename_columns(found.column_names)

        found = cleaned(found.rename_columns(first) if names else found)
        # whoever names columns has told
        if self.column is None:
            check_dots(self.where, found, lines, mark, text)
        name = self.labels
        # two of one name are refused later
        if name is not None and found.column_names.count(name) == 1:
            values = found.column(name)
            if not is_text(values.type):
                check_names(self.where, values, text([name]).column(name))
        return exact(found, text), names

    def _is_named(self, first: list[str], below: Any, record: Record) -> bool:
        """Is it of names? Raises DataError where nothing follows them, and where it is not sure."""
        found = self.header if self.header is not None else has_names(self.where, first, below)
        if found and not len(below):
            raise DataError(
                f"{self.where} holds names only ({', '.join(first[:20])}). Check the file."
            )
        record.convert("first row taken as names" if found else "first row taken as a sample")
        return found

    def _lines(self, start: bytes) -> list[bytes]:
        """Those that are not blank."""
        if start.startswith(UTF16):
            raise DataError(f"{self.where} is UTF-16. Save it as UTF-8.")
        text = start.removeprefix(codecs.BOM_UTF8)
        lines = [line for line in text.splitlines() if line.strip()]
        if not lines:
            raise DataError(f"{self.where} holds no rows. Check the file.")
        # not left to pyarrow: with that error from it a process now and then aborts at its end
        lines[0].decode()
        return lines

    def _check_commas(self, lines: list[bytes]) -> None:
        """Raises DataError where two columns may be one; whoever names columns has told."""
        if self.column is self.labels is None and fractions(lines):
            raise DataError(
                f"{self.where}: {lines[0].decode()!r} may be two whole numbers, or one with a"
                " decimal comma. Write it with a point, or set data.column: f0,f1."
            )
