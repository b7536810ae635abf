"""Which scores a data set gets, and the protocol that stands beside them; floor (noise) and ceiling
(real data) alike.

Two numbers may be compared only when their protocols are the same: same metric, data and its
parameters, split, numbers of samples, extractor and its hash.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from raygan.data.base import Samples
from raygan.errors import ConfigError, did_you_mean
from raygan.metrics.classifier import class_scores, load_classifier, probabilities, stacked_scores
from raygan.metrics.coverage import label_scores, nearest_classes, shares_of
from raygan.metrics.density import LEAST, density_scores
from raygan.metrics.features import extractor
from raygan.metrics.fidelity import NEAREST, fid, kid, near, neighbours, prdc
from raygan.metrics.modes import mode_counts, mode_scores
from raygan.metrics.ngrams import ngram_scores
from raygan.metrics.own import MetricComponent, measured
from raygan.metrics.ranking import METRICS

GROUPS = {
    "modes": "modes, modes@10%, high_quality, width, reverse_kl of a mixture; of stacked MNIST",
    "density": "coverage_c and log_likelihood of points, over a kernel density estimate",
    "classes": "score, entropy, tv, confidence by the data set's classifier",
    "fid": "Frechet distance over the extractor's features",
    "kid": "kernel distance over the extractor's features",
    "ngrams": "js1 .. js4: Jensen-Shannon divergence of n-grams of text",
    "labels": (
        "classes_covered, class_tv: coverage by class, by the nearest labelled held-out sample"
    ),
    "prdc": "precision, recall, density, coverage over the extractor's features",
}
"""Names for --metrics."""
AGAINST_REAL = ("density", "fid", "kid", "labels", "ngrams", "prdc")
"""Those that measure samples by held-out ones."""
OVER_FEATURES = ("fid", "kid", "prdc")
ALONE = ("gam2", "ais", "mixture")
"""Metrics over whole runs: one at a time, in service.judging, service.likelihood and
service.export.
"""


@dataclass(frozen=True)
class Protocol:
    """How a number was made."""

    data: str
    split: str
    n_real: int
    n_fake: int
    extractor: str
    classifier: str
    seed: int
    own: str = ""
    """Users' own metrics, with the hashes of their sources."""
    sha256: str = ""
    """Of the data (`Samples.sha256`); it, and not its name, tells whether two are the same."""
    sampling: str = ""
    """How samples were chosen among those that generators make; "": all are scored."""
    lowered: str = ""
    """What was made smaller than asked for, since there are no more samples, in words."""

    @property
    def id(self) -> str:
        """Equal for comparable numbers; the seed of the draw does not matter."""
        fields = {
            k: v
            for k, v in asdict(self).items()
            if k not in ("seed", "lowered") and (v or k not in ("own", "sha256", "sampling"))
        }
        if self.sha256:
            del fields["data"]
        return hashlib.sha256(json.dumps(fields, sort_keys=True).encode()).hexdigest()[:8]


class Suite:
    """The scores of one data set."""

    def __init__(
        self, data: Samples, groups: Sequence[str] | None = None, n_fake: int = 2500, n_real: int = 2500,
        features: str | None = None, seed: int = 0, own: Sequence[MetricComponent] = (),
    ) -> None:  # fmt: skip
        self.data = data
        self.groups = tuple(groups or default_groups(data))
        for group in self.groups:
            if group not in GROUPS:
                raise ConfigError(
                    f"metrics: no metric named {group!r}. {did_you_mean(group, [*GROUPS, *ALONE])}"
                )
        self.asked = n_fake
        self.n_fake = n_fake if data.distinct is None else min(n_fake, data.distinct)
        self.own = own
        self.failed: dict[str, str] = {}
        """Own metrics that gave no number at the last score, and why."""
        self._refuse_unfit()
        needs = any(g in OVER_FEATURES for g in self.groups)
        default = (
            "cnn:mnist"
            if data.classifier and data.stack == 1
            else ("pixels" if data.is_images else "raw")
        )
        self.extractor = extractor(features or default) if needs else None
        self.classifier = load_classifier(data.classifier) if data.classifier else None
        generator = torch.Generator().manual_seed(seed)
        self.real = data.held_out_batch(n_real, generator)
        self.labels = self._labels(n_real, seed)
        self._real_features = self.extractor(self.real) if self.extractor else None
        self.protocol = Protocol(
            data=f"{data.name} ({data.modes.text})" if data.modes else data.name,
            split=data.split,
            n_real=len(self.real),
            n_fake=self.n_fake,
            extractor=self.extractor.label if self.extractor else "",
            classifier=f"{data.classifier}-{self.classifier[1]}" if self.classifier else "",
            seed=seed,
            own=", ".join(metric.name for metric in own),
            sha256=data.sha256,
            lowered=self._lowered(),
        )

    def _lowered(self) -> str:
        """Floor, ceiling and generators are measured alike: by no more samples than the ceiling has
        distinct ones.
        """
        told = (
            [f"samples {self.asked} -> {self.n_fake}, as the training part has no more"]
            if self.n_fake < self.asked
            else []
        )
        k = neighbours(len(self.real), self.n_fake)
        if "prdc" in self.groups and k < NEAREST:
            told.append(f"k of prdc {NEAREST} -> {max(k, 0)}")
        return ", ".join(told)

    def _labels(self, n_real: int, seed: int) -> npt.NDArray[np.int64] | None:
        """The class of each of `real`, in its order."""
        known = self.data.held_out_labels
        if known is None or self.data.stack > 1:
            return None
        drawn = torch.randperm(len(known), generator=torch.Generator().manual_seed(seed))[:n_real]
        out: npt.NDArray[np.int64] = known[drawn.numpy()]
        return out

    def by_class(self, fake: Tensor) -> dict[str, float]:
        """Share of samples (N, *shape) at each class (`metrics.coverage`); {} without classes."""
        if self.labels is None:
            return {}
        found = nearest_classes(fake, self.real, self.labels, len(self.data.classes))
        return {
            name: round(float(share), 6)
            for name, share in zip(self.data.classes, found, strict=True)
        }

    def fair(self) -> dict[str, float]:
        """The share of each class among the held-out samples."""
        if self.labels is None:
            return {}
        shares = shares_of(self.labels, len(self.data.classes))
        return {
            name: round(float(share), 6)
            for name, share in zip(self.data.classes, shares, strict=True)
        }

    def _refuse_unfit(self) -> None:
        data = self.data
        unfit = {
            "modes": data.modes is None and data.stack != 3,
            "density": data.is_images or bool(data.text),
            "ngrams": not data.text,
            "classes": data.classifier is None or data.stack != 1,
            "labels": data.held_out_labels is None or data.stack != 1,
        }
        if "density" in self.groups and self.asked < LEAST:
            raise ConfigError(
                f"samples = {self.asked}: coverage_c needs {LEAST} generated samples. Raise"
                " evaluation.samples (or --samples)."
            )
        for group in self.groups:
            if unfit.get(group):
                fit = [g for g in GROUPS if not unfit.get(g)]
                raise ConfigError(
                    f"metrics: {group!r} cannot score {data.name}. It can be scored by:"
                    f" {', '.join(fit)}."
                )

    def score(self, fake: Tensor) -> dict[str, float]:
        """All scores of samples (N, *shape); images in [-1, 1]. Names over features carry the
        extractor's.
        """
        if len(fake) != self.n_fake:
            raise ValueError(f"this protocol scores {self.n_fake} samples, got {len(fake)}")
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
            assert self.labels is not None, "refused in __init__"
            count = len(self.data.classes)
            found = nearest_classes(fake, self.real, self.labels, count)
            return label_scores(found, shares_of(self.labels, count))
        if group == "density":
            return density_scores(fake.numpy(), self.real.numpy())
        if group in ("modes", "classes"):
            assert self.classifier is not None, "refused in __init__"
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
            told = prdc(self._real_features, features)
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
        generator = torch.Generator().manual_seed(1)
        noise = torch.rand((self.n_fake, *self.data.shape), generator=generator)
        seen = torch.cat(
            [self.real, self.data.real_batch(self.n_fake, torch.Generator().manual_seed(2))]
        )
        low, high = seen.amin(0), seen.amax(0)
        if self.data.is_images:
            low, high = torch.tensor(-1.0), torch.tensor(1.0)
        return low + noise * (high - low)

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
        """Distinct real training samples."""
        return self.data.real_batch(self.n_fake, torch.Generator().manual_seed(2))


def default_groups(data: Samples) -> list[str]:
    """What a data set is scored by when nobody says otherwise."""
    if data.text:
        return ["ngrams"]
    if data.stack == 3:
        return ["modes"]
    if data.modes is not None:
        return ["modes", "density"]
    if data.classifier:
        return ["classes", "fid"]
    told = ["labels"] if data.held_out_labels is not None else []
    return [*(["kid", "prdc"] if data.is_images else ["density"]), *told]
