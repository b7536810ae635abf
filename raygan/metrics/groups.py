"""Which groups of scores there are, and which fit a data set."""

from __future__ import annotations

from collections.abc import Sequence

from raygan.data.base import Samples
from raygan.errors import ConfigError, did_you_mean
from raygan.metrics.density import LEAST
from raygan.metrics.ngrams import ORDERS

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
BY_PART = ("prdc",)
"""Those that parts can be asked for, where nobody holds the whole (`metrics.by_part`)."""
ALONE = ("gam2", "ais", "mixture")
"""Metrics over whole runs: one at a time, in service.judging, service.likelihood and
service.export.
"""


def groups_for(data: Samples, asked: Sequence[str] | None, samples: int) -> tuple[str, ...]:
    """Those that are asked for, or a data set's own. Raises ConfigError for one that is none, or
    cannot score it by so many samples.
    """
    groups = tuple(asked or default_groups(data))
    for group in groups:
        if group not in GROUPS:
            raise ConfigError(
                f"metrics: no metric named {group!r}. {did_you_mean(group, [*GROUPS, *ALONE])}"
            )
    refuse_too_few(groups, data, samples)
    unfit = unfit_for(data)
    for group in groups:
        if group in unfit:
            fit = [g for g in GROUPS if g not in unfit]
            raise ConfigError(
                f"metrics: {group!r} cannot score {data.name}. It can be scored by:"
                f" {', '.join(fit)}."
            )
    return groups


def refuse_too_few(groups: Sequence[str], data: Samples, samples: int) -> None:
    """Raises ConfigError for fewer samples, or shorter ones, than a group needs."""
    if "density" in groups and samples < LEAST:
        raise ConfigError(
            f"samples = {samples}: coverage_c needs {LEAST} generated samples. Raise"
            " evaluation.samples (or --samples)."
        )
    # a sample that is shorter than an n-gram has none: nothing would be compared
    if "ngrams" in groups and data.text and (length := data.shape[-1]) < max(ORDERS):
        raise ConfigError(
            f"data.length = {length}: js{max(ORDERS)} counts {max(ORDERS)} characters in a row, and"
            f" a sample of {data.name} has fewer. Raise it to {max(ORDERS)}."
        )


def unfit_for(data: Samples) -> set[str]:
    """Those that cannot score a data set."""
    # nobody holds all real samples: only what can be put together from parts is left
    if not data.whole:
        return set(GROUPS) - set(BY_PART)
    unfit = {
        "modes": data.modes is None and data.stack != 3,
        "density": data.is_images or bool(data.text),
        "ngrams": not data.text,
        "classes": data.classifier is None or data.stack != 1,
        "labels": data.held_out_labels is None or data.stack != 1,
    }
    return {group for group, is_unfit in unfit.items() if is_unfit}


def default_groups(data: Samples) -> list[str]:
    """What a data set is scored by when nobody says otherwise."""
    if not data.whole:
        return list(BY_PART)
    if data.text:
        return ["ngrams"]
    if data.stack == 3:
        return ["modes"]
    if data.modes is not None:
        return ["modes", "density"]
    if data.classifier:
        return ["classes", "fid"]
    # classes that the data bring along are always worth a look
    told = ["labels"] if data.held_out_labels is not None else []
    return [*(["kid", "prdc"] if data.is_images else ["density"]), *told]
