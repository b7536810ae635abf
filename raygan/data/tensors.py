"""Columns that are lists under another name: tensors of pyarrow, Array2D and others of `datasets`.

pyarrow's fixed_shape_tensor     flat lists, a shape, and the order of its axes
all others                       what is stored, where that is lists of numbers
"""

from __future__ import annotations

from typing import Any

import numpy as np

from raygan.data.features import is_list


def plain_schema(schema: Any) -> Any:
    """With lists in the place of tensors."""
    for at, field in enumerate(schema):
        if (kind := plain_type(field.type)) is not None:
            schema = schema.set(at, field.with_type(kind))
    return schema


def plain(some: Any) -> Any:
    """A table, or a batch of one, with lists in the place of tensors."""
    import pyarrow

    for at, field in enumerate(some.schema):
        if (kind := plain_type(field.type)) is None:
            continue
        column = some.column(at)
        if isinstance(column, pyarrow.ChunkedArray):
            made = pyarrow.chunked_array([as_lists(c, kind) for c in column.chunks], kind)
        else:
            made = as_lists(column, kind)
        some = some.set_column(at, field.with_type(kind), made)
    return some


def plain_type(kind: Any) -> Any:
    """None for a type that is no tensor."""
    import pyarrow

    if not isinstance(kind, pyarrow.BaseExtensionType) or not is_list(kind.storage_type):
        return None
    if not isinstance(kind, pyarrow.FixedShapeTensorType):
        return kind.storage_type
    made = kind.value_type
    for size in reversed([kind.shape[axis] for axis in axes(kind)]):
        made = pyarrow.list_(made, size)
    return made


def axes(kind: Any) -> list[int]:
    """Of a fixed_shape_tensor, as they are meant, by those that are stored."""
    return list(kind.permutation or range(len(kind.shape)))


def as_lists(array: Any, kind: Any) -> Any:
    """An array of tensors as lists of type `kind`."""
    import pyarrow

    stored = array.storage
    if not isinstance(array.type, pyarrow.FixedShapeTensorType):
        return stored
    if stored.null_count:  # which are refused by their rows
        return pyarrow.nulls(len(stored), kind)
    turned = [0, *(axis + 1 for axis in axes(array.type))]
    cells = np.asarray(stored.flatten()).reshape(len(stored), *array.type.shape)
    made = pyarrow.array(np.ascontiguousarray(cells.transpose(turned)).reshape(-1))
    for size in reversed(cells.transpose(turned).shape[1:]):
        made = pyarrow.FixedSizeListArray.from_arrays(made, size)
    return made
