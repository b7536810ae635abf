"""`folder:PATH`: all images below a folder, in the order of their paths."""

from __future__ import annotations

from raygan.data.base import Array
from raygan.data.files import SUFFIXES, FileComponent, stack_images
from raygan.data.room import read_file
from raygan.data.search import must_exist


class Folder(FileComponent):
    """Images of one size; sub-folders are walked, their names ignored."""

    def read(self) -> Array:
        """(N, C, H, W) uint8."""
        files = sorted(p for p in must_exist(self.name, self.path).rglob("*") if p.suffix.lower() in SUFFIXES)
        return stack_images(self.name, len(files), ((str(p), read_file(f"data.folder: {p}", p)) for p in files))
