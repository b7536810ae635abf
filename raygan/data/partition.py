"""`data.partition`: which samples each pair trains on.

shared                   every pair the whole
shards                   equal shares of a random order
clusters                 what k-means finds, a cluster each: unlike on purpose, where one place may
                         see all (clusters.py)
by_class                 classes dealt out in turn: class c to part c mod K
dirichlet(ALPHA)         each class in shares drawn from Dirichlet(ALPHA): the smaller, the more
                         unlike (Hsu, Qi, Brown, 2019)
{pair-00: SOURCE, ...}   each pair's own

A part is a function of the data, `partition_seed` and the number of parts, so that whoever needs
one can read the source.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Annotated, Any

import numpy as np
import numpy.typing as npt
from pydantic import BeforeValidator

from raygan.components import shorthand
from raygan.data.record import Array, Scaling
from raygan.own.names import is_own

RULES = ("shared", "shards", "clusters", "by_class")
DIRICHLET = re.compile(r"dirichlet\((\d*\.?\d+(?:e[-+]?\d+)?)\)")
Index = npt.NDArray[np.int64]


def parsed(value: object) -> object:
    """A rule's name, or {pair: what its SOURCE stands for}. Raises ValueError."""
    if isinstance(value, Mapping) and value:
        sources = {str(pair): shorthand(source, "data") for pair, source in value.items()}
        for pair, source in sources.items():
            if not isinstance(source, Mapping) or not isinstance(source.get("name"), str):
                raise ValueError(
                    f"{pair} has no SOURCE, which is read where the pair lives. Write npz:PATH,"
                    " folder:PATH or the like"
                )
            if is_own(str(source["name"])):
                raise ValueError(f"{pair} names own code. Write npz:PATH, folder:PATH or the like")
            if source.get("partition", "shared") != "shared":
                raise ValueError(f"{pair} has a partition of its own. Leave it out")
        return sources
    if value in RULES or (
        isinstance(value, str) and (found := DIRICHLET.fullmatch(value)) and float(found[1]) > 0
    ):
        return value
    raise ValueError(
        "write shared, shards, clusters, by_class, dirichlet(0.5), or a mapping {pair-00: SOURCE}"
    )


Partition = Annotated[str | dict[str, Any], BeforeValidator(parsed)]


def needs_classes(rule: Partition) -> bool:
    """Are parts made by the samples' classes?"""
    return isinstance(rule, str) and (rule == "by_class" or rule.startswith("dirichlet"))


@dataclass(frozen=True)
class Part:
    """What is known of a pair's part where it is not: all of its data that leaves the process that
    reads it.
    """

    source: str
    train: int
    held_out: int
    shape: tuple[int, ...]
    """Of one sample."""
    sha256: str
    classes: dict[str, int]
    """Training samples of each class, where there are classes."""
    scaling: Scaling | None = None
    """Mean and deviation of each column, where its reader has scaled by them."""
    labels_sha256: str = ""
    """Of its samples' classes, where there are some."""
    labels: str = ""
    """Where classes come from, or why there are none."""
    converted: dict[str, int] = field(default_factory=dict)
    """What its reader has done -> samples it was done to."""
    skipped: dict[str, int] = field(default_factory=dict)
    """Why it was left out -> files, rows, columns; their names stay where they were read."""
    odd: tuple[str, ...] = ()
    """What looks odd about its samples (`data.odd`)."""

    def plain(self) -> dict[str, Any]:
        """What run.json keeps of it; `of` is the inverse."""
        return {
            **asdict(self),
            "shape": list(self.shape),
            "scaling": self.scaling.plain() if self.scaling else None,
            "odd": list(self.odd),
        }

    @staticmethod
    def of(values: Mapping[str, Any]) -> Part:
        """A part out of what run.json has of it."""
        shape, scaling = tuple(values["shape"]), Scaling.of(values.get("scaling"))
        odd = tuple(values.get("odd", ()))
        return Part(**{**values, "shape": shape, "scaling": scaling, "odd": odd})

    def line(self, pair: str) -> str:
        """For people.

        >>> Part("npz:a", 90, 10, (2,), "0" * 64, {"a": 9}).line("pair-00")
        'pair-00: npz:a, 90 training and 10 held-out samples, classes a: 9, sha256 000000000000'
        """
        classes = (
            ", classes " + ", ".join(f"{c}: {n:,}" for c, n in self.classes.items() if n)
            if self.classes
            else ""
        )
        return (
            f"{pair}: {self.source}, {self.train:,} training and {self.held_out:,} held-out"
            f" samples{classes}, "
            + (f"sha256 {self.sha256[:12]}" if self.sha256 else "drawn by the seed of the run")
        )

    def reading(self, pair: str) -> list[str]:
        """What its reader has done to it, for people, one thing a line; counts, no names of files.

        >>> a = Part("folder:a", 90, 10, (1, 8, 8), "", {}, skipped={"files with suffix .txt": 2})
        >>> a.reading("pair-00")
        ['pair-00 left out: files with suffix .txt (2)']
        """
        out = [f"{pair} converted: {what} ({count:,})" for what, count in self.converted.items()]
        out += [f"{pair} left out: {why} ({count:,})" for why, count in self.skipped.items()]
        # those that are there stand with their counts in `line`
        return out + [f"{pair} labels: {self.labels}"] * bool(self.labels and not self.classes)


def part_oddities(parts: Mapping[str, Part]) -> list[str]:
    """What looks odd in each of them."""
    return [f"{pair}: {odd}" for pair, part in parts.items() for odd in part.odd]


def members(
    rule: str, count: int, labels: Index | None, index: int, parts: int, seed: int
) -> Index:
    """Which of `count` samples are part `index` of `parts`, in order.

    >>> members("by_class", 6, np.array([0, 1, 2, 0, 1, 2]), 0, 2, 0).tolist()
    [0, 2, 3, 5]
    """
    if rule == "shards":
        # every parts-th of a random order: sizes differ by one at most
        return np.sort(np.random.default_rng([seed, count]).permutation(count)[index::parts])
    assert labels is not None, (
        "rules by class are refused where there are none; clusters are labels"
    )
    if rule in ("by_class", "clusters"):
        return np.flatnonzero(labels % parts == index)
    found = DIRICHLET.fullmatch(rule)
    assert found, "refused by `parsed`"
    mine = list[Index]()
    for c in np.unique(labels):
        # a stream a class: its shares do not depend on which other classes there are
        rng = np.random.default_rng([seed, int(c)])
        edges = np.cumsum(rng.dirichlet(np.full(parts, float(found[1]))))
        order = rng.permutation(np.flatnonzero(labels == c))
        low, high = (
            round(len(order) * e) for e in (edges[index - 1] if index else 0.0, edges[index])
        )
        # the last part takes the rest: rounding loses no sample
        mine.append(order[low : high if index < parts - 1 else None])
    return np.sort(np.concatenate(mine))


def rescaled(array: Array, own: Scaling | None, common: Scaling | None) -> Array:
    """Points (N, features) scaled by `own`, scaled by `common` instead, through the data's own
    units in float64.
    """
    if own == common:
        return array
    # in float64: two scalings in float32 would leave their rounding in the data
    units = own.back(array) if own else array.astype(np.float64)
    if common is not None:
        units = (units - np.asarray(common.offset)) / np.asarray(common.factor)
    return units.astype(np.float32)


def with_labels(labels: Index | None, which: Index) -> Index | None:
    """The labels (N,) of the samples `which`; None where there are none."""
    return None if labels is None else labels[which]
