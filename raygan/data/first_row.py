"""The first row of a table of text: the columns' names, or a sample? The rows below it tell.

a cell that is no value of the column below it     names             u over numbers
all cells are values of the columns below them     a sample          1.5 over numbers, setosa over setosa
whole numbers, as no row below holds them          asked for         0, 1, 2 of a frame without names; 2020, 2021
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from raygan.data.record import Array
from raygan.errors import DataError

MISSING = (
    "", "na", "n/a", "#n/a", "<na>", "nan", "null", "none", "missing", "unknown", "?", "-", "--", ".", "*", "\\n",
)  # fmt: skip
"""Cells that stand for a number that is not there, in small letters: a sample may begin with one."""
RARE = 0.05
"""Share of the rows below; what is as frequent among them is no sign of names."""


def has_names(where: str, first: list[str], below: Any) -> bool:
    """Are the cells of the first row names? `below`: a pyarrow table of the rows after it, all of
    them or the first thousands. Raises DataError where it cannot be told.
    """
    import pyarrow.types as types

    columns = [below.column(i) for i in range(len(first))]
    told = [(cell.strip(), c) for cell, c in zip(first, columns, strict=True)]
    typed = [(cell, c) for cell, c in told if not (is_text(c.type) or types.is_null(c.type))]
    if any(not is_value(cell, c.type) and any(map(str.isalpha, cell)) for cell, c in typed):
        return True
    if not len(below):
        return not any(map(is_numeral, first))
    # text that stands below as well is no name
    if any(cell and cell in c.to_pylist() for cell, c in told if is_text(c.type)):
        return False
    filled = [(cell, c) for cell, c in typed if cell]
    if not filled:
        return not typed
    if not all(cell.isdecimal() and is_number(c.type) for cell, c in filled):
        return False
    top = np.array([[float(cell) for cell, _ in filled]])
    rest = np.stack([c.to_numpy().astype(np.float64) for _, c in filled], 1)
    if any(like(top)[0] and like(rest).mean() < RARE for like in AS_NAMES):
        raise DataError(
            f"{where}: the first row ({', '.join(first[:5])}{', ...' if first[5:] else ''}) may be"
            " names or a sample. Set data.header: true or false."
        )
    return False


def is_text(kind: Any) -> bool:
    """Any cell may stand in such a column."""
    import pyarrow.types as types

    return bool(types.is_string(kind) or types.is_large_string(kind) or types.is_binary(kind))


def is_number(kind: Any) -> bool:
    """Integers and floats."""
    import pyarrow.types as types

    return bool(types.is_integer(kind) or types.is_floating(kind))


def is_value(cell: str, kind: Any) -> bool:
    """Could it stand in a column of this type?"""
    import pyarrow

    if cell.lower() in MISSING:
        return True
    try:
        # 1.5 on top of whole numbers is a number as they are
        pyarrow.scalar(cell).cast(pyarrow.float64() if is_number(kind) else kind)
    except pyarrow.ArrowException:
        return False
    return True


def is_numeral(cell: str) -> bool:
    """
    >>> is_numeral(" 1e3"), is_numeral("u"), is_numeral("?")
    (True, False, True)
    """
    import pyarrow

    return is_value(cell.strip(), pyarrow.float64())


# ------------------------------------------------------------------------------------------
# rows of whole numbers (N, columns) that look as names do: which of them do -> (N,) of bool

Like = Callable[[Array], npt.NDArray[np.bool_]]


def from_zero(rows: Array) -> npt.NDArray[np.bool_]:
    """0, 1, 2, ...: what a frame without names is written with."""
    found: npt.NDArray[np.bool_] = (rows == np.arange(rows.shape[1])).all(1)
    return found


def even(rows: Array) -> npt.NDArray[np.bool_]:
    """Years, or counted from 1: upwards by equal steps."""
    steps = np.diff(rows, axis=1)
    up = (steps > 0) & (steps == steps[:, :1])
    found: npt.NDArray[np.bool_] = whole(rows) & up.all(1)
    return found


def whole(rows: Array) -> npt.NDArray[np.bool_]:
    """Whole numbers, no two of them the same: on top of fractions they are no row like the others."""
    ordered = np.sort(rows, axis=1)
    found: npt.NDArray[np.bool_] = (rows % 1 == 0).all(1) & (np.diff(ordered, axis=1) > 0).all(1)
    return found


AS_NAMES: tuple[Like, ...] = (from_zero, even, whole)
