"""Scores of samples where nobody holds all real ones (`--data parts`): each part is asked where it
lives, and what it says is put together.

    samples -> Question -> `Ask` -> each part: answer() -> Met (counts, a bit a sample) -> rates()

precision   share of samples in the neighbourhood of a held-out sample of any part
recall      share of held-out samples of all parts near generated ones: exactly that of the whole
coverage    share of held-out samples of all parts whose neighbourhood has a generated one; of the
            part that is covered least too, and of the class of a part

A neighbourhood reaches to the kth neighbour in the same part: where parts are alike it is wider
than in the whole, and precision and coverage are higher than there. Density would be that many
times as high as there are parts alike, and is left out.

The floor is noise of the data's mean and deviation, shown to all as generated samples are. For the
ceiling each part is shown training samples of its own only, as many as its share: where parts are
alike a generator can be above it, since samples of others are near too.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from raygan.data.base import Samples
from raygan.metrics.coverage import Labelled
from raygan.metrics.features import Features, extractor
from raygan.metrics.fidelity import NEAREST, Met, met, neighbours, rates, reach
from raygan.metrics.mixture import shares
from raygan.metrics.own import MetricComponent
from raygan.metrics.suite import Suite, lowered, refuse_other_number, uniform
from raygan.own.names import label

WORST, WORST_CLASS = "coverage_worst", "coverage_worst_class"
LIMITS: dict[str, int] = {"noise": 1, "real": 2}
"""Streams that floor and ceiling are drawn by."""
EVEN = 3**0.5
"""Half the width of even noise whose deviation is 1."""
NO_WHOLE = "it takes held-out samples of all parts, and nobody holds these"


@dataclass(frozen=True)
class Question:
    """What parts are asked; no part is told of another."""

    samples: Tensor | Literal["noise", "real"]
    """(N, *shape); or those that the part draws itself."""
    extractor: str
    nearest: int
    r_fake: Features | None
    """Radii (N,) of the samples' balls; None: of those that the part draws itself."""
    held_out: Mapping[str, int]
    """Of each part, how many held-out samples answer."""
    drawn: Mapping[str, int]
    """How many a part draws itself."""
    seed: int


Ask = Callable[[Question], Mapping[str, Met]]
"""Has each part answer, by pair."""


def answer(pair: str, part: Samples, question: Question) -> Met:
    """What a part's held-out samples say; all that leaves it."""
    see = extractor(question.extractor)
    own = torch.Generator().manual_seed(question.seed)
    shown = part.held_out_batch(question.held_out[pair], own)
    real, known = see(shown), Labelled.of(part, shown, question.seed)
    labels, classes = (known.labels, known.classes) if known else (None, ())
    k = min(question.nearest, len(real) - 1)
    if isinstance(question.samples, Tensor):
        assert question.r_fake is not None
        fake, r_fake = see(question.samples), question.r_fake
        return met(real, fake, r_fake, k, labels, classes)
    count = question.drawn[pair]
    stream = torch.Generator().manual_seed(LIMITS[question.samples])
    drawn = part.real_batch(count, stream)
    if question.samples == "noise":
        drawn = uniform(part, count, torch.cat([shown, drawn]), stream)
    if not count:  # its share of so few is none
        return Met(len(real), 0, 0, 0, k, np.zeros(0, bool))
    fake = see(drawn)
    r_fake = reach(fake, min(question.nearest, len(fake) - 1))
    return met(real, fake, r_fake, k, labels, classes)


class ByPart(Suite):
    """The scores of data that nobody holds as a whole."""

    def __init__(
        self, data: Samples, ask: Ask, groups: Sequence[str] | None = None, n_fake: int = 2500,
        n_real: int = 2500, features: str | None = None, seed: int = 0,
        own: Sequence[MetricComponent] = (),
    ) -> None:  # fmt: skip
        super().__init__(data, groups, n_fake, n_real, features, seed, own)
        self.ask = ask
        parts = data.parts
        held = {pair: part.held_out for pair, part in parts.items()}
        # no more than are asked for, and of each part by its share: recall stays that of the whole
        if sum(held.values()) > n_real:
            held = dict(zip(held, shares(n_real, list(held.values())), strict=True))
        self.held_out = {pair: max(1, count) for pair, count in held.items()}
        drawn = shares(self.n_fake, [part.train for part in parts.values()]) if parts else []
        self.drawn = dict(zip(parts, drawn, strict=True))
        n_real = sum(self.held_out.values())
        # what is drawn by the run's seed has no hash, but a source with its settings
        digests = "".join(
            f"{pair}:{part.sha256 or part.source}:{part.held_out}:{part.shape}:{part.scaling}\n"
            for pair, part in sorted(parts.items())
        )
        least = min(self.held_out, key=self.held_out.__getitem__, default="")
        k = neighbours(self.held_out.get(least, 0), self.n_fake)
        told = lowered((), n_fake, self.n_fake, n_real)
        told += [f"k of prdc {NEAREST} -> {max(k, 0)} in {least}"] if least and k < NEAREST else []
        self.protocol = replace(
            self.protocol,
            n_real=n_real,
            sha256=hashlib.sha256(digests.encode()).hexdigest() if parts else "",
            lowered=", ".join(told),
        )

    def score(self, fake: Tensor) -> dict[str, float]:
        """Scores of samples (N, *shape), by all parts."""
        refuse_other_number(fake, self.n_fake)
        found = self._shown(fake)
        self.failed = {label(metric.name): NO_WHOLE for metric in self.own}
        return found

    def floor(self) -> dict[str, float]:
        """The scores of noise of the data's mean and deviation; of points in units of their own,
        whose range nobody else knows, each part's own.
        """
        if not self.data.is_images and self.data.scaling is None:
            return self._asked("noise", NEAREST, None)
        edge = torch.full((1, *self.data.shape), EVEN)
        stream = torch.Generator().manual_seed(LIMITS["noise"])
        return self._shown(uniform(self.data, self.n_fake, torch.cat([-edge, edge]), stream))

    def ceiling(self) -> dict[str, float]:
        """The scores of distinct training samples, each part's against its own held-out ones."""
        return self._asked("real", NEAREST, None)

    def _shown(self, fake: Tensor) -> dict[str, float]:
        """What all parts say of the same samples."""
        assert self.extractor is not None, "prdc is over features"
        k = neighbours(sum(self.held_out.values()), len(fake))
        return self._asked(fake, k, reach(self.extractor(fake), k) if k > 0 else None)

    def _asked(
        self, samples: Tensor | Literal["noise", "real"], nearest: int, r_fake: Features | None
    ) -> dict[str, float]:
        assert self.extractor is not None, "prdc is over features"
        question = Question(
            samples, self.extractor.name, nearest, r_fake, self.held_out, self.drawn,
            self.protocol.seed,
        )  # fmt: skip
        heard = self.ask(question) if nearest > 0 else {}
        if isinstance(samples, str):
            heard = beside(heard)
        told = rates(list(heard.values()), self.n_fake)
        del told["density"]
        # one held-out sample has no neighbour, and no neighbourhood to be covered
        self.parts = {
            pair: said.covered / said.real if said.nearest else math.nan
            for pair, said in heard.items()
        }
        self.classes = {pair: said.classes for pair, said in heard.items() if said.classes}
        told[WORST] = min((c for c in self.parts.values() if c == c), default=math.nan)
        if self._classes_known:
            worst = least_covered(self.classes)
            told[WORST_CLASS] = worst.share if worst else math.nan
        return {f"{name}@{self.extractor.label}": value for name, value in told.items()}

    @property
    def names(self) -> list[str]:
        """What `score` will call its numbers."""
        behind = f"@{self.extractor.label}" if self.extractor else ""
        usual = [name for name in super().names if not name.startswith("density")]
        worst = [WORST, WORST_CLASS] if self._classes_known else [WORST]
        return [*usual, *(f"{name}{behind}" for name in worst)]

    @property
    def _classes_known(self) -> bool:
        return any(part.classes for part in self.data.parts.values())


@dataclass(frozen=True)
class Least:
    """The class of a part that is covered least."""

    part: str
    name: str
    held_out: int
    covered: int

    @property
    def share(self) -> float:
        """Of its held-out samples."""
        return self.covered / self.held_out


def least_covered(classes: Mapping[str, Mapping[str, Sequence[int]]]) -> Least | None:
    """Of part -> class -> (held-out samples, covered ones); the larger one of two that are level;
    None without classes.

    >>> least_covered({"pair-00": {"cat": (4, 1), "dog": (8, 2)}, "pair-01": {"cat": (3, 3)}})
    Least(part='pair-00', name='dog', held_out=8, covered=2)
    """
    all_of_them = [
        Least(part, name, *counts) for part, of in classes.items() for name, counts in of.items()
    ]
    return min(all_of_them, key=lambda one: (one.share, -one.held_out), default=None)


def beside(heard: Mapping[str, Met]) -> dict[str, Met]:
    """What parts say of samples that each has drawn itself, as if all had been shown all: a bit a
    sample, no for those of others.
    """
    count, at, out = sum(len(said.precise) for said in heard.values()), 0, dict[str, Met]()
    for pair, said in heard.items():
        precise = np.zeros(count, bool)
        precise[at : at + len(said.precise)] = said.precise
        at += len(said.precise)
        out[pair] = replace(said, precise=precise)
    return out


def suite_of(data: Samples, ask: Ask, groups: Sequence[str] | None = None, **how: Any) -> Suite:
    """The suite of these data, by part where nobody holds them as a whole; how: as of `Suite`."""
    return Suite(data, groups, **how) if data.whole else ByPart(data, ask, groups, **how)
