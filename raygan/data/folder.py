"""`folder:PATH`: all images below a folder, in the order of their paths."""

from __future__ import annotations

import os
from pathlib import Path

from pydantic import Field

from raygan.data.files import (
    JUNK_FOLDERS,
    FileComponent,
    PictureSettings,
    folder_classes,
    stack_images,
    wanted,
)
from raygan.data.record import Read, Record
from raygan.data.room import read_file
from raygan.data.scaling import Scale as Scale
from raygan.data.search import must_be_folder
from raygan.errors import DataError


class Folder(FileComponent, PictureSettings):
    """Images; sub-folders are walked, linked ones too, each once."""

    scale: Scale = Field(
        "auto",
        description=(
            "bytes: 0..255; unit: 0..1; uint16: 0..65,535; none: as it is; auto: by type and range."
        ),
    )

    def sources(self) -> list[Path | str]:
        """Each picture, and what is left out."""
        record = Record("")
        files = walk(must_be_folder(self.name, self.path), record)
        return [*files, *(f"{why}: {count}" for why, count in record.skipped.items())]

    def read(self) -> Read:
        """(N, C, H, W); the class of each is the folder that it lies in."""
        root, record = must_be_folder(self.name, self.path), Record(f"folder:{self.path}")
        files = walk(root, record)
        named = ((str(p), lambda p=p: read_file(f"data.folder: {p}", p)) for p in files)
        found, names = stack_images(self.where, self, record, len(files), named, self.scale)
        parents = [str(Path(n).parent.relative_to(root)) for n in names]
        return Read(
            found.array,
            record,
            found.scaling,
            folder_classes(self.where, self.labels, parents, record),
        )


def walk(root: Path, record: Record) -> list[Path]:
    """All pictures below `root`; a folder that several links lead to is read once, where it really
    lies if that is below too.
    """
    files: list[Path] = []
    seen: set[tuple[int, int]] = set()
    real, links = [root], list[Path]()
    while real or links:
        # real folders first: what can be reached both ways is read where it really lies
        folder = real.pop() if real else links.pop(0)
        try:
            about = folder.stat()
            entries = sorted(os.scandir(folder), key=lambda e: e.name)
        except OSError as error:
            raise DataError(
                f"data.folder: {folder} cannot be read ({error.strerror}). Allow it, or remove it."
            ) from None
        # by its inode: two paths to one folder would train on its pictures twice
        if (about.st_dev, about.st_ino) in seen:
            record.skip("links to folders that were read already", folder)
            continue
        seen.add((about.st_dev, about.st_ino))
        parents = folder.relative_to(root).parts
        for entry in entries:
            if not is_folder(entry):
                files += [Path(entry.path)] if wanted(entry.name, parents, record) else []
            elif entry.name in JUNK_FOLDERS:
                record.skip("what file managers leave behind", entry.path)
            else:
                (links if entry.is_symlink() else real).append(Path(entry.path))
    return sorted(files)


def is_folder(entry: os.DirEntry[str]) -> bool:
    """A link that leads round in a circle is none."""
    try:
        return entry.is_dir()
    except OSError:
        return False
