"""Which columns of a table are features: numbers that are no labels, ids or numbers of rows.
Training on these would be seen by nobody.

by its name       label, class_label, user_id, Unnamed: 0; y, unless it stands beside x
by its numbers    0, 1, 2, ... or 1, 2, 3, ... from the first row to the last
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import numpy as np

LABELS = ("label", "labels", "class", "target", "y", "id", "index", "fine_label", "coarse_label")
KINDS = (
    *LABELS,
    "y_true",
    "y_pred",
    "y_train",
    "y_test",
    "truth",
    "ground_truth",
    "species",
    "category",
    "row",
    "objid",
    "userid",
    "itemid",
    "customerid",
)
ROW_INDEX = re.compile(
    r"|unnamed: \d+(\.\d+)*|__index_level_\d+__|level_\d+|row\.?names?|rowid", re.I
)
"""What pandas and R call the numbers of rows that they write beside them."""
WORD = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])|\d+")
"""PassengerId and passenger_id are two words; humid and grid are one."""
KINDS_OF = (
    "outcome", "diagnosis", "survived", "digit", "cluster", "group", "split", "fold", "quality",
)  # fmt: skip
"""Names of classes where whole numbers of few kinds are under them, and of measures elsewhere."""
FEW_KINDS = 30
CLASS_WORDS = {"class", "classes", "label", "labels"}
ID_WORDS = {"id", "ids", "uuid", "guid"}
NUMBER_WORDS = {"index", "idx"}
COUNTED = 4
"""Rows from which on 0, 1, 2, ... is no chance."""


def features(table: Any) -> list[str]:
    """The columns of numbers that look like nothing else, by names and values. `table`: pyarrow's,
    or `Streamed`.
    """
    index = (table.schema.pandas_metadata or {}).get("index_columns", [])
    good = [
        field.name
        for field in table.schema
        if is_number(field.type)
        and (is_ordinate(field, table.schema) or not names_no_feature(field.name, field.type))
        and field.name not in index
    ]
    # alone it can be beside nothing that it numbers
    alone = len(table.schema) == 1
    return [n for n in good if alone or not (counts_up(table, n) or is_kinds(table, n))]


def is_ordinate(field: Any, schema: Any) -> bool:
    """Is it the y of a point (x, y)? Beside x1, x2, ... it is what they are to tell."""
    import pyarrow.types as types

    if field.name.lower() != "y" or not types.is_floating(field.type):
        return False
    return "x" in {name.lower() for name in schema.names}


def names_no_feature(name: str, kind: Any) -> bool:
    """
    >>> import pyarrow as pa
    >>> names = ("PassengerId", "class_label", "idx", "Unnamed: 0", "humid", "Pclass", "bid")
    >>> [names_no_feature(n, pa.int64()) for n in names]
    [True, True, True, True, False, False, False]
    """
    import pyarrow.types as types

    words = [word.lower() for word in WORD.findall(name)]
    last = set(words[-1:])
    return bool(
        name.lower() in KINDS
        or ROW_INDEX.fullmatch(name)
        or CLASS_WORDS & set(words)
        or ID_WORDS & last
        # the index of refraction has a fraction, and NO is a gas
        or (types.is_integer(kind) and (NUMBER_WORDS & last or re.search(r"\bNo\.?$", name)))
    )


def counts_up(table: Any, name: str) -> bool:
    """Does a column count the rows, from 0 or 1?"""
    at = 0
    for part in parts(table, name):
        if part.null_count or not len(part):
            return False
        found = np.asarray(part)
        if at == 0:
            first = found[0]
        if first not in (0, 1) or not (found == np.arange(at, at + len(found)) + first).all():
            return False
        at += len(found)
    return at >= COUNTED


def is_kinds(table: Any, name: str) -> bool:
    """Does its name say classes, and do its numbers bear that out?"""
    if name.lower() not in KINDS_OF:
        return False
    kinds = np.empty(0)
    for part in parts(table, name):
        if part.null_count:
            return False
        found = np.asarray(part)
        kinds = np.union1d(kinds, found)
        if len(kinds) > FEW_KINDS or not (np.floor(found) == found).all():
            return False
    return True


def parts(table: Any, name: str) -> Iterator[Any]:
    """A column a few rows at a time: one that does not count is known by its first ones."""
    if hasattr(table, "batches"):
        for batch in table.batches([name]):
            yield batch.column(0)
    else:
        yield from table.column(name).chunks


def is_number(kind: Any, with_bool: bool = True) -> bool:
    """Integers, floats and, `with_bool`, bool."""
    import pyarrow.types as types

    numeric = types.is_integer(kind) or types.is_floating(kind)
    return bool(numeric or (with_bool and types.is_boolean(kind)))


def is_list(kind: Any) -> bool:
    """Lists of numbers, of lists of numbers, ..."""
    import pyarrow.types as types

    if not (types.is_list(kind) or types.is_large_list(kind) or types.is_fixed_size_list(kind)):
        return False
    return is_number(kind.value_type) or is_list(kind.value_type)
