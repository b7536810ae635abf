"""Each pair's own SOURCE, and no whole that anybody could be given: `--data parts`.

What networks are made for (shape, kind, columns) and the units that all points are brought to come
from the sources together: the mean and the deviation of each column over all of them, from each
one's own mean, deviation and number of samples. Scores are by part (`metrics.by_part`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, ClassVar, cast

import numpy as np
from pydantic import model_validator

from raygan.config import load_component
from raygan.data.base import DataComponent, Samples
from raygan.data.reading import in_order, kind, part_of, read, read_for, source_text
from raygan.data.record import Record, Scaling
from raygan.data.rows import extremes
from raygan.errors import DataError

SPLIT = "held-out samples of each part, where it lives"


class Parts(DataComponent):
    """No samples: those are the pairs', `data.partition {pair-00: SOURCE, ...}`."""

    whole: ClassVar[bool] = False

    @model_validator(mode="after")
    def _has_sources(self) -> Parts:
        if isinstance(self.partition, str):
            raise ValueError(
                "data parts are the pairs' own: set data.partition to {pair-00: SOURCE, ...}"
            )
        return self

    def load(self, seed: int) -> Samples:
        """All but the samples (`Samples.outline`); each source is read here, one by one, and left.
        Raises DataError for sources that are not alike.
        """
        sources = cast(Mapping[str, Mapping[str, Any]], self.partition)
        return together({pair: sketch(pair, spec, seed) for pair, spec in sources.items()})


def sketch(pair: str, spec: Mapping[str, Any], seed: int) -> Samples:
    """Read a pair's SOURCE, and give all but its samples, with its `Part`."""
    with read_for(pair):
        component = cast(DataComponent, load_component("data", dict(spec)))
    with read_for(pair, type(component).model_fields):
        found = read(component, seed)
    outline = replace(found.outline, parts={pair: part_of(source_text(component), found)})
    if found.scaling is None or found.is_images:
        return outline
    # a reader scales a column that never changes by 1: its deviation is 0 all the same
    low, high = extremes(found.train, found.held_out)
    scaling = Scaling(
        tuple(map(float, np.broadcast_to(found.scaling.offset, found.shape))),
        tuple(map(float, np.where(low == high, 0.0, found.scaling.factor))),
    )
    return replace(outline, scaling=scaling)


def together(sketches: Mapping[str, Samples]) -> Samples:
    """What these sources have in common, as the outline of a whole. Raises DataError where they
    have not the same kind, shape, columns or units.
    """
    (name, first), *others = sketches.items()
    like = [(name, first)]
    where = {p: f"data.partition: {p}: {s.parts[p].source}" for p, s in sketches.items()}
    if first.text:
        raise DataError(
            f"{where[name]} holds text, which is scored against a whole only. Name one: --data"
            " SOURCE."
        )
    for pair, found in others:
        if (found.shape, kind(found)) != (first.shape, kind(first)):
            raise DataError(
                f"{where[pair]} holds {kind(found)} of shape {found.shape}, {name}'s"
                f" {first.parts[name].source} {kind(first)} of shape {first.shape}. Make them"
                " alike."
            )
        like.append((pair, in_order(where[pair], found, first)))
    known = {p: found.parts[p] for p, found in like}
    scalings = {p: found.scaling for p, found in like}
    if first.is_images and len(set(scalings.values())) > 1:
        raise DataError(
            "data.partition: pictures scaled by ranges of their own. Bring all to 0..255 or -1..1."
        )
    if len({scaling is None for scaling in scalings.values()}) > 1:
        unlike = next(p for p, scaling in scalings.items() if scaling is None)
        raise DataError(
            f"{where[unlike]} is left in its units, others are scaled. Set data.scale alike for"
            " all."
        )
    told = {p: found.scale for p, found in like if found.scale}
    if len(set(told.values())) > 1:
        pair = next(p for p, scale in told.items() if scale != next(iter(told.values())))
        raise DataError(
            f"{where[pair]} has pictures of {told[pair]}, {next(iter(told))}'s are of"
            f" {next(iter(told.values()))} by their range. Say which: data.scale in each SOURCE."
        )
    counts = {p: part.train + part.held_out for p, part in known.items()}
    scaling = first.scaling if first.is_images else pooled(scalings, counts, first.shape[0])
    return replace(
        first,
        name="parts",
        split=SPLIT,
        modes=None,
        classifier=None,
        classes=(),
        parts={},
        sha256="",
        whole=False,
        scaling=scaling,
        # one that was told by its range speaks for those whose range tells nothing
        scale=next(iter(told.values()), ""),
        record=Record(
            "parts",
            f"{sum(counts.values()):,} {kind(first)} of shape {first.shape} in {len(counts)} parts,"
            " each read where its pair lives; scores are by part",
            columns=[*first.columns],
        ),
    )


def pooled(
    scalings: Mapping[str, Scaling | None], counts: Mapping[str, int], features: int
) -> Scaling | None:
    """Mean and deviation of each column over all sources, from each one's own and its number of
    samples; None where all are in their own units.

    >>> pooled({"a": Scaling((0.0,), (1.0,)), "b": Scaling((4.0,), (1.0,))}, {"a": 3, "b": 1}, 1)
    Scaling(offset=(1.0,), factor=(2.0,))
    """
    there = {p: scaling for p, scaling in scalings.items() if scaling is not None}
    if not there:
        return None
    weights = np.array([counts[p] for p in there], float)
    weights /= weights.sum()
    # one number stands for all columns
    means, deviations = (
        np.stack([np.broadcast_to(np.asarray(getattr(s, of)), features) for s in there.values()])
        for of in ("offset", "factor")
    )
    mean = weights @ means
    # the variance within parts, and that of their means
    deviation = np.sqrt(weights @ (deviations**2 + (means - mean) ** 2))
    return Scaling(tuple(map(float, mean)), tuple(map(float, np.where(deviation, deviation, 1.0))))
