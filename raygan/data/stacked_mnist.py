"""Stacked MNIST (Metz et al., 2016): three independent random digits as R, G and B; 1,000 modes."""

from __future__ import annotations

from pydantic import Field

from raygan.data.base import DataComponent, Samples
from raygan.data.mnist import HELP, load_images
from raygan.data.split import fingerprint


class StackedMnist(DataComponent):
    """Images (3, 28, 28), stacked anew at every draw."""

    path: str | None = Field(None, description="Folder of MNIST's IDX files; None = search.")

    def load(self, seed: int) -> Samples:
        """Single digits (N, 1, 28, 28) uint8 with stack = 3."""
        train, test = load_images(self.name, ["mnist", "MNIST/raw"], self.path, HELP)
        return Samples(
            "stacked_mnist", train, test, classifier="mnist", stack=3, split="stacked test set", sha256=fingerprint(train, test)
        )  # fmt: skip
