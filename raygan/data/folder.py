"""`folder:PATH`: all images below a folder, in the order of their paths."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from pydantic import Field

from raygan.data.files import (
    FileComponent,
    PictureSettings,
    are_classes,
    folder_classes,
    stack_images,
)
from raygan.data.free_memory import read_file
from raygan.data.pixels import SUFFIXES
from raygan.data.questions import Doubt
from raygan.data.record import Read, Record
from raygan.data.scaling import Scale as Scale
from raygan.data.search import must_be_folder
from raygan.data.walking import once, unwanted, walk


class Folder(FileComponent, PictureSettings):
    """Images; sub-folders are walked, linked ones too, each once."""

    scale: Scale = Field(
        "auto",
        description=(
            "LOW..HIGH: what is black and white; bytes: 0..255; standard: the smallest to the"
            " largest; none: as it is; auto: by type and range."
        ),
    )

    def sources(self) -> list[Path | str]:
        """Each picture, and what is left out."""
        record = Record("")
        files, _ = pictures_below(must_be_folder(self.name, self.path), record)
        return [*files, *(f"{why}: {count}" for why, count in record.skipped.items())]

    def read(self) -> Read:
        """(N, C, H, W); the class of each is the folder that it lies in."""
        root, record = must_be_folder(self.name, self.path), Record(f"folder:{self.path}")
        files, again = pictures_below(root, record)
        parents = [str(p.parent.relative_to(root)) for p in files]
        for kept, other in again if are_classes(self.labels, parents) else ():
            # one picture of two classes: to choose one is to be wrong about the other
            if kept.parent != other.parent:
                raise Doubt(
                    f"{self.where}: {other.relative_to(root)} is the same file as"
                    f" {kept.relative_to(root)}, in another folder, and folders are classes. Remove"
                    " one of them, or set data.labels: none."
                )
        named = ((str(p), lambda p=p: read_file(f"data.folder: {p}", p)) for p in files)
        found, names = stack_images(self.where, self, record, len(files), named, self.scale)
        parents = [str(Path(n).parent.relative_to(root)) for n in names]
        classes = folder_classes(self.where, self.labels, parents, record)
        return replace(found, classes=classes)


def pictures_below(root: Path, record: Record) -> tuple[list[Path], list[tuple[Path, Path]]]:
    """(All of them, each file once; which are left out for which, as the same file), and what is
    left out.
    """
    found = walk("folder", root, record, lambda name, parents: unwanted(name, parents, SUFFIXES))
    return once(found, record)
