"""`zip:PATH`: all images in a zip archive, in the order of their paths."""

from __future__ import annotations

import zipfile
import zlib

from pydantic import Field

from raygan.data.arrays import ArraySettings
from raygan.data.files import FileComponent, PictureSettings, folder_classes, stack_images, wanted
from raygan.data.npz import Npz
from raygan.data.record import Read, Record
from raygan.data.room import check_room
from raygan.data.search import must_be_file
from raygan.errors import DataError


class Zip(FileComponent, PictureSettings, ArraySettings):
    """Images, or arrays as in npz; nothing is unpacked to disk."""

    key: str | None = Field(
        None, description="Of arrays: the name; None = x, images, data, arr_0 or the only one."
    )

    def read(self) -> Read:
        """(N, C, H, W); the class of each is the folder that it lies in."""
        path, record = must_be_file(self.name, self.path), Record(f"zip:{self.path}")
        try:
            with zipfile.ZipFile(path) as archive:
                files = sorted(n for n in archive.namelist() if not n.endswith("/"))
                members = [
                    n for n in files if wanted(n.rpartition("/")[2], n.split("/")[:-1], record)
                ]
                # an .npz under another name
                if not members and any(n.endswith(".npy") for n in files):
                    arrays = Npz(
                        path=self.path,
                        key=self.key,
                        layout=self.layout,
                        scale=self.scale,
                        labels=self.labels,
                    )
                    return arrays.read()
                # what the archive's index says, before anything is unpacked
                for n in members:
                    check_room(f"data.zip: {n} in {path}", archive.getinfo(n).file_size)
                named = ((n, lambda n=n: archive.read(n)) for n in members)
                found, names = stack_images(
                    self.where, self, record, len(members), named, self.scale
                )
        except (
            OSError,
            zipfile.BadZipFile,
            zlib.error,
            EOFError,
            NotImplementedError,
            RuntimeError,
        ) as error:
            raise DataError(
                f"data.zip: {path} is not a zip archive that can be read ({error}). Check the path."
            ) from None
        parents = [n.rpartition("/")[0] or "." for n in names]
        return Read(
            found.array,
            record,
            found.scaling,
            folder_classes(self.where, self.labels, parents, record),
        )
