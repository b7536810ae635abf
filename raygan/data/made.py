"""`{name: made, path: SAMPLES.npz, like: SOURCE}`: samples that generators have made, to train one
generator on them (`raygan distil`); held-out samples, modes, classes and units are those of the
data that the generators had.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, cast

import numpy as np
import torch
from pydantic import BeforeValidator, Field

from raygan.components import shorthand
from raygan.config import load_component
from raygan.data.base import Array, DataComponent, Samples, freeze, to_uint8
from raygan.data.npz import DAMAGED
from raygan.data.partition import rescaled
from raygan.data.questions import settled
from raygan.data.record import Record
from raygan.data.search import cache_root, must_be_file
from raygan.data.split import fingerprint
from raygan.errors import DataError
from raygan.object_store import open_objects
from raygan.paths import in_bucket, whole


def parsed(value: object) -> object:
    """What a SOURCE stands for, without parts: what was made is one. Raises ValueError."""
    spec = shorthand(value, "data")
    if not isinstance(spec, Mapping) or not isinstance(spec.get("name"), str):
        raise ValueError("write a SOURCE: ring8, mnist, npz:PATH or the like")
    return {k: v for k, v in spec.items() if not k.startswith("partition")}


class Made(DataComponent):
    """Made samples to train on; real ones to be scored against."""

    path: str = Field(description="The .npz of `raygan sample`; it may lie in a bucket.")
    like: Annotated[dict[str, Any], BeforeValidator(parsed)] = Field(
        description="The data that its generators had; held-out samples are its."
    )
    seed: int | None = Field(
        None, description="By which `like` is drawn, where it is; None: the run's own."
    )
    like_sha256: str | None = Field(
        None, description="Of `like`, which is not asked about then: it was trained on before."
    )
    sha256: str | None = Field(None, description="Of the samples; others are refused.")

    def load(self, seed: int) -> Samples:
        """Training samples from the file, all else from `like`. Raises DataError where they are of
        another shape.
        """
        # a run on made data has a seed of its own; the held-out samples are those of the run that
        # made them
        of = seed if self.seed is None else self.seed
        like = cast(DataComponent, load_component("data", self.like))
        real = settled(lambda: like.load(of), lambda real: real.sha256 == self.like_sha256)
        address = in_bucket(self.path)
        path = self._brought(address) if address else must_be_file("made", self.path)
        where = f"data.made: {path}"
        try:
            with np.load(path, allow_pickle=False) as archive:
                made = np.asarray(archive["x"])
        except DAMAGED as error:
            why = " ".join(str(error).split()) or type(error).__name__
            raise DataError(
                f"{where} cannot be read ({why}). Write it with raygan sample."
            ) from None
        refuse_stacks(real)
        if made.shape[1:] != real.shape or len(made) < 2:
            raise DataError(
                f"{where} holds samples of shape {made.shape}, and {real.name} has {real.shape}"
                " each. Name the data that their generators had (data.like)."
            )
        if not np.isfinite(made).all():
            raise DataError(f"{where} holds numbers that are not finite. Sample again.")
        if self.sha256 not in (None, found := fingerprint(made)):
            raise DataError(
                f"{where} holds samples with sha256 {found[:12]}.., asked for are"
                f" {str(self.sha256)[:12]}... Put the file back, or start a new run."
            )
        train, record = form(made, real), Record(f"made:{self.path}")
        record.recognised = f"{len(made):,} samples that generators made; scores are of {real.name}"
        freeze(train)
        truth = real.train if real.real is None else real.real  # made of what was made before
        # without labels: nobody knows of which class a made sample is
        return replace(real, train=train, real=truth, labels=None, record=record)

    def _brought(self, address: str) -> Path:
        """This machine's copy of what lies in a bucket, by the hash of its samples. Raises
        DataError.
        """
        if self.sha256 is None:
            raise DataError(
                f"data.made: {address} has no data.sha256, so that nobody could tell which samples"
                " a run had. Bring it here, and give its path."
            )
        path = cache_root("made") / "made" / f"{self.sha256}.npz"
        if not path.exists():
            folder, _, name = address.rpartition("/")
            try:
                raw = open_objects(folder).get(name)
                path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
                with whole(path) as hidden:
                    hidden.write_bytes(raw)
            except OSError as error:
                raise DataError(
                    f"data.made: {address} cannot be brought ({error.strerror}). Put the file back,"
                    " or start a new run."
                ) from None
        return path


def refuse_stacks(real: Samples) -> None:
    """Raises DataError: their training samples are channels, drawn together anew each time."""
    if real.stack > 1:
        raise DataError(
            f"data.made: {real.name} is drawn as stacks of single channels. Learn from what was"
            " made of other data."
        )


def form(made: Array, real: Samples) -> Array:
    """As `real` keeps its own: text as characters' numbers, pictures as bytes, points scaled."""
    if real.text:
        return np.asarray(made.argmax(1), real.train.dtype)
    # samples are written in the data's own units
    made = rescaled(made, None, real.scaling) if real.scaling else made.astype(np.float32)
    if not real.is_images:
        return made
    # bytes again, as the real ones: what is learned from is then as fine as they are
    if real.train.dtype == np.uint8:
        return to_uint8(torch.from_numpy(made))
    return made
