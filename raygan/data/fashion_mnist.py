"""Fashion-MNIST (Xiao, Rasul, Vollgraf, 2017): as MNIST, with clothes."""

from __future__ import annotations

from pydantic import Field

from raygan.data.base import DataComponent, Samples
from raygan.data.download import FASHION
from raygan.data.mnist import given, labelled, load_images, load_labels
from raygan.data.partition import needs_classes
from raygan.data.split import fingerprint

HELP = "--data.download true fetches them (31 MB), as does apt-get install dataset-fashion-mnist."


class FashionMnist(DataComponent):
    """Grey images (1, 28, 28)."""

    path: str | None = Field(None, description="Folder of the IDX files; None = search.")
    limit: int | None = Field(None, gt=0, description="Only the first so many training images.")
    download: bool = Field(
        False,
        description="Fetch files that are missing (checked by SHA-256), into path or the cache.",
    )

    def load(self, seed: int) -> Samples:
        """Images (N, 1, 28, 28) uint8; the held-out part is the official test set."""
        folders = ["fashion-mnist", "fashion_mnist", "FashionMNIST/raw"]
        path = given(self.name, FASHION, self.path, folders) if self.download else self.path
        train, test = load_images(self.name, folders, path, HELP)
        data = Samples(
            "fashion_mnist",
            train[: self.limit],
            test,
            split="test set",
            sha256=fingerprint(train, test),
        )
        return (
            labelled(data, *load_labels(self.name, folders, path, HELP))
            if needs_classes(self.partition)
            else data
        )
