"""`idx:PATH`: images in an IDX file, plain or gzip."""

from __future__ import annotations

from raygan.data.base import Array
from raygan.data.files import FileComponent
from raygan.data.idx_format import read_idx
from raygan.data.npz import as_samples
from raygan.data.search import must_exist


class Idx(FileComponent):
    """Images (N, H, W) uint8."""

    def read(self) -> Array:
        """(N, 1, H, W) uint8."""
        return as_samples(self.name, self.path, read_idx(must_exist(self.name, self.path)))
