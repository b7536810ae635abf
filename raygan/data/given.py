"""Data that was given as an object: `raygan.train(data=array)`. The config has the hash of its
samples, the process the samples.

Players get them as they get every data set; whoever goes on with the run gives them again.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from pydantic import Field

from raygan.data.arrays import ArraySettings, as_samples
from raygan.data.base import Array, Samples
from raygan.data.label_column import LEAVE_OUT
from raygan.data.plain import array_of
from raygan.data.record import Record
from raygan.data.split import SplitData, fingerprint
from raygan.errors import DataError

GIVEN: dict[str, tuple[Array, Record]] = {}
"""Hash -> samples, and what was done to them; of this process."""


class Given(SplitData, ArraySettings):
    """An array, a tensor, or a torch Dataset."""

    elsewhere = False

    sha256: str = Field(description="Of its samples, their type and shape.")
    what: str = Field("array", description="What it was, for people.")

    def load(self, seed: int) -> Samples:
        """The samples, split (`SplitData.cut`). Raises DataError where they were not given here."""
        if self.sha256 not in GIVEN:
            raise DataError(
                f"data.given: the run was made with data given as an object ({self.what}, sha256"
                f" {self.sha256[:12]}). Give it again: raygan.train(..., data=ARRAY, resume=RUN);"
                " or save it with numpy.savez and use npz:PATH from the start."
            )
        array, record = GIVEN[self.sha256]
        # a record of its own each time: it is written into
        record = replace(record, converted=dict(record.converted))
        how = "" if record.columns else LEAVE_OUT
        found = as_samples(f"data: {self.what}", array, self.layout, self.scale, record, how)
        return self.cut(f"given ({self.what})", found)


def spec_of(thing: Any) -> dict[str, Any]:
    """What a config says of it; it is kept for this process. Raises DataError."""
    what = type(thing).__name__
    record = Record("")
    array = array_of(what, thing, record)
    told = f"{what} of shape {tuple(array.shape)}"
    sha256 = fingerprint(array)
    # by its hash, so that the config names exactly these samples, and a resume can ask for them
    record.source = f"data: {told}"
    GIVEN[sha256] = array, record
    return {"name": "given", "sha256": sha256, "what": told}
