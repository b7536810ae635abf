"""What the file data sets (npz, folder, zip, parquet, idx) share: their settings, and images to one array."""

from __future__ import annotations

import io
import warnings
from abc import abstractmethod
from collections.abc import Iterable

import numpy as np
import numpy.typing as npt
from pydantic import Field

from raygan.data.base import Array, DataComponent, Samples, freeze, split_tail
from raygan.errors import DataError

SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".webp")


class FileComponent(DataComponent):
    """A data set in the user's own file or folder: `npz:PATH`, `folder:PATH`, ..."""

    path: str = Field(description="File or folder.")
    held_out: int = Field(0, ge=0, description="The last so many samples are held out; 0 = a tenth, at most 1,000.")
    limit: int | None = Field(None, gt=0, description="Only the first so many training samples.")

    @abstractmethod
    def read(self) -> Array:
        """All samples: (N, features) float32 or (N, C, H, W) uint8."""

    def load(self, seed: int) -> Samples:
        """The samples, split into a training part and the last `held_out`."""
        array = self.read()
        if len(array) < 2:
            raise DataError(f"data.{self.name}: {self.path!r} holds {len(array)} samples; at least 2 are needed.")
        held_out = self.held_out or min(max(1, len(array) // 10), 1000)
        train, rest = split_tail(self.name, array, held_out, self.limit)
        freeze(train, rest)
        return Samples(f"{self.name}:{self.path}", train, rest, split=f"last {held_out}")


def stack_images(kind: str, named: Iterable[tuple[str, bytes]]) -> npt.NDArray[np.uint8]:
    """Encoded images to (N, C, H, W); raises DataError for one that is broken or of another shape."""
    from PIL import Image, UnidentifiedImageError

    arrays: list[npt.NDArray[np.uint8]] = []
    for name, raw in named:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("error", Image.DecompressionBombWarning)
                image = Image.open(io.BytesIO(raw))
                pixels = np.asarray(image.convert("L" if image.mode in ("L", "1") else "RGB"))
        except (
            UnidentifiedImageError, OSError, ValueError, SyntaxError, Image.DecompressionBombError, Image.DecompressionBombWarning,
        ) as error:  # fmt: skip
            raise DataError(f"data.{kind}: {name} is not a readable image ({error}). Remove or replace it.") from None
        chw = pixels[None] if pixels.ndim == 2 else pixels.transpose(2, 0, 1)
        if arrays and chw.shape != arrays[0].shape:
            raise DataError(
                f"data.{kind}: {name} has shape {chw.shape}, the images before it {arrays[0].shape}. "
                "Bring all images to one size and mode."
            )
        arrays.append(np.ascontiguousarray(chw))
    if not arrays:
        raise DataError(f"data.{kind}: no images ({', '.join(SUFFIXES)}) in it. Check the path.")
    return np.stack(arrays)
