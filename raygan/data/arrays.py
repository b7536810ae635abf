"""Any array to samples in one checked form: points (N, features), or pictures (N, C, H, W).

dtype       complex, text, dates, objects are refused; NaN and infinity too
layout      which axis is which                     layout.py
scale       to what networks make, and back         scaling.py
"""

from __future__ import annotations

import re
from typing import Annotated

import numpy as np
from pydantic import Field, field_validator

from raygan.data.base import DataComponent, For
from raygan.data.keeping import keep
from raygan.data.label_column import check_ends
from raygan.data.layout import arranged
from raygan.data.record import Array, Read, Record
from raygan.data.rows import Rows
from raygan.data.scaling import Scale, scaled_pictures, scaled_points
from raygan.errors import DataError

LAYOUT = re.compile(r"points|NHW|NCHW|NHWC|HWN|HWCN|[1-9]\d*(x[1-9]\d*){2}")


class ArraySettings(DataComponent):
    """How an array is to be taken; what `auto` and None cannot tell for certain is asked for."""

    layout: Annotated[str | None, For("arrays")] = Field(
        None,
        description=(
            "points, NHW, NCHW, NHWC, HWN, HWCN (of MATLAB), CxHxW or HxWxC of flat pictures;"
            " None: by shape."
        ),
    )
    scale: Scale = Field(
        "auto",
        description=(
            "LOW..HIGH: what is black and white; bytes: 0..255; standard: points, or the smallest"
            " to the largest; none: as it is; auto: by type and range."
        ),
    )

    @field_validator("layout")
    @classmethod
    def _known(cls, value: str | None) -> str | None:
        if value is not None and not LAYOUT.fullmatch(value):
            raise ValueError(
                "write points, NHW, NCHW, NHWC, HWN, HWCN, or CxHxW as 1x28x28, HxWxC as 8x8x3"
            )
        return value


def as_samples(
    where: str,
    array: Array | Rows,
    layout: str | None = None,
    scale: Scale = "auto",
    record: Record | None = None,
    unlabelled: str = "",
) -> Read:
    """One checked form of any array. `where` names it in errors: "data.npz: x.npz". Raises
    DataError. `unlabelled`: what is to be set where column {at} is their label, "" where it is
    known that none is.
    """
    record = Record(where) if record is None else record
    rows = Rows.of(array)
    check_numbers(where, rows)
    shaped, how = arranged(where, rows, layout)
    if unlabelled and layout is None:
        check_ends(where, rows, unlabelled)
    # the same numbers are the same samples, in whichever order a file has their bytes
    if (native := shaped.dtype.newbyteorder("=")) != shaped.dtype:
        shaped = shaped.map(lambda part: part.astype(native))
    pictures = shaped.ndim == 4
    # before any number is looked at: a minimum of nothing is an error of numpy's
    if 0 in shaped.shape[1:]:
        raise DataError(
            f"{where} holds samples of shape {rows.shape[1:]}: nothing in them. Check the file."
        )
    kind = "pictures" if pictures else "points"
    record.recognised = (
        f"{len(shaped):,} {kind} of shape {shaped.shape[1:]}, {rows.dtype} {rows.shape} {how}"
    )
    # no samples are refused later, by who knows how many are needed
    if len(shaped) == 0:
        return Read(np.empty(shaped.shape, np.float32), record)
    made, scaling = (scaled_pictures if pictures else scaled_points)(where, shaped, scale, record)
    return Read(keep(where, made, record), record, scaling)


def check_numbers(where: str, array: Array | Rows) -> None:
    """Raises DataError for what is not numbers, or numbers that a GAN cannot make."""
    if array.dtype.kind in "biuf":
        return
    what = {
        "c": "complex numbers",
        "O": "objects",
        "M": "dates",
        "m": "time spans",
        "V": "records",
    }.get(array.dtype.kind, "text")
    hint = (
        " Save real and imaginary part as columns."
        if array.dtype.kind == "c"
        else " Save it as numbers."
    )
    raise DataError(f"{where} holds {what} ({array.dtype}) of shape {array.shape}.{hint}")
