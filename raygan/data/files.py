"""What the file data sets share: a path and the split; and, for those with encoded pictures, how these become one array."""

from __future__ import annotations

import os
from abc import abstractmethod
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Literal

import numpy as np
from pydantic import ConfigDict, Field, field_validator

from raygan.data.arrays import Scale, scaled_pictures
from raygan.data.base import DataComponent, Samples
from raygan.data.labels import MANY, as_classes, spoken_classes
from raygan.data.pixels import SUFFIXES, Background, BrokenPicture, decode, fitted, recoloured
from raygan.data.record import Array, Read, Record
from raygan.data.room import check_room, within_room
from raygan.data.split import SplitData
from raygan.errors import DataError

JUNK = ("thumbs.db", "desktop.ini", ".ds_store")
JUNK_FOLDERS = ("__MACOSX", ".ipynb_checkpoints", "@eaDir")
Named = tuple[str, Callable[[], bytes]]
"""A picture's name, and what reads it."""


class FileComponent(SplitData):
    """A data set in the user's own file or folder: `npz:PATH`, `folder:PATH`, ..."""

    model_config = ConfigDict(coerce_numbers_to_str=True)

    path: str = Field(description="File or folder.")
    labels: str | None = Field(
        None, description="Classes, never trained on: a column, a key, a file; of folders: folder (None too) or none."
    )

    @field_validator("path")
    @classmethod
    def _writable(cls, value: str) -> str:
        try:
            value.encode()
        except UnicodeEncodeError:
            raise ValueError("it is not UTF-8, and could not be written into the run's config. Rename it") from None
        return value

    @abstractmethod
    def read(self) -> Read:
        """All samples, and what was done to them."""

    def load(self, seed: int) -> Samples:
        """The samples, split (`SplitData.cut`). Raises DataError."""
        with within_room(f"data.{self.name}: {self.path}"):
            return self.cut(f"{self.name}:{Path(self.path).name}", self.read())

    @property
    def where(self) -> str:
        """The source, in errors."""
        return f"data.{self.name}: {self.path}"


class PictureSettings(DataComponent):
    """What is done to pictures; all of it is said at the start."""

    size: int | None = Field(
        None, gt=0, description="Height and width to bring pictures to; None: all are of one size."
    )
    fit: Literal["crop", "pad"] = Field(
        "crop", description="crop: fill the square, cut its middle; pad: fit in, fill up."
    )
    channels: Literal[1, 3] | None = Field(None, description="1: grey, 3: RGB; None: as they are, all alike.")
    background: Background = Field("white", description="Behind transparent pixels; refuse: they are an error.")
    skip_broken: int = Field(0, ge=0, description="So many pictures that cannot be read may be left out.")

    def fit_in(self, picture: Array, said: Callable[[str], None]) -> Array:
        """A decoded picture with the size and the channels that are asked for."""
        if self.channels and len(picture) != self.channels:
            said("grey to RGB" if self.channels == 3 else "RGB to grey")
            picture = recoloured(picture, self.channels)
        if self.size and picture.shape[1:] != (self.size, self.size):
            said(f"{'cut' if self.fit == 'crop' else 'padded'} to {self.size} x {self.size}")
            picture = fitted(picture, self.size, self.fit, self.background)
        return picture


def stack_images(
    where: str, settings: PictureSettings, record: Record, count: int, named: Iterable[Named], scale: Scale = "auto"
) -> tuple[Read, list[str]]:
    """(`count` encoded pictures as (N, C, H, W), names of those that were read). Raises DataError for one that is broken or of
    another shape, and for more than there is room for: all have the size of the first one."""
    out: Array | None = None
    names: list[str] = []
    broken = 0
    for name, load in named:
        what = f"{where.partition(':')[0]}: {name}"
        notes: list[str] = []
        try:
            picture = settings.fit_in(decode(what, load(), settings.background, notes.append), notes.append)
        except (BrokenPicture, OSError) as error:
            broken += 1
            if broken > settings.skip_broken:
                raise DataError(broken_line(what, error, broken)) from None
            record.skip("pictures that cannot be read", name)
            continue
        if out is None:
            check_room(f"{where}: {count} images like {name}", count * picture.nbytes)
            out = np.empty((count, *picture.shape), picture.dtype)
        if (picture.shape, picture.dtype) != (out.shape[1:], out.dtype):
            raise unlike(what, picture, out)
        out[len(names)] = picture
        names.append(name)
        for note in notes:
            record.convert(note)
    if out is None:
        left = "; ".join(f"{n} {why}" for why, n in record.skipped.items())
        raise DataError(
            f"{where}: no images ({', '.join(SUFFIXES)}) in it{f' (left out: {left})' if left else ''}. Check the path."
        )
    array, scaling = scaled_pictures(where, out[: len(names)], scale, record)
    record.recognised = f"{len(names):,} pictures of shape {array.shape[1:]}"
    return Read(array, record, scaling), names


def folder_classes(where: str, labels: str | None, parents: list[str], record: Record) -> list[str] | None:
    """The class of each picture is its folder, unless that is not wanted. Raises DataError for other labels."""
    if labels not in (None, "folder", "none"):
        raise DataError(
            f"{where}: data.labels = {labels!r}: the classes of pictures are their folders. Set it to folder or none."
        )
    if len(set(parents)) < 2:
        return None
    top = os.path.commonpath(parents)  # a zip often has one folder around all
    parents = [os.path.relpath(p, top) for p in parents] if top else parents
    if labels == "none":
        record.labels = f"folders ignored (data.labels: none), {spoken_classes(parents)}"
        return None
    return (
        parents if len(set(parents)) > MANY else as_classes(where, "folders", np.array(parents), len(parents), record)
    )


def broken_line(what: str, error: Exception, broken: int) -> str:
    """One line for a picture that cannot be read."""
    why = error.strerror or str(error) if isinstance(error, OSError) else str(error)
    more = f"data.skip_broken: {broken} or more leaves such pictures out"
    return f"{what} is not a readable image ({why}). Remove or replace it; {more}."


def unlike(what: str, picture: Array, before: Array) -> DataError:
    """The line for a picture that does not go with those before it."""
    if picture.dtype != before.dtype:
        return DataError(
            f"{what} holds {picture.dtype}, the images before it {before.dtype}. Bring all images to 8 bits, or all to numbers."
        )
    settings = []
    if len(picture) != len(before[0]):
        settings.append("data.channels: 3 or 1")
    if picture.shape[1:] != before.shape[2:]:
        settings.append(f"data.size: {min(*picture.shape[1:], *before.shape[2:])}")
    return DataError(
        f"{what} has shape {picture.shape}, the images before it {before.shape[1:]}. Set {' and '.join(settings)}, or bring all "
        "images to one size and mode."
    )


def wanted(name: str, parents: Sequence[str], record: Record) -> bool:
    """Is it a picture, by its name? What is not is counted."""
    low = name.lower()
    full = "/".join([*parents, name])
    if name.startswith("._") or low in JUNK or any(p in JUNK_FOLDERS for p in parents):
        record.skip("what file managers leave behind", full)
        return False
    if low.endswith(SUFFIXES):
        return True
    dot = low.rpartition(".")[2] if "." in low[1:] else ""
    record.skip(f"files with suffix .{dot}" if dot else "files without suffix", full)
    return False
