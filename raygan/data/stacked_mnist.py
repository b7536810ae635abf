"""Stacked MNIST (Metz et al., 2016): three independent random digits as R, G and B; 1,000 modes."""

from __future__ import annotations

from pydantic import Field

from raygan.data.base import DataComponent, Samples
from raygan.data.download import MNIST
from raygan.data.mnist import FOLDERS, HELP, given, load_images
from raygan.data.split import fingerprint


class StackedMnist(DataComponent):
    """Images (3, 28, 28), stacked anew at every draw."""

    path: str | None = Field(None, description="Folder of MNIST's IDX files; None = search.")
    download: bool = Field(
        False,
        description="Fetch files that are missing (checked by SHA-256), into path or the cache.",
    )

    def load(self, seed: int) -> Samples:
        """Single digits (N, 1, 28, 28) uint8 with stack = 3."""
        path = given("mnist", MNIST, self.path, FOLDERS) if self.download else self.path
        train, test = load_images(self.name, FOLDERS, path, HELP)
        return Samples(
            "stacked_mnist", train, test, classifier="mnist", stack=3, split="stacked test set",
            sha256=fingerprint(train, test)
        )  # fmt: skip
