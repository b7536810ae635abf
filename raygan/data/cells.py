"""Columns of text where numbers were meant: which cell is none, in which row, and what to do."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from raygan.data.features import counts_up, is_number, names_no_feature
from raygan.data.first_row import COMMA
from raygan.data.precision import fall_together
from raygan.data.thousands import COMMAED, DOTTED

NUMERAL = (
    r"^[ \t]*([-+]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][-+]?[0-9]+)?|[-+]?(?i:nan|inf|infinity))[ \t]*$"
)
"""What pyarrow reads as a number: Python would take 1_000 and a space that does not break too."""
LOOKED_AT = 1 << 16
"""Cells that become Python's at a time."""
MOST = 0.5
"""A column of numbers has at least that share of them."""


@dataclass(frozen=True)
class BadCell:
    """The first cell of a column that is no number."""

    row: int
    text: str
    numbers: int
    """Other cells of the column that are numbers."""
    bad: int
    thousands: bool
    """May all that are none be whole numbers, with commas or dots for thousands?"""

    @property
    def lone(self) -> bool:
        """Does it stand in a column of numbers?"""
        return self.numbers > 0 and self.numbers >= MOST * (self.numbers + self.bad)

    @property
    def comma(self) -> bool:
        """Is it a number with a decimal comma?"""
        return bool(COMMA.fullmatch(self.text.strip()))


def is_text_at_hand(table: Any, name: str) -> bool:
    """Not so of a streamed table, which is not read for an error's sake."""
    import pyarrow.types as types

    kind = table.schema.field(name).type
    return hasattr(table, "column") and (types.is_string(kind) or types.is_large_string(kind))


def bad_cell(table: Any, name: str) -> BadCell | None:
    """None for a column that is no text at hand, or holds numerals only."""
    import pyarrow.compute as pc

    if not is_text_at_hand(table, name):
        return None
    column = table.column(name)
    numeral = pc.fill_null(pc.match_substring_regex(column, NUMERAL), False)
    filled = pc.fill_null(pc.not_equal(column, ""), False)
    row = pc.index(pc.and_(filled, pc.invert(numeral)), True).as_py()
    if row < 0:
        return None
    count = pc.sum(numeral).as_py()
    bad = column.filter(pc.and_(filled, pc.invert(numeral)))
    thousands = any(
        pc.all(pc.match_substring_regex(bad, form)).as_py() for form in (COMMAED, DOTTED)
    )
    return BadCell(row, column[row].as_py(), count, pc.sum(filled).as_py() - count, thousands)


def column_text(table: Any, name: str) -> str:
    """A column with its type, and what is in it where that tells why.

    >>> import pyarrow as pa
    >>> column_text(pa.table({"u": ["1", "1,5"]}), "u")
    "'u' (string: '1,5' in row 1)"
    """
    found = bad_cell(table, name)
    held = "" if found is None else f": {found.text[:40]!r} in row {found.row}"
    kind = table.schema.field(name).type
    if is_number(kind) and not names_no_feature(name, kind) and counts_up(table, name):
        held = ", the number of the row"
    return f"{name!r} ({kind}{held})"


def advice(table: Any, name: str) -> str:
    """What to do about a column that holds no numbers; "" where it may be meant as it is."""
    found = bad_cell(table, name)
    if found is None:
        return (
            ""
            if not too_long(table, name)
            else ("Its numbers have more digits than float64: subtract what all have in common.")
        )
    if found.thousands:
        return (
            "Take the marks out, where they are of thousands; write fractions with points, and"
            " with more or less than three digits behind them."
        )
    if found.comma:
        return "Write its numbers with points, not commas."
    if not found.lone:
        return ""
    more = f" and {found.bad - 1:,} more" if found.bad > 1 else ""
    return (
        f"The column's other {found.numbers:,} cells are numbers: mend that cell{more}, or take"
        " out the row."
    )


def too_long(table: Any, name: str) -> bool:
    """Is it text since its numbers have more digits than float64 keeps?"""
    return is_text_at_hand(table, name) and fall_together(table.column(name))
