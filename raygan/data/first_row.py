"""The first row of a table of text: the columns' names, or a sample? The rows below it tell.

a cell that is no value of the column below it    names        u over numbers
all cells are values of the columns below them    a sample     1.5 over numbers, setosa over setosa
numbers, as no row below holds them               asked for    0, 1, 2 of a frame without names;
                                                               2020, 2021; 300.0, 302.5
no values, and no letters either                  asked for    2020-01-01 or 0-10 over numbers
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from raygan.data.features import is_number
from raygan.data.record import Array
from raygan.errors import DataError

MISSING = (
    "", "na", "n/a", "#n/a", "<na>", "nan", "null", "none", "missing", "unknown", "?", "-",
    "--", ".", "*", "\\n",
)  # fmt: skip
"""Cells that stand for a missing number, in small letters: a sample may begin with one."""
COMMA = re.compile(r"[-+]?\d*,\d+")
RARE = 0.05
"""Share of the rows below; what is as frequent among them is no sign of names."""
EQUAL = 1e-6
"""Steps that differ by less, as a share of them, are equal."""
MANY = 6
"""Numbers that are seldom in order by chance: one row of 360 is."""
FAR, FEW = 3.0, 5
"""Spans of a column beyond it, of so many rows at least."""


class Cell(NamedTuple):
    """One of the first row."""

    text: str
    column: Any
    """The pyarrow column below it."""

    @property
    def is_typed(self) -> bool:
        """Do the cells below tell a type, which text and nulls do not?"""
        import pyarrow.types as types

        return not (is_text(self.column.type) or types.is_null(self.column.type))

    @property
    def fits(self) -> bool:
        """Could it stand in the column below?"""
        return is_value(self.text, self.column.type)

    @property
    def is_name(self) -> bool:
        """Is it a word, and no value of the column below?"""
        return not self.fits and any(map(str.isalpha, self.text))

    @property
    def is_sample(self) -> bool:
        """Text that stands below as well is no name, nor is a number with a decimal comma."""
        if not (is_text(self.column.type) and self.text):
            return False
        return bool(COMMA.fullmatch(self.text)) or self.text in self.column.to_pylist()

    @property
    def is_number(self) -> bool:
        """Is it a number over numbers?"""
        return is_number(self.column.type, with_bool=False) and is_finite(self.text)


def has_names(where: str, first: list[str], below: Any) -> bool:
    """Are the cells of the first row names? `below`: a pyarrow table of the rows after it, all of
    them or the first thousands. Raises DataError where it cannot be told.
    """
    cells = [Cell(text.strip(), below.column(i)) for i, text in enumerate(first)]
    typed = [cell for cell in cells if cell.is_typed]
    if any(cell.is_name for cell in typed):
        return True
    if not len(below):
        return not any(map(is_numeral, first))
    if any(cell.is_sample for cell in cells):
        return False
    filled = [cell for cell in typed if cell.text]
    if not filled:
        return not typed
    if may_be_names(filled):
        raise unsure(where, first)
    return False


def may_be_names(filled: Sequence[Cell]) -> bool:
    """No word tells: may these be names all the same? No values of their columns, or numbers that
    no row below is like.
    """
    if not any(cell.fits for cell in filled):
        return True
    if not all(cell.is_number for cell in filled):
        return False
    top = np.array([[float(cell.text) for cell in filled]])
    rest = np.stack([cell.column.to_numpy().astype(np.float64) for cell in filled], 1)
    # 1.0 on top of fractions is written as they are
    written_whole = all(cell.text.lstrip("+-").isdecimal() for cell in filled)
    kinds = AS_NAMES if written_whole else AS_FRACTIONS
    return far(top, rest) or any(like(top)[0] and like(rest).mean() < RARE for like in kinds)


def unsure(where: str, first: list[str]) -> DataError:
    """The error that asks whether the first row is names or a sample."""
    return DataError(
        f"{where}: the first row ({', '.join(first[:5])}{', ...' if first[5:] else ''}) may be"
        " names or a sample. Set data.header: true or false."
    )


def is_text(kind: Any) -> bool:
    """Any cell may stand in such a column."""
    import pyarrow.types as types

    return bool(types.is_string(kind) or types.is_large_string(kind) or types.is_binary(kind))


def is_value(cell: str, kind: Any) -> bool:
    """Could it stand in a column of this type?"""
    import pyarrow

    if cell.lower() in MISSING:
        return True
    try:
        # 1.5 on top of whole numbers is a number as they are
        pyarrow.scalar(cell).cast(pyarrow.float64() if is_number(kind, with_bool=False) else kind)
    except pyarrow.ArrowException:
        return False
    return True


def is_finite(cell: str) -> bool:
    """Is it a number, and none that stands for one that is not there?"""
    return is_numeral(cell) and cell.lower() not in MISSING and bool(np.isfinite(float(cell)))


def is_numeral(cell: str) -> bool:
    """
    >>> is_numeral(" 1e3"), is_numeral("u"), is_numeral("?")
    (True, False, True)
    """
    import pyarrow

    return is_value(cell.strip(), pyarrow.float64())


# ------------------------------------------------------------------------------------------
# rows of numbers (N, columns) that look as names do: which of them do -> (N,) of bool

Like = Callable[[Array], npt.NDArray[np.bool_]]


def from_zero(rows: Array) -> npt.NDArray[np.bool_]:
    """0, 1, 2, ...: what a frame without names is written with."""
    found: npt.NDArray[np.bool_] = (rows == np.arange(rows.shape[1])).all(1)
    return found


def even(rows: Array) -> npt.NDArray[np.bool_]:
    """Years, wavelengths, or counted from 1: upwards by equal steps; two fractions always are."""
    steps = np.diff(rows, axis=1)
    # fractions as they are written: 0.1, 0.2, 0.3
    up = (steps > 0) & (np.abs(steps - steps[:, :1]) < EQUAL * np.abs(steps))
    long = rows.shape[1] > 2 or (rows.shape[1] == 2 and whole(rows))
    found: npt.NDArray[np.bool_] = up.all(1) & long
    return found


def rising(rows: Array) -> npt.NDArray[np.bool_]:
    """Many numbers in order, upwards or downwards."""
    steps = np.diff(rows, axis=1)
    ordered = (steps > 0).all(1) | (steps < 0).all(1)
    found: npt.NDArray[np.bool_] = ordered & (rows.shape[1] >= MANY)
    return found


def whole(rows: Array) -> npt.NDArray[np.bool_]:
    """Whole numbers, no two the same: on top of fractions they are no row like the others."""
    ordered = np.sort(rows, axis=1)
    found: npt.NDArray[np.bool_] = (rows % 1 == 0).all(1) & (np.diff(ordered, axis=1) > 0).all(1)
    return found


AS_FRACTIONS: tuple[Like, ...] = (even, rising)
AS_NAMES: tuple[Like, ...] = (from_zero, whole, *AS_FRACTIONS)


def far(top: Array, rest: Array) -> bool:
    """Does each number of an ordered row lie far beyond all others of its column?"""
    if top.shape[1] < 2 or len(rest) < FEW or not (np.diff(top) > 0).all():
        return False
    low, high = np.nanmin(rest, 0), np.nanmax(rest, 0)
    beyond = np.maximum(low - top[0], top[0] - high)
    return bool((beyond > FAR * (high - low)).all() and (high > low).any())
