"""`npz:PATH`: one array of a NumPy archive."""

from __future__ import annotations

import zipfile
import zlib

import numpy as np
from pydantic import Field

from raygan.data.base import Array
from raygan.data.files import FileComponent
from raygan.data.room import check_room
from raygan.data.search import must_exist
from raygan.errors import DataError

USUAL = ("x", "images", "data", "arr_0")


class Npz(FileComponent):
    """Points (N, features) as numbers; images (N, H, W), (N, H, W, C) or (N, C, H, W) as uint8."""

    key: str | None = Field(None, description="The array's name; None = x, images, data or the only one.")

    def read(self) -> Array:
        """The array, as float32 points or (N, C, H, W) uint8 images."""
        path = must_exist(self.name, self.path)
        try:
            if zipfile.is_zipfile(path):
                with zipfile.ZipFile(path) as entries:
                    check_room(f"data.npz: {path}", 2 * max((e.file_size for e in entries.infolist()), default=0))
            with np.load(path, allow_pickle=False) as archive:
                if not archive.files:
                    raise DataError(f"data.npz: {path} holds no array. Save it with numpy.savez.")
                key = self.key or next((k for k in USUAL if k in archive.files), archive.files[0])
                if key not in archive.files:
                    raise DataError(f"data.npz: no array {key!r} in {path}. It holds: {', '.join(archive.files)}.")
                array = archive[key]
                if not isinstance(array, np.ndarray):
                    raise ValueError(f"{key} is not an array")
        except (ValueError, OSError, EOFError, AttributeError, zlib.error, zipfile.BadZipFile) as error:
            raise DataError(f"data.npz: {path} cannot be read ({error}). Save it with numpy.savez.") from None
        return as_samples(self.name, self.path, array)


def as_samples(kind: str, path: str, array: Array) -> Array:
    """Points as float32, images as (N, C, H, W); raises DataError for anything else."""
    if array.dtype == np.uint8 and array.ndim == 3:
        return array[:, None]
    if array.dtype == np.uint8 and array.ndim == 4:
        return array if array.shape[1] in (1, 3) else np.ascontiguousarray(array.transpose(0, 3, 1, 2))
    if array.ndim == 2 and np.issubdtype(array.dtype, np.number):
        points = array.astype(np.float32)
        if np.isfinite(points).all():
            return points
        raise DataError(f"data.{kind}: {path} holds numbers that are NaN or infinite. Remove them.")
    raise DataError(
        f"data.{kind}: {path} holds {array.dtype} of shape {array.shape}; needed are numbers (N, features) or uint8 "
        "images (N, H, W), (N, H, W, C), (N, C, H, W)."
    )
