"""`zip:PATH`: all images in a zip archive, in the order of their paths."""

from __future__ import annotations

import zipfile
import zlib

from raygan.data.base import Array
from raygan.data.files import SUFFIXES, FileComponent, stack_images
from raygan.data.room import check_room
from raygan.data.search import must_exist
from raygan.errors import DataError


class Zip(FileComponent):
    """Images of one size; nothing is unpacked to disk."""

    def read(self) -> Array:
        """(N, C, H, W) uint8."""
        path = must_exist(self.name, self.path)
        try:
            with zipfile.ZipFile(path) as archive:
                members = sorted(n for n in archive.namelist() if n.lower().endswith(SUFFIXES))
                for n in members:
                    check_room(f"data.zip: {n} in {path}", archive.getinfo(n).file_size)
                return stack_images(self.name, len(members), ((n, archive.read(n)) for n in members))
        except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError) as error:
            raise DataError(
                f"data.zip: {path} is not a zip archive that can be read ({error}). Check the path."
            ) from None
