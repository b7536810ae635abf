"""`zip:PATH`: all images in a zip archive, in the order of their paths."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Iterable
from dataclasses import replace
from typing import Annotated

from pydantic import Field

from raygan.data.arrays import ArraySettings
from raygan.data.base import For
from raygan.data.files import FileComponent, PictureSettings, folder_classes, stack_images
from raygan.data.free_memory import check_room
from raygan.data.npz import Npz
from raygan.data.pixels import SUFFIXES
from raygan.data.record import Read, Record
from raygan.data.search import must_be_file
from raygan.data.walking import unwanted
from raygan.errors import DataError


class Zip(FileComponent, PictureSettings, ArraySettings):
    """Images, or arrays as in npz; nothing is unpacked to disk."""

    key: Annotated[str | None, For("arrays with names")] = Field(
        None, description="Of arrays: the name; None = x, images, data, arr_0 or the only one."
    )

    def read(self) -> Read:
        """(N, C, H, W); the class of each is the folder that it lies in."""
        path, record = must_be_file(self.name, self.path), Record(f"zip:{self.path}")
        try:
            with zipfile.ZipFile(path) as archive:
                files, twice = members_of(archive)
                members = pictures_in(files, record)
                # of an archive that was added to: unpacked, the last would be left; nobody asked
                if again := [n for n in members if n in twice]:
                    raise DataError(f"data.zip: {path} holds {again[0]!r} twice. Pack it anew.")
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
                    check_room(f"data.zip: {n} in {path}", files[n].file_size)
                named = ((n, lambda n=n: archive.read(files[n])) for n in members)
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
        classes = folder_classes(self.where, self.labels, parents, record)
        return replace(found, classes=classes)


def pictures_in(files: Iterable[str], record: Record) -> list[str]:
    """The names of pictures among these, and what is left out."""
    out = []
    for full in files:
        *parents, name = full.split("/")
        if why := unwanted(name, parents, SUFFIXES):
            record.skip(why, full)
        else:
            out.append(full)
    return out


def members_of(archive: zipfile.ZipFile) -> tuple[dict[str, zipfile.ZipInfo], set[str]]:
    """(its files by name, in the order of their names, folders parted by "/"; names that several
    have).
    """
    found: dict[str, zipfile.ZipInfo] = {}
    twice = set[str]()
    for entry in archive.infolist():
        # archivers of Windows write backslashes, others begin with "./" or "/"
        name = "/".join(
            p for p in entry.filename.replace("\\", "/").split("/") if p not in ("", ".")
        )
        if entry.is_dir() or entry.filename.endswith("\\"):
            continue
        if name in found:
            twice.add(name)
        found[name] = entry
    return dict(sorted(found.items())), twice
