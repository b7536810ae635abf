"""Feature extractors by name: what FID and its kin are computed over. The name and its hash are
part of the score's name.

raw                 the samples as they are, flattened (points)
pixels              images in [-1, 1], flattened
cnn:mnist           the 48 features of the MNIST classifier
torchscript:PATH    the user's own network (an Inception network, say): images (N, C, H, W)
                    in [-1, 1] -> (N, F)
"""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from raygan.data.base import Samples
from raygan.errors import ConfigError, did_you_mean
from raygan.metrics.classifier import load_classifier
from raygan.paths import expanded

Features = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Extractor:
    """A named map from samples (N, *shape) to features (N, F)."""

    name: str
    hash: str
    function: Callable[[Tensor], Tensor]

    @property
    def label(self) -> str:
        """Stands behind the @ of every score: "cnn-mnist-3f2a91bc"."""
        return "-".join(
            p
            for p in (
                self.name.partition(":")[0],
                Path(self.name.partition(":")[2]).stem,
                self.hash,
            )
            if p
        )

    def __call__(self, samples: Tensor, batch: int = 500) -> Features:
        """Features as float64 (N, F)."""
        with torch.no_grad():
            out = [
                self.function(samples[i : i + batch]).flatten(1).double()
                for i in range(0, len(samples), batch)
            ]
        return np.asarray(torch.cat(out).numpy())


def usual_extractor(data: Samples) -> str:
    """The name of the one that samples of these data are looked at through, where nobody says
    otherwise.
    """
    if data.classifier and data.stack == 1:
        return "cnn:mnist"
    return "pixels" if data.is_images else "raw"


def extractor(name: str) -> Extractor:
    """The extractor of that name; raises ConfigError for an unknown one."""
    kind, _, what = name.partition(":")
    if name in ("raw", "pixels"):
        return Extractor(name, "", lambda x: x)
    if kind == "cnn" and what == "mnist":
        network, digest, _ = load_classifier("mnist")
        return Extractor(name, digest, network.features)
    if kind == "torchscript" and what:
        path = expanded(what)
        if not path.is_file():
            raise ConfigError(
                f"extractor: {what!r} does not exist. Check the path after 'torchscript:'."
            )
        try:
            # TorchScript and no pickle: a user's network is data here, and runs without its source.
            # torch calls it old, and Inception networks of other projects come in nothing else.
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", DeprecationWarning)
                module = torch.jit.load(str(path), map_location="cpu").eval()
        except RuntimeError as error:
            reason = str(error).strip().splitlines()[0]
            raise ConfigError(
                f"extractor: {what!r} is not a TorchScript file ({reason}). Save it with torch.jit."
            ) from None
        return Extractor(name, hashlib.sha256(path.read_bytes()).hexdigest()[:8], module)
    known = ("raw", "pixels", "cnn:mnist", "torchscript:PATH")
    raise ConfigError(f"extractor: no feature extractor {name!r}. {did_you_mean(name, known)}")
