"""Fashion-MNIST (Xiao, Rasul, Vollgraf, 2017): as MNIST, with clothes."""

from __future__ import annotations

from typing import ClassVar

from raygan.data.download import FASHION, Source
from raygan.data.mnist import Mnist


class FashionMnist(Mnist):
    """Grey images (1, 28, 28)."""

    source: ClassVar[Source] = FASHION
    folders: ClassVar[list[str]] = ["fashion-mnist", "fashion_mnist", "FashionMNIST/raw"]
    help_line: ClassVar[str] = (
        "--data.download true fetches them (31 MB), as does apt-get install dataset-fashion-mnist."
    )
    classifier: ClassVar[str | None] = None
