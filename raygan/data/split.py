"""How a data set without an official test part is cut in two, and the hash that tells whose data it
is.

    order = a permutation by seed, evenly over the classes where they are known
    held out = its first samples; training part = the others, of which `limit` keeps the first

Files come sorted, often by class: the last samples of a file are nobody's fair test.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Literal

import numpy as np
import numpy.typing as npt
from pydantic import Field

from raygan.data.base import DataComponent, Samples, freeze
from raygan.data.labels import numbered
from raygan.data.record import Read
from raygan.data.rows import Rows
from raygan.data.stored import Samplings, Stored
from raygan.errors import DataError

MOST = 1000
"""Samples that are held out where nobody says how many."""


class SplitData(DataComponent):
    """What data sets share that raygan has to split."""

    held_out: int = Field(
        0, ge=0, description=f"So many samples are held out; 0 = a tenth, at most {MOST:,}."
    )
    held_out_by: Literal["random", "tail"] = Field(
        "random",
        description=(
            "random: by held_out_seed, evenly over classes; tail: the last ones, as older runs."
        ),
    )
    held_out_seed: int = Field(
        0, ge=0, description="Of the random split; the run's seed leaves it as it is."
    )
    limit: int | None = Field(
        None, gt=0, description="Train on so many samples only, drawn as the split is."
    )

    def cut(self, name: str, found: Read) -> Samples:
        """What was read (N, ...), split. Raises DataError for fewer than two samples."""
        array, classes = found.array, found.classes
        if len(array) < 2:
            raise DataError(f"data: {name} holds {len(array)} samples; at least 2 are needed.")
        count = self.held_out or min(max(1, len(array) // 10), MOST)
        if count >= len(array):
            raise DataError(
                f"data: {name}: {len(array)} samples are not enough to hold out {count}. Lower"
                " data.held_out."
            )
        # hashed along: x and 2 x + 1 are scaled to the same numbers
        way_back = [np.array([s.offset, s.factor]) for s in (found.scaling,) if s]
        sha256, (labels, names) = fingerprint(array, *way_back), numbered(classes)
        if self.held_out_by == "tail":
            rest = len(array) - count
            train, held_out = (
                part(array, np.arange(rest)[: self.limit]),
                part(array, np.arange(rest, len(array))),
            )
            split = f"last {count}"
            order = np.roll(np.arange(len(array)), count)
        else:
            # by a seed of its own: runs with other seeds are scored on the same held-out samples
            order = shuffled(len(array), self.held_out_seed, classes)
            keep = None if self.limit is None else count + self.limit
            train, held_out = part(array, order[count:keep]), part(array, order[:count])
            evenly = ", by class" if names else ""
            split = f"random {100 * count / len(array):.3g} %, seed {self.held_out_seed}{evenly}"
        freeze(*(a for a in (train, held_out) if isinstance(a, np.ndarray)))
        first, last = (
            (None, None)
            if labels is None
            else (labels[order[count:]][: len(train)], labels[order[:count]])
        )
        return Samples(
            name, train, held_out, split=split, sha256=sha256, scaling=found.scaling,
            record=found.record, labels=first, held_out_labels=last, classes=names,
            columns=tuple(found.record.columns), scale=found.record.scale,
        )  # fmt: skip


def shuffled(
    count: int, seed: int, classes: Sequence[object] | None = None
) -> npt.NDArray[np.int64]:
    """A permutation (count,); with classes each part of it from the front on holds them in about
    their shares.

    >>> sorted(shuffled(4, 0).tolist())
    [0, 1, 2, 3]
    >>> sorted(int(i) // 4 for i in shuffled(8, 0, "aaaabbbb")[:4])
    [0, 0, 1, 1]
    """
    order = np.random.default_rng([seed, count]).permutation(count)
    if classes is None:
        return order
    _, which, sizes = np.unique(
        np.array([str(c) for c in classes])[order], return_inverse=True, return_counts=True
    )
    # each sample's place within its class, as a share: sorted by it, every front part has all
    # classes evenly
    rank = np.empty(count)
    for number, size in enumerate(sizes):
        rank[which == number] = (np.arange(size) + 0.5) / size
    return order[np.argsort(rank, kind="stable")]


def part(array: Samplings, which: npt.NDArray[np.int64]) -> Samplings:
    """Some of the samples, in this order; of a file it is noted which."""
    return array.take(which) if isinstance(array, Stored) else array[which]


def fingerprint(*arrays: Samplings) -> str:
    """SHA-256 of types, shapes and contents."""
    digest = hashlib.sha256()
    for i, array in enumerate(arrays):
        # a file of gigabytes is hashed once: the hash goes on from where it stood
        if i == 0 and isinstance(array, Stored) and array.digest is not None:
            digest = array.digest.copy()
            continue
        digest.update(f"{array.dtype} {array.shape}".encode())
        for some in Rows.of(array).parts():
            digest.update(np.ascontiguousarray(some).reshape(-1).view(np.uint8).data)
        if i == 0 and isinstance(array, Stored):
            array.digest = digest.copy()
    return digest.hexdigest()
