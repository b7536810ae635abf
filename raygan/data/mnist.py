"""MNIST (LeCun, Cortes, Burges): 60,000 training and 10,000 held-out digits of 28x28 pixels."""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar

import numpy as np
import numpy.typing as npt
from pydantic import Field

from raygan.data.base import DataComponent, Samples
from raygan.data.download import MNIST, Source, fetch
from raygan.data.idx_format import read_idx
from raygan.data.partition import needs_classes
from raygan.data.search import find
from raygan.data.split import fingerprint
from raygan.errors import DataError
from raygan.paths import expanded

FILES = ("train-images-idx3-ubyte.gz", "t10k-images-idx3-ubyte.gz")
LABELS = ("train-labels-idx1-ubyte.gz", "t10k-labels-idx1-ubyte.gz")
FOLDERS = ["mnist", "MNIST/raw"]
HELP = (
    "--data.download true fetches them (11 MB); or name their folder with --data.path or"
    " $RAYGAN_DATA."
)


class Mnist(DataComponent):
    """Grey images (1, 28, 28)."""

    source: ClassVar[Source] = MNIST
    folders: ClassVar[list[str]] = FOLDERS
    help_line: ClassVar[str] = HELP
    classifier: ClassVar[str | None] = "mnist"

    path: str | None = Field(None, description="Folder of the IDX files; None = search.")
    limit: int | None = Field(None, gt=0, description="Only the first so many training images.")
    download: bool = Field(
        False,
        description="Fetch files that are missing (checked by SHA-256), into path or the cache.",
    )

    def load(self, seed: int) -> Samples:
        """Images (N, 1, 28, 28) uint8; the held-out part is the official test set."""
        path = self.path
        if self.download:
            path = given(self.name, self.source, path, self.folders)
        where = self.name, self.folders, path, self.help_line
        train, test = load_images(*where)
        data = Samples(
            self.name,
            train[: self.limit],
            test,
            classifier=self.classifier,
            split="test set",
            sha256=fingerprint(train, test),
        )
        # label files are asked for only where parts are made by class: a folder without them trains
        # as ever
        return labelled(data, *load_labels(*where)) if needs_classes(self.partition) else data


def given(name: str, source: Source, path: str | None, folders: list[str]) -> str:
    """The folder of the four files, which are fetched where they are nowhere. Raises DataError."""
    files = [*FILES, *LABELS]
    try:
        return str(find(name, folders, files, path, "")[0].parent)
    except DataError:
        return str(fetch(name, source, files, expanded(path) if path else None))


def load_images(
    name: str, folders: list[str], path: str | None, help_line: str
) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.uint8]]:
    """(training images, test images), each (N, 1, 28, 28), read-only."""
    train, test = (read_idx(f)[:, None] for f in find(name, folders, FILES, path, help_line))
    return train, test


def labelled(data: Samples, train: npt.NDArray[np.uint8], test: npt.NDArray[np.uint8]) -> Samples:
    """With classes, where something asks for them."""
    first, last = train[: len(data.train)].astype(np.int64), test.astype(np.int64)
    return replace(
        data,
        labels=first,
        held_out_labels=last,
        classes=tuple(map(str, range(int(train.max()) + 1))),
    )


def load_labels(
    name: str, folders: list[str], path: str | None, help_line: str
) -> list[npt.NDArray[np.uint8]]:
    """[training labels, test labels], each (N,)."""
    return [read_idx(f) for f in find(name, folders, LABELS, path, help_line)]
