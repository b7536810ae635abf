"""`hf:NAME`: a data set of the Hugging Face hub, or a folder in its layout; needs `datasets` (`pip
install raygan[hub]`).
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field

from raygan.data.arrays import ArraySettings, as_samples
from raygan.data.base import For
from raygan.data.files import FileComponent, PictureSettings, stack_images
from raygan.data.free_memory import read_file
from raygan.data.parquet import content, labelled, picture_column
from raygan.data.record import Read, Record
from raygan.data.table import column_classes, columns, parted
from raygan.data.tensors import plain
from raygan.data.walking import walk
from raygan.errors import DataError
from raygan.paths import expanded


class Hf(FileComponent, ArraySettings, PictureSettings):
    """A column of pictures, or columns of numbers, as in parquet."""

    split: Annotated[str, For("parts")] = Field("train", description="The part of the data set.")
    column: str | None = Field(
        None, description="None = image, img, the only one with bytes, or all if all are numbers."
    )

    def sources(self) -> list[Path | str] | None:
        """The files of a folder; what the hub has now is known to `datasets` only."""
        path = expanded(self.path)
        # all of them: which ones are read is known to `datasets` as well
        every = walk("hf", path, Record(""), lambda *_: "", lambda _: "") if path.is_dir() else None
        return None if every is None else [*every]

    def read(self) -> Read:
        """Pictures (N, C, H, W) or points (N, columns)."""
        try:
            import datasets  # type: ignore[import-not-found, import-untyped, unused-ignore]
        except ImportError:
            raise DataError(
                f"{self.where} needs datasets. Run: pip install 'raygan[hub]'."
            ) from None
        record = Record(f"hf:{self.path}")
        try:
            part, of_several = self._part(datasets)
            table = plain(part.with_format("arrow")[:])
        except Exception as error:  # of the network, the hub, or a data set's own layout
            raise DataError(
                f"{self.where} cannot be loaded ({' '.join(str(error).split())[:200]}). Check its"
                " name."
            ) from None
        table, labels = parted(self.where, table, self.labels)
        if labels is not None:
            labels = with_names(labels, getattr(part.features[self.labels], "names", None))
        if column := picture_column(self.where, table.schema, self.column):
            for name in table.column_names:
                if name != column:
                    record.skip("columns", name)
            read = partial(read_below, self.where, self._roots(datasets))
            named = (
                (f"row {at}", partial(content, cell.as_py(), read))
                for at, cell in enumerate(table.column(column))
            )
            found, names = stack_images(self.where, self, record, len(table), named, self.scale)
            found = labelled(self.where, found, names, labels, record)
            return replace(found, held=found.held | of_several)
        array = columns(self.where, table, self.column, record)
        found = as_samples(self.where, array, self.layout, self.scale, record)
        found = replace(found, held=found.held | of_several)
        return (
            found
            if labels is None
            else replace(found, classes=column_classes(self.where, labels, len(array), record))
        )

    def _part(self, datasets: Any) -> tuple[Any, set[str]]:
        """(of the hub, of a folder in its layout, or of one that `save_to_disk` has written; has it
        "parts"?).
        """
        folder = expanded(self.path)
        # what `save_to_disk` wrote is no folder of files in the hub's layout, though it looks like
        # one
        if not any((folder / name).is_file() for name in SAVED):
            where = str(folder) if folder.is_dir() else self.path
            return datasets.load_dataset(where, split=self.split), {"parts"}
        found = datasets.load_from_disk(str(folder))
        if isinstance(found, dict):
            return found[self.split], {"parts"}
        # one part alone, which may know which one it is
        return found, {"parts"} if str(found.split) == self.split else set()

    def _roots(self, datasets: Any) -> list[Path]:
        """Where files may lie that cells name: the folder, or what `datasets` itself fetched."""
        folder = expanded(self.path)
        if folder.is_dir():
            return [folder]
        from huggingface_hub.constants import HF_HUB_CACHE

        return [Path(datasets.config.HF_DATASETS_CACHE), Path(HF_HUB_CACHE)]


def with_names(labels: Any, names: Sequence[str] | None) -> Any:
    """A table of one column, its numbers as the names of a `ClassLabel`; -1, which it has for none,
    and nulls stay.
    """
    if names is None:
        return labels
    import pyarrow

    cells = labels.column(0).to_pylist()
    known = [names[c] if c is not None and c >= 0 else c and str(c) for c in cells]
    return pyarrow.table({labels.column_names[0]: pyarrow.array(known, pyarrow.string())})


SAVED = ("dataset_info.json", "dataset_dict.json")
"""What `save_to_disk` leaves in its folder."""


def read_below(where: str, roots: list[Path], path: str) -> bytes:
    """A file that a cell names, as such or from a root on. Raises DataError for one that lies
    outside all roots; OSError.
    """
    for root in roots:
        # the table was written by others: it names no file of this
        # machine that is not among its own
        for base in (root.absolute(), root.resolve()):
            file = Path(os.path.normpath(base / path))
            if file.is_relative_to(base):
                return read_file(f"{where}: {path}", file)
    raise DataError(
        f"{where} holds the path {path!r}, which is not below {roots[0]}. Bring the pictures there,"
        " or write their bytes into the table."
    )
