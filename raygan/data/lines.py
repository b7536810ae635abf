"""Lines of numbers in text: how they are parted, which are blank, what a cell is meant to be."""

from __future__ import annotations

import codecs
import contextlib
import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from raygan.data.precision import fall_together, too_near

BLOCK = 1 << 20
"""Bytes that are parsed at a time, and looked at to tell what the first row is."""
LOOKED_AT = 100
"""Lines that tell how they are parted."""
LINE_END = re.compile(rb"\r\n|\n|\r")
BLANK = re.compile(rb"\n\r?\n|\r\r")
QUOTED = re.compile(rb'"([^"]*)"')
MARKS = re.compile(rb"[,;\t]")
NUMERAL = re.compile(rb"\s*[-+]?\d*[.,]?\d+([eE][-+]?\d+)?\s*")
PAIR = re.compile(rb"([-+]?\d+),(\d+)")
DIGITS = 5
"""Different ones behind a comma: a column of fewer is one of kinds."""
SURE = 50
"""Rows: one of ten fractions of equal length begins with a 0."""


@dataclass(frozen=True)
class Form:
    """How a file is to be read."""

    path: Path
    mark: str
    """What parts cells."""
    block: int
    named: bool
    before: int
    """Lines at the beginning that are comments or blank."""

    def rows(self, cells: Any) -> tuple[Any, int]:
        """(The table, blank lines that were left out): one is a number that is missing where there
        is one column, and nothing where there are several.
        """
        found = self._read(cells, skip_rows=self.before)
        inside, after = blank_lines(self.path)
        if not inside:
            return found, 0
        whole = self._read(cells, skip_rows=self.before, blank=True)
        whole = whole.slice(0, len(whole) - after)
        return (whole, 0) if found.num_columns == 1 else (found, len(whole) - len(found))

    def _read(self, cells: Any, skip_rows: int = 0, blank: bool = False) -> Any:
        from pyarrow import csv

        how = csv.ReadOptions(
            autogenerate_column_names=not self.named, block_size=self.block, skip_rows=skip_rows
        )
        parted = csv.ParseOptions(delimiter=self.mark, ignore_empty_lines=not blank)
        return csv.read_csv(self.path, how, parted, cells)


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


def separator(lines: list[bytes]) -> str:
    """What parts these lines into the same number of cells each, most of them numbers.

    >>> separator([b"1;2"]), separator([b"1,2"]), separator([b"1"]), separator([b"a;b", b"1,5;2"])
    (';', ',', ',', ';')
    """

    def fits(mark: str) -> tuple[bool, float, float, int]:
        cells = [unquoted(line).split(mark.encode()) for line in lines[:LOOKED_AT]]
        width = Counter(map(len, cells)).most_common(1)[0][0]
        below = [cell for line in cells[1:] or cells for cell in line]
        told = sum(bool(NUMERAL.fullmatch(cell)) for cell in below) / len(below)
        return width > 1, sum(len(c) == width for c in cells) / len(cells), told, width

    return max((",", ";", "\t"), key=fits)


def unquoted(line: bytes) -> bytes:
    """What stands in quotes parts no cells."""
    return QUOTED.sub(lambda found: MARKS.sub(b".", found[1]), line)


def fractions(lines: list[bytes]) -> bool:
    """May "2,25" and "1,06" be numbers with decimal commas? Whole numbers have no 0 before
    them, and are seldom all as long.

    >>> fractions([b"2,25", b"1,06"]), fractions([b"2,25", b"1,6"]), fractions([b"-0,5", b"1,6"])
    (True, False, True)
    """
    pairs = [PAIR.fullmatch(line.strip()) for line in lines]
    found = [(p[1].decode(), p[2].decode()) for p in pairs if p]
    if len(found) < len(pairs):
        return False
    if any(re.match("0.", part) or whole == "-0" for whole, part in found):
        return True
    digits = {len(part) for _, part in found}
    if len(digits) > 1 or len(found) < 2 or len(set(found)) == 1:
        return False
    # of many fractions one would begin with a 0
    return are_tenths(found) if digits == {1} else len(found) < SURE


def are_tenths(pairs: list[tuple[str, str]]) -> bool:
    """Digits beside digits are no numbers with a comma more than they are digits."""
    behind = {part for _, part in pairs}
    return len(behind) >= DIGITS and any(len(whole.strip("-+")) > 1 for whole, _ in pairs)


def blank_lines(path: Path) -> tuple[bool, int]:
    """(Are there any between others? how many are at the end)."""
    import pyarrow

    inside, ends = False, b""
    with pyarrow.input_stream(str(path)) as file:
        while some := file.read(BLOCK):
            text = ends + some
            held = text.rstrip(b"\r\n")
            ends = text[len(held) :]
            inside = inside or bool(BLANK.search(held))
    return inside, max(0, len(LINE_END.findall(ends)) - 1)


def comments(start: bytes) -> tuple[int, int]:
    """(Lines at the beginning up to the last comment, how many are comments): those with a # in
    front, less the last one where it names the columns, as `numpy.savetxt` writes it.

    >>> comments(b"# by a tool\\nx,y\\n1,2"), comments(b"# by a tool\\n# x,y\\n1,2")
    ((1, 1), (1, 1))
    """
    lines = start.removeprefix(codecs.BOM_UTF8).splitlines()
    told = [line.lstrip().startswith(b"#") for line in lines]
    below = next((i for i, line in enumerate(lines) if line.strip() and not told[i]), 0)
    # blank lines between comments and the table belong to neither
    while below and not told[below - 1]:
        below -= 1
    if not below:
        return 0, 0
    rest = [line for line in lines[below:] if line.strip()]
    mark = separator(rest).encode()
    names, first = (unquoted(line).split(mark) for line in (lines[below - 1], rest[0]))
    # a last comment with as many words as the table has columns names them
    named = len(names) == len(first) > 1 and any(map(NUMERAL.fullmatch, first))
    return below - named, sum(told[: below - named])


def without(start: bytes, lines: int) -> bytes:
    """What follows so many lines."""
    return b"".join(start.removeprefix(codecs.BOM_UTF8).splitlines(keepends=True)[lines:])


def leading(start: bytes) -> int:
    """Blank lines at the beginning."""
    text = start.removeprefix(codecs.BOM_UTF8)
    return len(LINE_END.findall(text[: len(text) - len(text.lstrip(b"\r\n"))]))


def uncommented(name: str) -> str:
    """Of a first column: # alone is a name.

    >>> uncommented("# x"), uncommented("#")
    ('x', '#')
    """
    return name.lstrip("# ") or name


def unspaced(cell: str) -> str:
    """As it is meant after a comma and a space.

    >>> unspaced(' "u v"'), unspaced(" u"), unspaced('"')
    ('u v', 'u', '"')
    """
    cell = cell.strip()
    return cell[1:-1] if len(cell) > 1 and cell[0] == cell[-1] == '"' else cell


def cleaned(table: Any) -> Any:
    """Text without the space after a comma; what was quoted after it may be numbers."""
    import pyarrow
    import pyarrow.compute as pc
    import pyarrow.types as types

    for at, field in enumerate(table.schema):
        if not types.is_string(field.type):
            continue
        column = table.column(at)
        if not pc.any(pc.starts_with(column, " ")).as_py():
            continue
        column = pc.utf8_ltrim(column, " ")
        bare = pc.replace_substring_regex(column, '^"(.*)" *$', r"\1")
        # only where quotes were taken off: text of letters stays text
        if not bare.equals(column):
            with contextlib.suppress(pyarrow.ArrowInvalid):
                bare = bare.cast(pyarrow.float64())
        table = table.set_column(at, field.name, bare)
    return table


def exact(table: Any, text: Callable[[list[str]], Any]) -> Any:
    """Columns that float64 would round to fewer numbers stay text. `text`: the table with these
    columns as they are written.
    """
    import pyarrow.types as types

    names = table.column_names
    times = Counter(names)
    near = [
        name
        for name, column in zip(names, table.columns, strict=True)
        # two of one name are refused later
        if times[name] == 1 and types.is_floating(column.type) and too_near(column.to_numpy())
    ]
    if not near:
        return table
    written = text(near)
    for name in near:
        if fall_together(written.column(name)):
            table = table.set_column(names.index(name), name, written.column(name))
    return table
