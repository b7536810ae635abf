"""The classes of samples, where a source has them: read beside the samples, kept apart, never
trained on.

a column of a table, a key of an archive, a file beside the data, the folder that a picture lies in
    -> `Read.classes`
`SplitData.cut`: classes -> `Samples.labels`, `held_out_labels`, `classes`
    for split, parts, coverage
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from raygan.data.record import Array, Record, printable
from raygan.data.search import must_be_file
from raygan.errors import DataError

MANY = 1000
"""Classes; more than these are names of samples, not of classes."""


def as_classes(where: str, what: str, values: Array, count: int, record: Record) -> list[str]:
    """The class of each of `count` samples, from labels (N,), (N, 1), or one-hot (N, K). Raises
    DataError for all else.
    """
    array = in_one_column(what, np.asarray(values), record)
    check_classes(where, what, array, count)
    out = [class_name(v) for v in array.tolist()]
    if blank := [i for i, c in enumerate(out) if not c.strip()]:
        raise DataError(
            f"{where}: labels {what!r} hold {len(blank):,} blanks, the first of sample {blank[0]}."
            " Fill or remove them."
        )
    # a column of ids, taken for classes, would make parts and coverage meaningless without a word
    if len(found := set(out)) > MANY:
        raise DataError(
            f"{where}: labels {what!r} hold {len(found):,} different values, at most {MANY:,} are"
            " classes. Set data.labels."
        )
    record.labels = f"{what}, {spoken_classes(out)}"
    return out


def in_one_column(what: str, array: Array, record: Record) -> Array:
    """(N, 1), or one-hot (N, K), as (N,)."""
    if array.ndim == 2 and array.shape[1] == 1:
        return array[:, 0]
    # as they come from other frameworks; two columns that are not one-hot are no classes
    if array.ndim == 2 and array.shape[1] > 1 and is_one_hot(array):
        record.convert(f"one-hot labels {what} taken as classes", len(array))
        return np.asarray(array.argmax(1))
    return array


def check_classes(where: str, what: str, array: Array, count: int) -> None:
    """Raises DataError for what is not one whole number or name for each of `count` samples."""
    if array.ndim != 1 or len(array) != count:
        raise DataError(
            f"{where}: labels {what!r} have shape {array.shape}, and there are {count:,} samples."
            " Set data.labels to one a sample."
        )
    if array.dtype.kind == "f" and not (
        np.isfinite(array).all() and (array == np.floor(array)).all()
    ):
        raise DataError(
            f"{where}: labels {what!r} hold numbers that are not whole. Set data.labels to classes."
        )
    if array.dtype.kind not in "biufSUO":
        raise DataError(
            f"{where}: labels {what!r} hold {array.dtype}. Set data.labels to numbers or names of"
            " classes."
        )


def class_name(value: object) -> str:
    """
    >>> class_name(b"cat"), class_name(3.0), class_name(1e30)
    ('cat', '3', '1000000000000000019884624838656')
    """
    # bytes of HDF5 and numpy: they are the same class as the text
    if isinstance(value, bytes):
        return value.decode(errors="backslashreplace")
    # Python's own: whole numbers beyond 64 bits stay apart
    return str(int(value)) if isinstance(value, float | np.floating) else str(value)


def is_one_hot(array: Array) -> bool:
    """Rows with a single 1 among zeros."""
    return bool(
        array.dtype.kind in "biuf"
        and ((array == 0) | (array == 1)).all()
        and (array.sum(1) == 1).all()
    )


def spoken_classes(classes: Sequence[str]) -> str:
    """How many, and which.

    >>> spoken_classes(["b", "a", "b"])
    '2 classes (a: 1, b: 2)'
    """
    names = ordered(classes)
    counts = dict.fromkeys(names[:10], 0)
    for c in classes:
        if c in counts:
            counts[c] += 1
    more = ", ..." if len(names) > 10 else ""
    each = ", ".join(f"{printable(n)}: {k:,}" for n, k in counts.items())
    return f"{len(names)} class{'es' if len(names) != 1 else ''} ({each}{more})"


def ordered(classes: Sequence[str]) -> list[str]:
    """Their names, numbers within them by size.

    >>> ordered(["c10", "c9", "c09", "c9"])
    ['c09', 'c9', 'c10']
    """

    def place(name: str) -> tuple[object, str]:
        parts = [(0, int(p), "") if p.isdecimal() else (1, 0, p) for p in re.split(r"(\d+)", name)]
        # 1 and 01 are one number: by their letters, or each process would order the set its own way
        return parts, name

    return sorted(set(classes), key=place)


def numbered(classes: Sequence[str] | None) -> tuple[npt.NDArray[np.int64] | None, tuple[str, ...]]:
    """(the number of each sample's class (N,), names of the classes); (None, ()) where there are no
    two.
    """
    names = ordered(classes) if classes is not None else []
    if classes is None or len(names) < 2:
        return None, ()
    # by the order of the names, not of their first appearance: another shuffle gives the same
    # numbers
    at = {name: i for i, name in enumerate(names)}
    return np.array([at[c] for c in classes], np.int64), tuple(names)


def beside(kind: str, path: Path, labels: str) -> Path:
    """A file of labels: as it is named, or beside the data. Raises DataError where it is in neither
    place.
    """
    named = path.parent / labels
    return named if named.is_file() else must_be_file(kind, labels)
