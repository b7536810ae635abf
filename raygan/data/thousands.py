"""1.234 of a csv: a fraction, or more than a thousand? And 1,234 in quotes.

0.5, 12.25, 950.0 anywhere            a dot is a decimal point in all of the file
1.234 and 950, 12.500 and 7           asked about
1.234 and 12.500 only                 fractions, as %.3f writes them; asked about between ; where
                                      more speaks for decimal commas: 0,5, 1.234.567, a column
                                      of whole numbers that need no mark
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from raygan.data.questions import COLUMNS, ask
from raygan.data.record import Array

DOTTED = r"^[ \t]*[-+]?[1-9][0-9]{0,2}(\.[0-9]{3})+[ \t]*$"
COMMAED = r"^[ \t]*[-+]?[1-9][0-9]{0,2}(,[0-9]{3})+[ \t]*$"
SMALL = r"^[ \t]*[-+]?[0-9]{1,3}[ \t]*$"
"""A whole number that needs no mark."""
ELSEWHERE = re.compile(
    r'[ \t"]*[-+]?([0-9]{1,3}(\.[0-9]{3}){2,}(,[0-9]+)?|[0-9]+(\.[0-9]{3})*,[0-9]+)[ \t"]*'
)
"""What is a number only where commas are decimal."""
FRACTION = re.compile(r'[ \t"]*[-+]?[0-9]*\.[0-9]*([eE][-+]?[0-9]+)?[ \t"]*')
LIMIT = 1000
NEAR = 1e-9
"""A number of three digits behind the point is so near to a thousandth."""


def check_dots(
    where: str, table: Any, lines: Iterable[bytes], mark: str, text: Callable[[list[str]], Any]
) -> None:
    """Asks (`questions.Doubt`) where a column's fractions may be whole numbers. `lines`: the first
    ones of the file; `text`: columns as they are written.
    """
    import pyarrow.compute as pc

    # a file has one mark for fractions: the first lines of nearly every file tell
    cells = {cell for line in lines for cell in line.decode().split(mark)}
    if any(map(is_fraction, cells)) or not (names := columns_of_thousandths(table)):
        return
    written = text(names)
    commas = mark == ";" and (any(map(ELSEWHERE.fullmatch, cells)) or has_small(table))
    for name in names:
        column = written.column(name).drop_null()
        dotted = pc.match_substring_regex(column, DOTTED)
        small = pc.match_substring_regex(column, SMALL)
        if not pc.all(pc.or_(dotted, small)).as_py():
            return
        if not (commas or pc.any(small).as_py()):
            continue
        first, other = (
            [c.strip() for c in column.filter(which)[:1].to_pylist()] for which in (dotted, small)
        )
        ask(
            COLUMNS,
            f"{where}: {' and '.join(first + other)} in column {name!r} may be fractions, or whole"
            " numbers with dots for thousands. Write them without these dots, or set data.column to"
            " the columns that are read, which takes them as fractions.",
        )


def columns_of_thousandths(table: Any) -> list[str]:
    """Columns of fractions that may be whole numbers; of columns with one name none is known."""
    import pyarrow.types as types

    if len(set(table.column_names)) < len(table.column_names):
        return []
    return [
        name
        for name, column in zip(table.column_names, table.columns, strict=True)
        if types.is_floating(column.type) and of_thousandths(column.to_numpy())
    ]


def is_fraction(cell: str) -> bool:
    """A number with a dot that is none of thousands.

    >>> [is_fraction(cell) for cell in ("0.123", "1.5", "1.234", "950", "x.y", "1.234.567")]
    [True, True, False, False, False, False]
    """
    return bool(
        "." in cell and FRACTION.fullmatch(cell) and not re.match(DOTTED, cell.replace('"', ""))
    )


def has_small(table: Any) -> bool:
    """Has it a column of whole numbers, none of which needs a mark?"""
    import pyarrow.compute as pc
    import pyarrow.types as types

    spans = [pc.min_max(c).as_py() for c in table.columns if types.is_integer(c.type) and len(c)]
    return any(s["max"] is not None and -LIMIT < s["min"] <= s["max"] < LIMIT for s in spans)


def of_thousandths(column: Array) -> bool:
    """Could all have been whole numbers below a million, written with dots?"""
    held = column[~np.isnan(column)]
    parted = held[held % 1 != 0] if np.isfinite(held).all() else held[:0]
    thousandths = parted * LIMIT
    return bool(
        len(parted)
        and (np.abs(held) < LIMIT).all()
        and (np.abs(parted) >= 1).all()
        and (np.abs(thousandths - np.rint(thousandths)) <= NEAR * np.abs(thousandths)).all()
    )
