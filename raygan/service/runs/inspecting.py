"""`raygan data SOURCE`: what training would be given: recognised, converted, left out, split, and
what is odd about it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from raygan.config import Config
from raygan.controller.files import write_within
from raygan.data.base import Samples
from raygan.data.features import LABELS
from raygan.data.odd import oddities
from raygan.data.partition import part_oddities
from raygan.data.reading import kind
from raygan.data.record import printable
from raygan.data.rows import Rows, extremes
from raygan.data.stored import Samplings
from raygan.errors import ConfigError
from raygan.service.runs.identity import identity
from raygan.service.views.sheet import sheet
from raygan.strategies.base import load_data, with_data
from raygan.strategies.partition import with_parts
from raygan.strategies.sources import sources_of

NAMED = 8
"""Columns and classes that a line names."""


def report_of(config: Config) -> tuple[Samples, dict[str, Any]]:
    """The config's data, and all that can be said of them as plain values. Raises DataError."""
    if sources := sources_of(config):
        # it is about these sources, and not about a run with so many pairs
        config = config.model_copy(update={"num_pairs": len(sources)})
    data = with_parts(config, with_data(config), load_data(config))
    # what follows counts samples, and nobody here holds any
    if not data.whole:
        return data, of_parts(data)
    record = (
        data.record.plain()
        if data.record
        else {"source": data.name, "recognised": f"built in: {data.name}"}
    )
    return data, {
        **record,
        "data": identity(data),
        "samples": {"train": len(data.train), "held_out": len(data.held_out), "split": data.split},
        "each": each(data),
        "duplicates": duplicates(data),
        "constant": constant(data),
        "missing": 0,
        "classes": classes(data),
        "hints": hints(record),
        "odd": [*oddities(data), *part_oddities(data.parts)],
    }


def of_parts(data: Samples) -> dict[str, Any]:
    """What can be said of samples that nobody holds as a whole."""
    assert data.record is not None, "data parts tell what they are"
    held_out = sum(part.held_out for part in data.parts.values())
    return {
        **data.record.plain(),
        "data": identity(data),
        "samples": {"train": data.distinct, "held_out": held_out, "split": data.split},
        "each": {
            "kind": kind(data),
            "shape": list(data.shape),
            **({"scaling": data.scaling.plain()} if data.scaling else {}),
        },
        "odd": part_oddities(data.parts),
    }


def each(data: Samples) -> dict[str, Any]:
    """Kind, shape, type and range of the samples as D is shown them; of points the scaling of each
    column too.
    """
    smallest, largest = extremes(data.train)
    low, high = float(smallest.min()), float(largest.max())
    out: dict[str, Any] = {
        "kind": kind(data),
        "shape": list(data.shape),
        "type": str(data.train.dtype),
        "range": [low, high],
    }
    if data.is_images:
        out["channels"] = data.shape[0]
        out["shown"] = (
            [low / 127.5 - 1, high / 127.5 - 1] if data.train.dtype == np.uint8 else [low, high]
        )
    return out | ({"scaling": data.scaling.plain()} if data.scaling else {})


def duplicates(data: Samples) -> dict[str, int]:
    """Samples that equal an earlier one of their part to the last bit, and held-out ones that are
    trained on as well.
    """
    first, last = digests(data.train), digests(data.held_out)
    trained = set(first)
    return {
        "train": len(first) - len(trained),
        "held_out": len(last) - len(set(last)),
        "in_both": sum(d in trained for d in last),
    }


def digests(samples: Samplings) -> list[bytes]:
    """A hash of 16 bytes for each sample."""
    return [
        # Digests, since the samples themselves may not fit into memory; their order is not kept,
        # only what is equal.
        hashlib.blake2b(np.ascontiguousarray(row).tobytes(), digest_size=16).digest()
        for part in Rows.of(samples).parts()
        for row in part
    ]


def constant(data: Samples) -> list[int]:
    """Columns of points that never change; of pictures the pixels, by their place in (C, H, W); ()
    for text.
    """
    if data.text or not len(data.train):
        return []
    # Over both parts: what varies in one of them is not constant.
    low, high = extremes(data.train, data.held_out)
    return [int(i) for i in np.flatnonzero(low == high)]


def classes(data: Samples) -> dict[str, list[int]]:
    """Class -> [training samples, held-out samples]."""
    if data.labels is None or data.held_out_labels is None:
        return {}
    counts = [
        np.bincount(a, minlength=len(data.classes)) for a in (data.labels, data.held_out_labels)
    ]
    return {
        printable(n): [int(counts[0][i]), int(counts[1][i])] for i, n in enumerate(data.classes)
    }


def hints(record: Mapping[str, Any]) -> list[str]:
    """What was left out and may be classes, with the setting that takes it as such."""
    left = [n for what in record.get("skipped", {}).values() for n in what["names"]]
    known = [n for n in left if n.lower() in (*LABELS, "y_train", "train_labels", "labels_train")]
    return [f"{n} was left out and may be classes: data.labels: {n} uses them" for n in known]


def lines(data: Samples, found: Mapping[str, Any]) -> list[str]:
    """The report for people, one thing a line."""
    each, samples = found["each"], found["samples"]
    out = data.record.lines() if data.record else [f"data {data.name}: built in"]
    total = samples["train"] + samples["held_out"]
    parts = [
        f"part           {line}"
        for pair, part in data.parts.items()
        for line in (part.line(pair), *part.reading(pair))
    ]
    odd = [f"warning        {odd}" for odd in found["odd"]]
    if not data.whole:
        return [*out, *parts, "more           of one source each: raygan data SOURCE", *odd]
    twice = found["duplicates"]
    low, high = each["range"]
    how = f", {each['type']} {low:.4g} .. {high:.4g}"
    if each["kind"] == "pictures":
        how += ", shown to D as {:.3g} .. {:.3g}".format(*each["shown"])
    shape = " x ".join(map(str, each["shape"]))
    out += [
        (
            f"samples        {total:,}: {samples['train']:,} to train on, {samples['held_out']:,}"
            f" held out ({samples['split']})"
        ),
        f"each           {each['kind']} of {shape}{how}",
        (
            f"duplicates     {twice['train']:,} in the training part, {twice['held_out']:,} held"
            f" out; {twice['in_both']:,} held-out samples are trained on too"
        ),
        f"constant       {some(found['constant'], 'pixels' if data.is_images else 'columns')}",
        "missing        none: a source with missing values is refused",
        f"classes        {class_line(found['classes'])}",
        f"sha256         {data.sha256 or 'none: drawn by the seed of the run'}",
    ]
    return [
        *out,
        *parts,
        *(f"hint           {h}" for h in found["hints"]),
        *odd,
    ]


def some(numbers: list[int], what: str) -> str:
    """
    >>> some([1, 2], "columns"), some([], "columns")
    ('2 of the columns: 1, 2', 'none')
    """
    more = ", ..." if len(numbers) > NAMED else ""
    return (
        f"{len(numbers):,} of the {what}: {', '.join(map(str, numbers[:NAMED]))}{more}"
        if numbers
        else "none"
    )


def class_line(counts: Mapping[str, list[int]]) -> str:
    """Each with its training and held-out samples."""
    if not counts:
        return "none known"
    more = ", ..." if len(counts) > NAMED else ""
    each = ", ".join(f"{n} {a:,} + {b:,}" for n, (a, b) in list(counts.items())[:NAMED])
    return f"{len(counts)}, training + held out: {each}{more}"


def write_sheet(data: Samples, out: Path) -> str:
    """The sheet as a file; what to tell. Raises ConfigError where that cannot be."""
    if out.suffix != ".png":
        raise ConfigError(f"--out {str(out)!r}: the sheet is a picture. Name it .png.")
    if not data.whole:
        raise ConfigError(
            f"--out {str(out)!r}: nobody holds samples of all parts. Draw one source: raygan data"
            " SOURCE --out FILE.png."
        )
    if (drawn := sheet(data)) is None:
        raise ConfigError(
            f"--out {str(out)!r}: samples of shape {data.shape} cannot be drawn. Leave it out."
        )
    try:
        write_within(out.parent, out.name, drawn)
    except OSError as error:
        raise ConfigError(
            f"--out {str(out)!r}: cannot be written ({error.strerror}). Name another place."
        ) from None
    return str(out)
