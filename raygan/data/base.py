"""Samples: a data set in memory or in a file, and what is known about its modes."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import torch
from pydantic import Field
from torch import Tensor

from raygan.config import Component
from raygan.data.partition import Part, Partition
from raygan.data.record import Record, Scaling
from raygan.data.stored import Samplings
from raygan.gan.host_copies import up

Array = npt.NDArray[Any]


@dataclass(frozen=True)
class Modes:
    """The components of a synthetic mixture."""

    means: npt.NDArray[np.float32]
    """(M, 2)."""
    std: float
    """Of each component, in each coordinate."""
    radius: float | None = None
    """Of a ring; None for other shapes."""

    @property
    def text(self) -> str:
        """What must stand beside every number about these modes.

        >>> Modes(np.zeros((25, 2), np.float32), 0.05).text
        '25 modes, std 0.05'
        """
        radius = "" if self.radius is None else f", radius {self.radius:g}"
        return f"{len(self.means)} modes{radius}, std {self.std:g}"


@dataclass(frozen=True)
class Samples:
    """A data set: points (N, features) float32, or images (N, C, H, W) uint8; training and held-out
    part.
    """

    name: str
    train: Samplings
    held_out: Samplings
    modes: Modes | None = None
    classifier: str | None = None
    """The classifier that scores it ("mnist")."""
    stack: int = 1
    """Independent single-channel draws that make one sample (3: stacked MNIST)."""
    text: str = ""
    """Characters of the one-hot channels, for text; "" for everything else."""
    split: str = "held-out"
    """What `held_out` is, in words that stand beside every score."""
    scaling: Scaling | None = None
    """From these samples to the data's own units; None where they are in them, or pictures."""
    record: Record | None = None
    """What its reader recognised, converted and left out."""
    sha256: str = ""
    """Of what the source holds, before it is split; "" where the samples are drawn by the run's
    seed.
    """
    apart: bool = True
    """Is none of the training samples held out too?"""
    labels: npt.NDArray[np.int64] | None = None
    """The class of each training sample (N,); nobody trains on it."""
    held_out_labels: npt.NDArray[np.int64] | None = None
    """The same of each that is held out."""
    classes: tuple[str, ...] = ()
    """Their names."""
    columns: tuple[str, ...] = ()
    """Names of the features, where the source has them."""
    scale: str = ""
    """The rule that pictures were scaled by (`Record.scale`)."""
    real: Samplings | None = None
    """Real training samples, where those in `train` are made ones; None: `train` is real."""
    parts: Mapping[str, Part] = field(default_factory=dict)
    """What is known of each pair's part, where pairs do not share all samples (`data.partition`).
    """
    whole: bool = True
    """Are there samples of all? False: pairs have their own, and nobody has them all (data parts).
    """

    @property
    def shape(self) -> tuple[int, ...]:
        """Of one sample: (features,), (channels, height, width); (characters, length) of text."""
        single = self.train.shape[1:]
        if self.text:
            return (len(self.text), *single)
        return (self.stack, *single[1:]) if self.stack > 1 else tuple(single)

    @property
    def outline(self) -> Samples:
        """All but the samples: for whoever builds networks, and may hold none."""
        # a copy: a slice would keep the whole array alive behind it
        none = self.train[:0].copy()
        return replace(
            self,
            train=none,
            held_out=none,
            real=None,
            labels=None,
            held_out_labels=None,
            record=None,
        )

    @property
    def is_images(self) -> bool:
        """Images have three dimensions and live in [-1, 1]."""
        return len(self.shape) == 3 and not self.text

    def batch(self, size: int, generator: torch.Generator, device: torch.device) -> Tensor:
        """`size` independent draws from the training part; float32 (size, *shape), images in [-1,
        1].
        """
        # made a float here: a device divides by multiplying, and rounds otherwise
        return up(self._draw(self.train, size, generator), device)

    def real_batch(self, size: int, generator: torch.Generator) -> Tensor:
        """`size` distinct real samples of the training part (all of it where it has fewer), on the
        CPU; stacks are drawn anew.
        """
        # made samples are trained on, and never what others are measured by
        real = self.train if self.real is None else self.real
        if self.stack > 1:
            return self._draw(real, size, generator)
        order = torch.randperm(len(real), generator=generator)[:size].numpy()
        return self._to_float(real[order])

    @property
    def distinct(self) -> int | None:
        """Training samples that are there to be measured, of all parts where nobody has the whole;
        None for stacks, whose combinations do not run out.
        """
        if not self.whole:
            return sum(part.train for part in self.parts.values())
        return None if self.stack > 1 else len(self.train if self.real is None else self.real)

    def held_out_batch(self, size: int, generator: torch.Generator) -> Tensor:
        """The held-out part (all of it where it is no larger than `size`), or `size` draws without
        repetition.
        """
        if self.stack > 1:
            return self._draw(self.held_out, size, generator)
        order = torch.randperm(len(self.held_out), generator=generator)[:size].numpy()
        return self._to_float(self.held_out[order])

    def _draw(self, source: Samplings, size: int, generator: torch.Generator) -> Tensor:
        # with repetition: the paper's X_inf, so that a batch needs no memory of those before
        index = torch.randint(len(source), (size * self.stack,), generator=generator)
        # numpy's own indexing: also for read-only memory that processes share
        picked = source[index.numpy()]
        return self._to_float(picked if self.text else picked.reshape(size, *self.shape))

    def as_batch(self, picked: Array) -> Tensor:
        """Some of the samples as a batch has them: float32, images in [-1, 1], text one-hot."""
        return self._to_float(picked)

    def _to_float(self, picked: Array) -> Tensor:
        if self.text:
            hot = torch.nn.functional.one_hot(torch.from_numpy(picked).long(), len(self.text))
            return hot.transpose(1, 2).to(torch.float32)
        return to_float(picked)


def to_float(batch: Array) -> Tensor:
    """uint8 images to float32 in [-1, 1]; points stay as they are."""
    tensor = torch.from_numpy(batch)
    # here and not at the start: bytes take a quarter of the memory, and all players share them
    return tensor.to(torch.float32).div_(127.5).sub_(1) if batch.dtype == np.uint8 else tensor


def to_uint8(samples: Tensor) -> npt.NDArray[np.uint8]:
    """Images in [-1, 1] to uint8, the inverse of `to_float`."""
    out: npt.NDArray[np.uint8] = (
        samples.detach().add(1).mul(127.5).round().clamp(0, 255).to(torch.uint8).cpu().numpy()
    )
    return out


@dataclass(frozen=True)
class For:
    """Of a setting: what has to be read for it to change anything; it is refused elsewhere."""

    held: str
    """A word of `record.Read.held`."""
    other: str | None = None
    """A setting without which it does nothing."""


class DataComponent(Component):
    """Names a data set and its settings."""

    elsewhere: ClassVar[bool] = True
    """Can other processes read it too?"""
    whole: ClassVar[bool] = True
    """Does it hold the samples of all pairs? False: each has its own, and nobody has them all."""
    partition: Partition = Field(
        "shared",
        description=(
            "What pairs train on: shared, shards, clusters, by_class, dirichlet(0.5), or"
            " {pair-00: SOURCE, ...}."
        ),
    )
    partition_seed: int = Field(
        0,
        ge=0,
        description="Of shards, clusters and dirichlet; the run's seed leaves them as they are.",
    )
    partition_parts: int | None = Field(
        None,
        gt=0,
        description="How many parts there are, for pairs that join as well; None: num_pairs.",
    )

    @abstractmethod
    def load(self, seed: int) -> Samples:
        """Read or draw it; the same `seed` gives the same samples. Raises DataError."""


def freeze(*arrays: Array) -> None:
    """No player may write into the data that all share."""
    for array in arrays:
        # one array serves all players of a machine: who writes into it spoils everybody's
        array.flags.writeable = False


def draw_labelled(
    means: Array, std: float, count: int, rng: np.random.Generator
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.int64]]:
    """`count` points (count, 2) from an equal mixture of isotropic Gaussians, and which one
    (count,) each is of.
    """
    which = rng.integers(len(means), size=count)
    return (means[which] + std * rng.standard_normal((count, means.shape[1]))).astype(
        np.float32
    ), which


def mixture_samples(name: str, modes: Modes, train: int, held_out: int, seed: int) -> Samples:
    """A synthetic mixture's training and held-out points, drawn from two independent streams."""
    (first, of_first), (last, of_last) = (
        # held-out points are fresh draws of the same mixture: as many as are asked for, none
        # trained on
        draw_labelled(modes.means, modes.std, count, np.random.default_rng([seed, stream]))
        for stream, count in enumerate((train, held_out))
    )
    freeze(first, last)
    classes = tuple(f"mode {i}" for i in range(len(modes.means)))
    return Samples(
        name,
        first,
        last,
        modes=modes,
        split="fresh draws",
        labels=of_first,
        held_out_labels=of_last,
        classes=classes,
    )
