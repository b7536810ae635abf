"""Data that was given as an object: `raygan.train(data=array)`. The config has the hash of its samples, the process the samples.

Players get them as they get every data set; whoever goes on with the run gives them again.
"""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np
from pydantic import Field

from raygan.data.arrays import ArraySettings, as_samples
from raygan.data.base import Array, Samples
from raygan.data.plain import array_of, split
from raygan.errors import DataError

GIVEN: dict[str, Array] = {}
"""Hash -> samples, of this process."""


class Given(ArraySettings):
    """An array, a tensor, or a torch Dataset."""

    sha256: str = Field(description="Of its samples, their type and shape.")
    what: str = Field("array", description="What it was, for people.")
    held_out: int = Field(0, ge=0, description="The last so many samples are held out; 0 = a tenth, at most 1,000.")
    limit: int | None = Field(None, gt=0, description="Only the first so many training samples.")

    def load(self, seed: int) -> Samples:
        """The samples, split into a training part and the last `held_out`. Raises DataError where they were not given here."""
        if self.sha256 not in GIVEN:
            raise DataError(
                f"data.given: the run was made with data given as an object ({self.what}, sha256 {self.sha256[:12]}). Give it "
                "again: raygan.train(..., data=ARRAY, resume=RUN); or save it with numpy.savez and use npz:PATH from the start."
            )
        found = as_samples(f"data: {self.what}", GIVEN[self.sha256], self.layout, self.scale)
        return split(f"given ({self.what})", found, self.held_out, self.limit)


def spec_of(thing: Any) -> dict[str, Any]:
    """What a config says of it; it is kept for this process. Raises DataError."""
    what = type(thing).__name__
    array = array_of(what, thing)
    told = f"{what} of shape {tuple(array.shape)}"
    digest = hashlib.sha256(f"{array.dtype} {array.shape}".encode())
    digest.update(np.ascontiguousarray(array).data)
    GIVEN[digest.hexdigest()] = array
    return {"name": "given", "sha256": digest.hexdigest(), "what": told}
