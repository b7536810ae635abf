"""What the file data sets share: a path and the split; and, for those with encoded pictures, how
these become one array.
"""

from __future__ import annotations

import os
from abc import abstractmethod
from collections.abc import Callable, Iterable, Iterator
from itertools import chain, islice
from pathlib import Path
from typing import Annotated, ClassVar, Literal

import numpy as np
from pydantic import ConfigDict, Field, field_validator

from raygan.data.base import For, Samples
from raygan.data.cache import through_cache
from raygan.data.fitting import Fitting, fit, refuse_idle
from raygan.data.free_memory import within_room
from raygan.data.keeping import keep
from raygan.data.labels import MANY, as_classes, spoken_classes
from raygan.data.pixels import SUFFIXES, BrokenPicture, decode
from raygan.data.ranges import DEEP, DEEP_FOR_CERTAIN, Facts, asked
from raygan.data.record import Array, Read, Record
from raygan.data.rows import Rows
from raygan.data.scaling import Scale, in_bytes, scaled_pictures
from raygan.data.split import SplitData
from raygan.data.stored import part_rows
from raygan.errors import DataError
from raygan.paths import expanded
from raygan.visible import in_one_line

TOGETHER = 256
"""Pictures that are written at a time."""
Named = tuple[str, Callable[[], bytes]]
"""A picture's name, and what reads it."""


class FileComponent(SplitData):
    """A data set in the user's own file or folder: `npz:PATH`, `folder:PATH`, ..."""

    model_config = ConfigDict(coerce_numbers_to_str=True)

    path: str = Field(description="File or folder.")
    labels: str | None = Field(
        None,
        description=(
            "Classes, never trained on: a column, a key, a file; of folders: folder (None too) or"
            " none."
        ),
    )

    @field_validator("path")
    @classmethod
    def _writable(cls, value: str) -> str:
        try:
            value.encode()
        except UnicodeEncodeError:
            raise ValueError(
                "it is not UTF-8, and could not be written into the run's config. Rename it"
            ) from None
        return value

    cache: Literal["auto", "off"] = Field(
        "auto",
        description=(
            "auto: what is large is decoded once, to ~/.cache/raygan; off: read into memory each"
            " time."
        ),
    )
    not_read: ClassVar[frozenset[str]] = frozenset(SplitData.model_fields) | {"cache"}
    """Settings that what is read does not depend on."""

    @abstractmethod
    def read(self) -> Read:
        """All samples, and what was done to them."""

    def sources(self) -> list[Path | str] | None:
        """The files that are read, to know them again; None where that cannot be told."""
        path = expanded(self.path)
        return [path, *labels_beside(path, getattr(self, "labels", None))]

    def found(self) -> Read:
        """What is read, in the size and the channels that are asked for; large samples from the
        cache.
        """
        return through_cache(self, self._fitted)

    def _fitted(self) -> Read:
        found = self.read()
        refuse_idle(self.where, self, found)
        return fit(self.where, self, found) if isinstance(self, Fitting) else found

    def load(self, seed: int) -> Samples:
        """The samples, split (`SplitData.cut`). Raises DataError."""
        with within_room(f"data.{self.name}: {self.path}"):
            return self.cut(f"{self.name}:{Path(self.path).name}", self.found())

    @property
    def where(self) -> str:
        """How an error names this source."""
        return f"data.{self.name}: {self.path}"


def labels_beside(path: Path, labels: str | None) -> list[Path]:
    """The file of labels, where `labels` is one."""
    places = [path.parent / labels, expanded(labels)] if labels else []
    return [place for place in places if place.is_file()][:1]


class PictureSettings(Fitting):
    """What is done to encoded pictures; all of it is said at the start."""

    skip_broken: Annotated[int, For("encoded pictures")] = Field(
        0, ge=0, description="So many pictures that cannot be read may be left out."
    )


def stack_images(
    where: str,
    settings: PictureSettings,
    record: Record,
    count: int,
    named: Iterable[Named],
    scale: Scale = "auto",
) -> tuple[Read, list[str]]:
    """(`count` encoded pictures as (N, C, H, W), names of those that were read). Raises DataError
    for one that is broken or of another shape, and for more than there is room for: all have the
    size of the first one.
    """
    names: list[str] = []
    decoded = pictures_of(where, settings, record, named, names, scale)
    if (first := next(decoded, None)) is None:
        left = "; ".join(f"{n} {why}" for why, n in record.skipped.items())
        raise DataError(
            f"{where}: no images ({', '.join(SUFFIXES)}) in"
            f" it{f' (left out: {left})' if left else ''}. Check the path."
        )
    # the first is decoded already; the others come when they are asked for
    rows = Rows((count, *first.shape), first.dtype, lambda: stacked(chain([first], decoded)))
    # kept before it is scaled: its range is known once all were seen
    array = keep(f"{where}: {count} images like {names[0]}", rows, record)
    made, scaling = scaled_pictures(where, Rows.of(array), scale, record, settings.behind)
    record.recognised = f"{len(array):,} pictures of shape {array.shape[1:]}"
    held = frozenset({"encoded pictures"})
    return Read(keep(where, made, record), record, scaling, held=held), names


def pictures_of(
    where: str,
    settings: PictureSettings,
    record: Record,
    named: Iterable[Named],
    names: list[str],
    scale: Scale = "auto",
) -> Iterator[Array]:
    """Each picture (C, H, W), all like the first one; `names` gets those that were read. 16 bit
    become 8 where `scale` is auto. Raises DataError where they turn out to be of fewer bits.
    """
    first: Array | None = None
    broken = deepest = 0
    for name, load in named:
        what = in_one_line(f"{where.partition(':')[0]}: {name}")
        notes: list[str] = []
        try:
            picture = decode(what, load(), settings.behind, notes.append)
        except (BrokenPicture, OSError) as error:
            # counted before it is allowed: the line that ends the run says how many there were at
            # least
            broken += 1
            if broken > settings.skip_broken:
                raise DataError(broken_line(what, error, broken)) from None
            record.skip("pictures that cannot be read", name)
            continue
        if picture.dtype == np.uint16 and scale == "auto":
            # whether 8 bits are right is known when all have been seen
            deepest = max(deepest, int(picture.max()))
        picture = in_eight_bits(picture, scale, notes.append)
        if picture.dtype.kind == "f" and not np.isfinite(picture).all():
            raise DataError(f"{what} holds numbers that are NaN or infinite. Fill them.")
        if picture.dtype == np.uint16 and settings.size:
            picture = picture.astype(np.float32)  # as what a resize gives
        picture = settings.fit_in(picture, notes.append)
        first = picture if first is None else first
        # one array holds them all; which setting would bring them together is told
        if (picture.shape, picture.dtype) != (first.shape, first.dtype):
            raise unlike(what, picture, first)
        names.append(name)
        for note in notes:
            record.convert(note)
        yield picture
    if 0 < deepest <= DEEP_FOR_CERTAIN:
        raise asked(where, np.dtype(np.uint16), Facts(0, deepest, whole=True))


def in_eight_bits(picture: Array, scale: Scale, note: Callable[[str], None]) -> Array:
    """16 bit as 8, where `scale` leaves that open, or where they hold no more."""
    if picture.dtype != np.uint16:
        return picture
    if scale == "auto":
        # one by one, so that they go with pictures of 8 bits
        note("16 bit scaled to 8")
        return in_bytes(picture, DEEP)
    return picture.astype(np.uint8) if scale == "bytes" and picture.max() <= 255 else picture


def stacked(pictures: Iterator[Array]) -> Iterator[Array]:
    """Some of them together, (n, C, H, W)."""
    first = next(pictures)
    # by the first one's size: what is decoded and not written yet stays small
    size = part_rows((1, *first.shape), first.dtype)
    rest = chain([first], pictures)
    while some := list(islice(rest, min(size, TOGETHER))):
        yield np.stack(some)


def folder_classes(
    where: str, labels: str | None, parents: list[str], record: Record
) -> list[str] | None:
    """The class of each picture is its folder, unless that is not wanted. Raises DataError for
    other labels.
    """
    if labels not in (None, "folder", "none"):
        raise DataError(
            f"{where}: data.labels = {labels!r}: the classes of pictures are their folders. Set it"
            " to folder or none."
        )
    if len(set(parents)) < 2:
        return None
    top = os.path.commonpath(parents)  # a zip often has one folder around all
    parents = [os.path.relpath(p, top) for p in parents] if top else parents
    if labels == "none":
        record.labels = f"folders ignored (data.labels: none), {spoken_classes(parents)}"
        return None
    if not are_classes(labels, parents):
        count = len(set(parents))
        record.labels = f"{count:,} folders, no classes: at most {MANY:,} are (data.labels: folder)"
        return None
    return as_classes(where, "folders", np.array(parents), len(parents), record)


def are_classes(labels: str | None, parents: list[str]) -> bool:
    """Are the folders of pictures their classes?"""
    # one folder a person or a product: names of samples, which nobody has called classes
    return labels == "folder" or (labels is None and len(set(parents)) <= MANY)


def broken_line(what: str, error: Exception, broken: int) -> str:
    """One line for a picture that cannot be read."""
    why = error.strerror or str(error) if isinstance(error, OSError) else str(error)
    more = f"data.skip_broken: {broken} or more leaves such pictures out"
    return f"{what} is not a readable image ({why}). Remove or replace it; {more}."


def unlike(what: str, picture: Array, before: Array) -> DataError:
    """The line for a picture that does not go with those before it."""
    if picture.dtype != before.dtype:
        return DataError(
            f"{what} holds {picture.dtype}, the images before it {before.dtype}. Bring all images"
            " to 8 bits, or all to numbers."
        )
    settings = []
    if len(picture) != len(before):
        settings.append("data.channels: 3 or 1")
    if picture.shape[1:] != before.shape[1:]:
        settings.append(f"data.size: {min(*picture.shape[1:], *before.shape[1:])}")
    return DataError(
        f"{what} has shape {picture.shape}, the images before it {before.shape}. Set"
        f" {' and '.join(settings)}, or bring all images to one size and mode."
    )
