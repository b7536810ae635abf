"""The scores of a data set, with the protocol that stands beside them; floor (noise) and ceiling
(real data) alike.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import Tensor

from raygan.data.base import Samples
from raygan.errors import ConfigError
from raygan.metrics.classifier import class_scores, load_classifier, probabilities, stacked_scores
from raygan.metrics.coverage import Labelled, label_scores
from raygan.metrics.density import density_scores
from raygan.metrics.features import extractor, usual_extractor
from raygan.metrics.fidelity import NEAREST, asked, fid, kid, near, neighbours, rates
from raygan.metrics.groups import AGAINST_REAL, OVER_FEATURES, groups_for
from raygan.metrics.modes import mode_counts, mode_scores
from raygan.metrics.ngrams import ngram_scores
from raygan.metrics.own import MetricComponent, called, measured
from raygan.metrics.protocol import Protocol
from raygan.metrics.ranking import METRICS


class Suite:
    """The scores of one data set."""

    def __init__(
        self, data: Samples, groups: Sequence[str] | None = None, n_fake: int = 2500,
        n_real: int = 2500, features: str | None = None, seed: int = 0,
        own: Sequence[MetricComponent] = (),
    ) -> None:  # fmt: skip
        self.data = data
        self.groups = groups_for(data, groups, n_fake)
        # floor, ceiling and generators are measured alike: by no more samples than the ceiling has
        # distinct ones
        self.n_fake = n_fake if data.distinct is None else min(n_fake, data.distinct)
        self.own = own
        self.failed: dict[str, str] = {}
        """Own metrics that gave no number at the last score, and why."""
        self.parts: dict[str, float] = {}
        """Where nobody holds the whole: the coverage of each part at the last score."""
        self.classes: dict[str, Mapping[str, tuple[int, int]]] = {}
        """Part (or the data) -> class -> (its held-out samples, those covered at the last score);
        {} where nobody knows classes, or coverage was not asked for.
        """
        needs = any(g in OVER_FEATURES for g in self.groups)
        if features and not needs:
            raise ConfigError(
                f"--extractor {features}: nothing asks for features. Add --metrics"
                f" {','.join(OVER_FEATURES)}, or leave it out."
            )
        self.extractor = extractor(features or usual_extractor(data)) if needs else None
        self.classifier = load_classifier(data.classifier) if data.classifier else None
        generator = torch.Generator().manual_seed(seed)
        self.real = data.held_out_batch(n_real, generator)
        self.labelled = Labelled.of(data, self.real, seed)
        self.labels = self.labelled and self.labelled.labels
        self._real_features = (
            self.extractor(self.real) if self.extractor and len(self.real) else None
        )
        self.protocol = Protocol(
            data=f"{data.name} ({data.modes.text})" if data.modes else data.name,
            split=data.split,
            n_real=len(self.real),
            n_fake=self.n_fake,
            extractor=self.extractor.label if self.extractor else "",
            classifier=f"{data.classifier}-{self.classifier[1]}" if self.classifier else "",
            seed=seed,
            own=", ".join(map(called, own)),
            sha256=data.sha256,
            lowered=", ".join(lowered(self.groups, n_fake, self.n_fake, len(self.real))),
        )

    def score(self, fake: Tensor) -> dict[str, float]:
        """All scores of samples (N, *shape); images in [-1, 1]. Names over features carry the
        extractor's.
        """
        refuse_other_number(fake, self.n_fake)
        out: dict[str, float] = {}
        for group in self.groups:
            out |= self._group(group, fake)
        found, self.failed = measured(self.own, fake, self.real) if self.own else ({}, {})
        self.failed |= dict.fromkeys(set(found) & set(out), "a score has this name already")
        return out | {name: value for name, value in found.items() if name not in out}

    def occupied(self, fake: Tensor) -> list[float]:
        """Share of samples (N, *shape) at each mode or class, (M,); [] for data with neither."""
        if self.data.modes is not None:
            counts = mode_counts(fake.numpy(), self.data.modes)
        elif self.classifier is not None and self.data.stack == 1:
            p = probabilities(self.classifier[0], fake)
            counts = np.bincount(p.argmax(1), minlength=p.shape[1])
        else:
            return []
        return [float(c) / len(fake) for c in counts]

    def by_class(self, fake: Tensor) -> dict[str, float]:
        """Share of samples (N, *shape) at each class (`metrics.coverage`); {} without classes."""
        return {} if self.labelled is None else self.labelled.named(self.labelled.shares(fake))

    def fair(self) -> dict[str, float]:
        """The share of each class among the held-out samples."""
        return {} if self.labelled is None else self.labelled.named(self.labelled.fair)

    def near(self, fake: Tensor, real: Tensor) -> float:
        """Share of real points that samples (N, features) come near; 1 for all but points."""
        if self.data.is_images or self.data.text:
            return 1.0
        real = real[: len(fake)]
        return near(real.double().numpy(), fake.double().numpy())

    def _group(self, group: str, fake: Tensor) -> dict[str, float]:
        if group == "modes" and self.data.modes is not None:
            return mode_scores(fake.numpy(), self.data.modes)
        if group == "ngrams":
            return ngram_scores(fake.argmax(1).numpy(), self.real.argmax(1).numpy())
        if group == "labels":
            assert self.labelled is not None, "refused in __init__"
            return label_scores(self.labelled.shares(fake), self.labelled.fair)
        if group == "density":
            return density_scores(fake.numpy(), self.real.numpy())
        if group in ("modes", "classes"):
            assert self.classifier is not None, "refused in __init__"
            # each channel of a stacked sample is a digit of its own
            p = probabilities(self.classifier[0], fake.reshape(-1, 1, *fake.shape[2:]))
            return (
                class_scores(p)
                if group == "classes"
                else stacked_scores(p.reshape(len(fake), -1, p.shape[1]))
            )
        assert self.extractor is not None
        assert self._real_features is not None
        features = self.extractor(fake)
        if group == "prdc":
            known = self.labelled
            said = asked(
                self._real_features, features, labels=known.labels if known else None,
                classes=self.data.classes,
            )  # fmt: skip
            told = rates(said, len(fake))
            self.classes = {self.data.name: said[0].classes} if said and known else {}
        else:
            told = {group: (fid if group == "fid" else kid)(self._real_features, features)}
        return {f"{k}@{self.extractor.label}": v for k, v in told.items()}

    @property
    def names(self) -> list[str]:
        """What `score` will call its numbers; users' own are not known before."""
        groups = ["stacked" if g == "modes" and self.data.modes is None else g for g in self.groups]
        behind = {g: f"@{self.extractor.label}" for g in OVER_FEATURES if self.extractor}
        return [
            name + behind.get(group, "")
            for group in groups
            for name, meaning in METRICS.items()
            if group in meaning.groups
        ]

    def floor(self) -> dict[str, float]:
        """The scores of uniform noise over the data's own range."""
        return self.score(self.noise())

    def noise(self) -> Tensor:
        """Samples (n_fake, *shape) over the data's own range."""
        # 1 here, 2 for the ceiling: streams of their own, the same for every run over this data
        seen = torch.cat(
            [self.real, self.data.real_batch(self.n_fake, torch.Generator().manual_seed(2))]
        )
        return uniform(self.data, self.n_fake, seen, torch.Generator().manual_seed(1))

    def ceiling(self) -> dict[str, float]:
        """The scores of distinct real training samples against the held-out ones; NaN where those
        are training samples too.
        """
        samples = self.trained_on()
        scores = self.score(samples)
        if self.data.apart:
            return scores
        against = {
            name for g in self.groups if g in AGAINST_REAL for name in self._group(g, samples)
        }
        return {name: math.nan if name in against else value for name, value in scores.items()}

    def trained_on(self) -> Tensor:
        """Distinct real training samples, as many as generated ones are scored."""
        return self.data.real_batch(self.n_fake, torch.Generator().manual_seed(2))


def refuse_other_number(fake: Tensor, wanted: int) -> None:
    """Raises ValueError: distances by neighbours and Frechet's are biased by the number."""
    if len(fake) != wanted:
        raise ValueError(f"this protocol scores {wanted} samples, got {len(fake)}")


def uniform(data: Samples, count: int, seen: Tensor, generator: torch.Generator) -> Tensor:
    """Noise (count, *shape) over the range of pictures, or of the samples that were seen."""
    low, high = seen.amin(0), seen.amax(0)
    if data.is_images:
        low, high = torch.tensor(-1.0), torch.tensor(1.0)
    return low + torch.rand((count, *data.shape), generator=generator) * (high - low)


def lowered(groups: Sequence[str], asked: int, n_fake: int, n_real: int) -> list[str]:
    """What is smaller than it was asked for, since there are no more samples, in words.

    >>> lowered(["modes"], 2500, 400, 100)
    ['samples 2500 -> 400, as the training part has no more']
    """
    told = []
    if n_fake < asked:
        told.append(f"samples {asked} -> {n_fake}, as the training part has no more")
    if "prdc" in groups and (k := neighbours(n_real, n_fake)) < NEAREST:
        told.append(f"k of prdc {NEAREST} -> {max(k, 0)}")
    return told
