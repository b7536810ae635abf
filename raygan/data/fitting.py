"""Pictures brought to one size and number of channels: encoded ones one by one, arrays of them a
part at a time.

data.size, data.fit    any size to a square, as Pillow's ImageOps.fit and pad do it
data.channels          grey in RGB and back; a fourth channel (the second of two) is alpha,
                       over data.background
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Literal

import numpy as np
from pydantic import Field

from raygan.data.base import DataComponent, For
from raygan.data.keeping import keep
from raygan.data.pixels import Background, fitted, laid, recoloured
from raygan.data.record import Array, Read
from raygan.data.rows import Rows
from raygan.errors import DataError

WITH_ALPHA = {2: 1, 4: 3}
"""Channels, and how many are left without alpha."""


class Fitting(DataComponent):
    """What is done to pictures; all of it is said at the start."""

    size: Annotated[int | None, For("pictures")] = Field(
        None, gt=0, description="Height and width to bring pictures to; None: all are of one size."
    )
    fit: Annotated[Literal["crop", "pad"], For("pictures", "size")] = Field(
        "crop", description="crop: fill the square, cut its middle; pad: fit in, fill up."
    )
    channels: Annotated[Literal[1, 3] | None, For("pictures")] = Field(
        None, description="1: grey, 3: RGB; None: as they are, all alike."
    )
    background: Annotated[Background | None, For("pictures")] = Field(
        None,
        description=(
            "Behind transparent pixels; refuse: they are an error; None = white, where a picture"
            " says that it has them."
        ),
    )

    @property
    def behind(self) -> Background:
        """What lies behind transparent pixels."""
        return self.background or "white"

    def fit_in(
        self,
        picture: Array,
        said: Callable[[str], None],
        span: tuple[float, float] | None = None,
    ) -> Array:
        """A decoded picture with the size and the channels that are asked for. `span`: of numbers,
        what is black and white, where that is known.
        """
        if self.channels and len(picture) != self.channels:
            said("grey to RGB" if self.channels == 3 else "RGB to grey")
            picture = recoloured(picture, self.channels)
        if self.size and picture.shape[1:] != (self.size, self.size):
            said(f"{'cut' if self.fit == 'crop' else 'padded'} to {self.size} x {self.size}")
            picture = fitted(picture, self.size, self.fit, self.behind, span)
        return picture


def fit(where: str, settings: Fitting, found: Read) -> Read:
    """An array's pictures as `settings` ask for them; encoded ones are so already. Raises DataError
    where that cannot be done.
    """
    asked, shape = given(settings), found.array.shape
    if len(shape) != 4 or not (
        change := changing(where, settings, asked, shape[1:], found.array.dtype)
    ):
        return found
    notes: dict[str, int] = {}

    def changed(part: Array) -> Array:
        # asked with no pictures (`Rows.map`): the shape is that of a blank one
        if not len(part):
            return np.stack([change(np.zeros(shape[1:], part.dtype), lambda _: None)])[:0]
        told: list[str] = []
        out = np.stack([change(picture, told.append) for picture in part])
        for note in told:
            notes[note] = notes.get(note, 0) + 1
        return out

    array = keep(where, Rows.of(found.array).map(changed), found.record)
    for note, count in notes.items():
        found.record.convert(note, count)
    return Read(array, found.record, found.scaling, found.classes)


def given(settings: DataComponent) -> set[str]:
    """Names of the settings that are not left as they are."""
    # by value: a run's config, from which it is resumed, sets every field
    fields = type(settings).model_fields
    return {name for name, field in fields.items() if getattr(settings, name) != field.default}


def refuse_idle(where: str, settings: DataComponent, found: Read) -> None:
    """Raises DataError for a setting that changes nothing about what was read: whoever set it
    expects otherwise.
    """
    held = found.held | ({"pictures"} if found.array.ndim == 4 else set())
    asked = given(settings)
    # once the default, and written into the configs of runs
    if getattr(settings, "background", None) == "white":
        asked -= {"background"}
    for name in sorted(asked):
        for use in type(settings).model_fields[name].metadata:
            if isinstance(use, For) and use.held not in held:
                raise DataError(
                    f"{where}: data.{name} is for {use.held}, and it holds none. Leave it out."
                )
            if isinstance(use, For) and use.other not in (None, *asked):
                raise DataError(
                    f"{where}: data.{name} does nothing without data.{use.other}. Set that too, or"
                    " leave it out."
                )


Change = Callable[[Array, Callable[[str], None]], Array]


def changing(
    where: str,
    settings: Fitting,
    asked: set[str],
    shape: tuple[int, ...],
    dtype: np.dtype[np.generic],
) -> Change | None:
    """What has to be done to each picture of this shape (C, H, W); None for nothing."""
    channels, square = shape[0], (settings.size, settings.size)
    alpha = channels in WITH_ALPHA and bool({"channels", "background"} & asked)
    if settings.channels and channels not in (1, 3, *WITH_ALPHA):
        raise DataError(
            f"{where}: {channels} channels are neither grey nor RGB: data.channels cannot change"
            " them. Leave it out."
        )
    if alpha and dtype != np.uint8:
        raise DataError(
            f"{where}: alpha over data.background takes bytes, and these are {dtype}. Save them as"
            " uint8."
        )
    left = WITH_ALPHA[channels] if alpha else channels
    if (
        not alpha
        and settings.channels in (None, left)
        and (settings.size is None or shape[1:] == square)
    ):
        return None

    def change(picture: Array, said: Callable[[str], None]) -> Array:
        if alpha:
            # of noise behind it: a function of the picture, so that a second reading gives the same
            seed = int(picture.sum(dtype=np.uint64))
            picture = laid(where, picture[:-1], picture[-1], settings.behind, seed, said)
        return settings.fit_in(picture, said, (-1.0, 1.0))

    return change
