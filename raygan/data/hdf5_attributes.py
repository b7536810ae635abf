"""What the attributes of an HDF5 dataset say of its numbers, as netCDF4 writes them.

_FillValue, missing_value        a number that is not there
scale_factor, add_offset         numbers are packed: value = stored * scale_factor + add_offset
"""

from __future__ import annotations

from typing import Any

import numpy as np

from raygan.data.questions import OTHERS, ask
from raygan.data.record import Array

FILLED = ("_FillValue", "missing_value")
PACKED = {"scale_factor": 1.0, "add_offset": 0.0}


def check_unpacked(where: str, dataset: Any) -> None:
    """Asks (`questions.Doubt`) about numbers that are not what they stand for."""
    for name, plain in PACKED.items():
        if any(value != plain for value in numbers(dataset, name)):
            ask(
                OTHERS,
                f"{where}: {dataset.name!r} is packed ({name} {numbers(dataset, name)[0]:g}):"
                " its numbers are no values. Unpack it: xarray.open_dataset(PATH), and save that.",
            )


def fills(dataset: Any) -> list[float]:
    """Numbers of it that stand for ones that are not there."""
    return [value for name in FILLED for value in numbers(dataset, name)]


def numbers(dataset: Any, name: str) -> list[Any]:
    """An attribute's; [] where it has none."""
    value = np.asarray(dataset.attrs.get(name, []))
    return [one.item() for one in value.ravel()] if value.dtype.kind in "iuf" else []


def check_filled(where: str, name: str, part: Array, missing: list[float]) -> Array:
    """The same rows. Asks (`questions.Doubt`) where some of their numbers are not there."""
    for value in missing:
        if count := int((part == value).sum()):
            ask(
                OTHERS,
                f"{where}: {name!r} holds {value:g}, which is its fill value ({count:,} times in"
                " the first rows that have it). Fill or remove these.",
            )
    return part
