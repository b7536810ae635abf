"""Users' own data: a map-style torch Dataset (`__len__`, `__getitem__`), an array, a tensor or a
data frame, as one data set in memory.
"""

from __future__ import annotations

import inspect
import zlib
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import torch

from raygan.data.arrays import ArraySettings, as_samples, check_numbers
from raygan.data.base import Array, Samples
from raygan.data.cells import column_text
from raygan.data.features import features
from raygan.data.free_memory import check_room, within_room
from raygan.data.label_column import LEAVE_OUT
from raygan.data.pixels import pixels
from raygan.data.record import Record
from raygan.data.split import SplitData
from raygan.data.table import columns
from raygan.data.tensors import plain
from raygan.errors import DataError
from raygan.own.names import label
from raygan.own.settings import parameters, with_settings

if TYPE_CHECKING:
    from PIL.Image import Image

NUMPYS = (torch.float16, torch.float32, torch.float64)
"""Floats that numpy has too."""
METHODS = ("__len__", "__getitem__")


class PlainData(SplitData, ArraySettings):
    """Reads it whole, and splits it."""

    made_of: ClassVar[Any]

    def load(self, seed: int) -> Samples:
        """The samples, split (`SplitData.cut`)."""
        made, where = type(self).made_of, label(self.name)
        if inspect.isclass(made):
            made = made(**{name: getattr(self, name) for name in parameters(made)})
        with within_room(f"data: {where}"):
            record = Record(f"data: {where}")
            array = array_of(where, made, record)
            how = "" if record.columns else LEAVE_OUT
            found = as_samples(f"data: {where}", array, self.layout, self.scale, record, how)
            return self.cut(where, found)


def array_of(where: str, made: Any, record: Record) -> Array:
    """Of an array, a tensor, a data frame, or a Dataset: its numbers as they are (N, ...), pictures
    of Pillow's as they are seen. Raises DataError.
    """
    if isinstance(made, torch.Tensor):
        made = plain_numbers(f"data: {where}", made)
    if hasattr(made, "to_frame"):
        made = made.to_frame()  # a series is a frame of one column
    if hasattr(made, "__arrow_c_stream__"):
        made = _framed(where, made, record)
    if not isinstance(made, np.ndarray):
        made = _stacked(where, made, record)
    check_numbers(f"data: {where}", made)
    return _unmasked(where, made)


def plain_numbers(where: str, tensor: torch.Tensor) -> Array:
    """A tensor as an array; bfloat16 and others that numpy has not, as the same float32. Raises
    DataError for one that is not plain: sparse, nested, quantized.
    """
    try:
        # of at most 16 bits: each of their numbers is one of float32's
        if tensor.is_floating_point() and tensor.dtype not in NUMPYS:
            tensor = tensor.float()
        return np.asarray(tensor.numpy(force=True))
    except (TypeError, RuntimeError) as error:
        why = " ".join(str(error).split())[:100]
        raise DataError(
            f"{where} is no plain tensor: {tensor.layout}, {tensor.dtype} ({why}). Give a dense"
            " tensor of numbers: to_dense(), dequantize()."
        ) from None


def _framed(where: str, frame: Any, record: Record) -> Array:
    """The columns of a frame of pandas, polars or pyarrow, as a table's in a file."""
    import pyarrow

    # pandas numbers the rows of what is in memory: that is no column until it is written
    frame = frame.reset_index(drop=True) if hasattr(frame, "reset_index") else frame
    try:
        table = plain(pyarrow.table(frame))
    except (pyarrow.ArrowException, ValueError, TypeError) as error:
        why = " ".join(str(error).split())[:200]
        raise DataError(f"data: {where} is no table ({why}). Give an array of numbers.") from None
    good = features(table)
    if odd := [name for name in table.column_names if name not in good]:
        raise DataError(
            f"data: {where}: column {column_text(table, odd[0])} may be no feature. Give"
            f" {', '.join(good[:20]) or 'columns of numbers'} only, or an array of what you mean:"
            " frame[COLUMNS].to_numpy()."
        )
    known = Record(where)
    array = np.asarray(columns(f"data: {where}", table, None, known))
    # 0, 1, 2, ...: pandas' own, of one that has none
    record.columns = [] if all(map(str.isdecimal, known.columns)) else known.columns
    return array


def _unmasked(where: str, array: Array) -> Array:
    """The numbers themselves. Raises DataError where some are masked: they are not there."""
    if np.ma.is_masked(array):
        raise DataError(
            f"data: {where} holds {np.sum(np.ma.getmaskarray(array)):,} numbers that are masked."
            " Remove or fill them."
        )
    # in the machine's order of bytes: the same numbers have one hash
    return np.asarray(array, array.dtype.newbyteorder("="))


def _stacked(where: str, dataset: Any, record: Record) -> Array:
    try:
        count = len(dataset)
    except TypeError as error:  # sparse arrays have none, and what is no Dataset
        why = " ".join(str(error).split())
        raise DataError(
            f"data: {where} is no data set ({why}). Give an array, a tensor, a frame or a Dataset."
        ) from None
    if count == 0:
        raise DataError(f"data: {where} holds 0 samples; at least 2 are needed.")
    # how large all will be: refused before the second sample is asked for
    # its own notes are taken when its turn comes
    first = _sample(where, 0, dataset[0], Record(""))
    check_room(f"data: {where}", count * first.nbytes)
    out = np.empty((count, *first.shape), first.dtype)
    for i in range(count):
        sample = _sample(where, i, dataset[i], record)
        if (sample.shape, sample.dtype) != (first.shape, first.dtype):
            raise DataError(
                f"data: {where}[{i}] has shape {sample.shape} ({sample.dtype}), the first one"
                f" {first.shape} ({first.dtype}). Return all samples alike."
            )
        out[i] = sample
    return out


def _sample(where: str, index: int, item: Any, record: Record) -> Array:
    if isinstance(item, torch.Tensor):
        return plain_numbers(f"data: {where}[{index}]", item)
    # torch's data sets give (image, label) pairs: which of it is the sample is not guessed
    if isinstance(item, tuple | list | dict | str | bytes) or item is None:
        inner = f" of {len(item)}" if isinstance(item, tuple | list) else ""
        raise DataError(
            f"data: {where}[{index}] is a {type(item).__name__}{inner}. Return the sample alone: a"
            " tensor or an array."
        )
    from PIL.Image import Image as Picture

    if isinstance(item, Picture):
        return _picture(f"data: {where}[{index}]", item, record)
    array = _unmasked(f"{where}[{index}]", np.asanyarray(item))
    if array.ndim == 0 and array.dtype.kind in "biufc":
        raise DataError(
            f"data: {where}[{index}] is a single number. Return samples of (features,) or (C,"
            " H, W)."
        )
    if array.dtype == object or array.dtype.kind in "USV":
        raise DataError(
            f"data: {where}[{index}] is a {type(item).__name__}. Return a tensor or an array of"
            " numbers."
        )
    return array


def _picture(what: str, image: Image, record: Record) -> Array:
    """(H, W) or (H, W, C)."""
    # numbers that are what is seen, or channels that are asked for: as they always were
    alpha = image.mode in ("RGBA", "LA")
    if alpha or (
        image.mode in ("1", "L", "RGB", "I", "F", "I;16") and not image.has_transparency_data
    ):
        return np.asarray(image)
    # all else as a file's: the numbers of a palette picture are places in its palette
    picture = pixels(what, image, "white", zlib.crc32(image.tobytes()), record.convert)
    return picture[0] if len(picture) == 1 else np.moveaxis(picture, 0, -1)


def lacks(thing: object) -> str:
    """Which of a Dataset's methods are not there, in words."""
    return " and ".join(m for m in METHODS if not hasattr(thing, m))


def fits(thing: object) -> bool:
    """An array, a tensor, a Dataset, or its class."""
    if isinstance(thing, str | bytes | dict | list | tuple):
        return False
    return not lacks(thing)


def adapt(thing: Any, name: str) -> type[PlainData]:
    """A data component; the constructor's parameters are its settings."""
    call = thing if inspect.isclass(thing) else (lambda: None)
    made: type[PlainData] = with_settings(PlainData, name, call)
    made.made_of = thing
    return made
