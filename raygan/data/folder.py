"""`folder:PATH`: all images below a folder, in the order of their paths."""

from __future__ import annotations

from pathlib import Path

from raygan.data.base import Array
from raygan.data.files import SUFFIXES, FileComponent, stack_images
from raygan.data.room import read_file
from raygan.data.search import must_exist


class Folder(FileComponent):
    """Images of one size; sub-folders are walked, and taken for classes by the split."""

    def read(self) -> Array:
        """(N, C, H, W) uint8."""
        files = self._files()
        return stack_images(self.name, len(files), ((str(p), read_file(f"data.folder: {p}", p)) for p in files))

    def classes(self) -> list[str]:
        """The folders that the images lie in."""
        return [str(p.parent) for p in self._files()]

    def _files(self) -> list[Path]:
        return sorted(p for p in must_exist(self.name, self.path).rglob("*") if p.suffix.lower() in SUFFIXES)
