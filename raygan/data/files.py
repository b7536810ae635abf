"""What the file data sets (npz, folder, zip, parquet, idx) share: their settings, and images to one array."""

from __future__ import annotations

import io
import warnings
from abc import abstractmethod
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import numpy.typing as npt
from pydantic import Field

from raygan.data.base import Array, Samples
from raygan.data.room import check_room, within_room
from raygan.data.split import SplitData
from raygan.errors import DataError

FORMATS = ("PNG", "JPEG", "BMP", "WEBP")
"""Nothing else is decoded, whatever its name says: some of Pillow's other formats start programs."""
DECODING = 8
"""Bytes a pixel while one image is decoded."""
SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".webp")


class FileComponent(SplitData):
    """A data set in the user's own file or folder: `npz:PATH`, `folder:PATH`, ..."""

    path: str = Field(description="File or folder.")

    @abstractmethod
    def read(self) -> Array:
        """All samples: (N, features) float32 or (N, C, H, W) uint8."""

    def load(self, seed: int) -> Samples:
        """The samples, split (`SplitData.cut`). Raises DataError."""
        with within_room(f"data.{self.name}: {self.path}"):
            return self.cut(f"{self.name}:{Path(self.path).name}", self.read(), self.classes())

    def classes(self) -> list[str] | None:
        """The class of each sample that `read` gives, where the source knows it."""
        return None


def stack_images(kind: str, count: int, named: Iterable[tuple[str, bytes]]) -> npt.NDArray[np.uint8]:
    """`count` encoded images to (N, C, H, W); raises DataError for one that is broken or of another shape, and for more than there
    is room for: a solid picture is small until it is decoded, and all have the size of the first one."""
    from PIL import Image, UnidentifiedImageError

    out: npt.NDArray[np.uint8] | None = None
    done = 0
    for name, raw in named:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("error", Image.DecompressionBombWarning)
                image = Image.open(io.BytesIO(raw), formats=FORMATS)
                check_room(f"data.{kind}: {name}", DECODING * image.width * image.height)
                pixels = np.asarray(image.convert("L" if image.mode in ("L", "1") else "RGB"))
        except (
            UnidentifiedImageError, OSError, ValueError, SyntaxError, Image.DecompressionBombError, Image.DecompressionBombWarning,
        ) as error:  # fmt: skip
            raise DataError(f"data.{kind}: {name} is not a readable image ({error}). Remove or replace it.") from None
        chw = pixels[None] if pixels.ndim == 2 else pixels.transpose(2, 0, 1)
        if out is None:
            check_room(f"data.{kind}: {count} images like {name}", count * chw.size)
            out = np.empty((count, *chw.shape), np.uint8)
        if chw.shape != out.shape[1:]:
            raise DataError(
                f"data.{kind}: {name} has shape {chw.shape}, the images before it {out.shape[1:]}. "
                "Bring all images to one size and mode."
            )
        out[done] = chw
        done += 1
    if out is None:
        raise DataError(f"data.{kind}: no images ({', '.join(SUFFIXES)}) in it. Check the path.")
    return out[:done]
