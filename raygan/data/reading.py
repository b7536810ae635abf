"""A data set's samples as whoever asks for them gets them: read, put in order by their columns, and
what may be known of them elsewhere.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace

import numpy as np

from raygan.data.base import DataComponent, Samples, freeze
from raygan.data.partition import Part
from raygan.data.record import Record, Scaling
from raygan.data.split import fingerprint
from raygan.errors import ConfigError, DataError
from raygan.own.calling import calling
from raygan.own.names import label


def read(component: DataComponent, seed: int) -> Samples:
    """A data set's samples; what a user's own code raises, and what it gives that is none, is one
    line.
    """
    with calling("data", component.name, "load"):
        data = component.load(seed)
    if not isinstance(data, Samples):
        raise ConfigError(
            f"data {label(component.name)}: load gives a {type(data).__name__}. Return"
            " raygan.data.base.Samples."
        )
    return data


def read_for(pair: str, settings: Collection[str] = ()) -> contextlib.AbstractContextManager[None]:
    """`told_for`, of a pair's SOURCE."""
    return told_for(f"data.partition: {pair}", settings, f"{pair}: {{name: .., SETTING: ..}}")


@contextlib.contextmanager
def told_for(whose: str, settings: Collection[str], how: str) -> Iterator[None]:
    """What is wrong with a SOURCE is told with whose it is; and of these settings, which a reader
    names as those of the whole's, how they are written.
    """
    try:
        yield
    except ConfigError as error:
        text, prefix = str(error), f"{whose}: "
        if text.startswith(prefix):
            raise
        named = next((n for n in re.findall(r"data\.(\w+)", text) if n in settings), None)
        told = how.replace("SETTING", named) if named else ""
        where = f" Settings stand in its SOURCE: {told}." if named else ""
        # of the same kind: a question stays one, for who knows the answer
        raise type(error)(f"{prefix}{text}{where}") from None


def in_order(where: str, found: Samples, outline: Samples) -> Samples:
    """Points with their columns in the order of the whole's, by name where both have names. Raises
    DataError for other columns.
    """
    if not (found.columns and outline.columns) or found.columns == outline.columns:
        return found
    if sorted(found.columns) != sorted(outline.columns):
        raise DataError(
            f"{where} has columns {', '.join(found.columns[:20])}, {outline.name}"
            f" {', '.join(outline.columns[:20])}. Name them alike."
        )
    order = [found.columns.index(name) for name in outline.columns]
    train, held_out = (np.ascontiguousarray(a[:][:, order]) for a in (found.train, found.held_out))
    freeze(train, held_out)
    scaling = found.scaling
    # one number scales all columns alike
    if scaling and len(scaling.offset) > 1:
        offset, factor = (tuple(v[i] for i in order) for v in (scaling.offset, scaling.factor))
        scaling = Scaling(offset, factor)
    return replace(found, train=train, held_out=held_out, scaling=scaling, columns=outline.columns)


def part_of(source: str, samples: Samples, odd: Sequence[str] = ()) -> Part:
    """What may be known of it elsewhere; of what was left out how many, and why. odd: what looks
    odd about it (`data.odd`).
    """
    counts, labels = dict[str, int](), ""
    if samples.labels is not None:
        counts = {name: int((samples.labels == i).sum()) for i, name in enumerate(samples.classes)}
        if samples.held_out_labels is not None:
            labels = fingerprint(samples.labels, samples.held_out_labels)
    told = samples.record or Record("")
    return Part(
        source,
        len(samples.train),
        len(samples.held_out),
        samples.shape,
        samples.sha256,
        counts,
        samples.scaling,
        labels,
        # names of folders that are no classes stay where they are
        told.labels.partition(" (")[0],
        dict(told.converted),
        dict(told.skipped),
        tuple(odd),
    )


def source_text(component: DataComponent) -> str:
    """A source in words: npz:a.npz, ring(modes=8)."""
    if path := getattr(component, "path", None):
        return f"{component.name}:{path}"
    said = component.model_dump(exclude_defaults=True, exclude={"name", "partition"})
    settings = ", ".join(f"{name}={value!r}" for name, value in said.items())
    return f"{component.name}({settings})" if settings else component.name


def refuse_parts(data: Samples, what: str) -> None:
    """Raises ConfigError where nobody holds the samples that `what` is measured by."""
    if not data.whole:
        raise ConfigError(
            f"{what}: it takes held-out samples of all parts, and nobody holds these. What parts"
            " can tell: --metrics prdc."
        )


def stand_in(data: Samples) -> Samples:
    """Samples to try networks on where nobody holds real ones: noise of their form."""
    if data.whole:
        return data
    rng = np.random.default_rng(0)
    noise = [rng.uniform(-1, 1, (256, *data.shape)).astype(np.float32) for _ in range(2)]
    return replace(data, train=noise[0], held_out=noise[1])


def kind(data: Samples) -> str:
    """Of its samples."""
    return "text" if data.text else "pictures" if data.is_images else "points"
