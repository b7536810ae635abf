"""Parts of the data by pair (`data.partition`): who may have one, and how it is read where the pair
lives.

driver   whole data, or their outline   --with_parts-->   the same with a `Part` of each pair:
                                                          number, shape, SHA-256, scaling
pair     outline with its Part          --own_parts-->    its samples, read from the source, checked
                                                          against the Part

No sample of a pair's own SOURCE goes from one process to another.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, cast

import numpy as np

from raygan.config import Config, load_component
from raygan.data import split
from raygan.data.base import DataComponent, Samples, freeze
from raygan.data.clusters import clusters
from raygan.data.partition import Index, Part, members, needs_classes, rescaled, with_labels
from raygan.data.ranges import Unsure
from raygan.data.record import Scaling
from raygan.data.split import fingerprint
from raygan.errors import ConfigError, DataError
from raygan.own.calling import calling
from raygan.own.names import label

Ask = Callable[[Config, list[str], Samples], dict[str, Part]]
"""Reads the sources of these pairs where pairs live, and tells what it found."""


def component_of(config: Config) -> DataComponent:
    """The config's data set."""
    component = config.component("data")
    assert isinstance(component, DataComponent), "data/ holds DataComponents only"
    return component


def sources_of(config: Config) -> Mapping[str, Mapping[str, Any]]:
    """What each pair's own SOURCE stands for; {} where there are none."""
    rule = component_of(config).partition
    return {} if isinstance(rule, str) else rule


def unlike(config: Config) -> str | None:
    """What gives pairs unlike data, as it was written; None where all see the like."""
    rule = component_of(config).partition
    if rule in ("shared", "shards"):
        return None
    return rule if isinstance(rule, str) else "{pair: SOURCE}"


def parts_of(config: Config) -> float:
    """How many parts there are, those of pairs to come included; infinity where all is shared."""
    component = component_of(config)
    rule = component.partition
    if rule == "shared":
        return math.inf
    if isinstance(rule, str):
        return component.partition_parts or config.num_pairs
    return 1 + max(int(pair.rpartition("-")[2]) for pair in rule)


def pinned(config: Config) -> Config:
    """With the number of parts, which stays as it is when pairs leave."""
    component = component_of(config)
    if (
        component.partition == "shared"
        or component.partition_parts
        or not isinstance(component.partition, str)
    ):
        return config
    return config.model_copy(update={"data": {**config.data, "partition_parts": config.num_pairs}})


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


def own_parts(
    config: Config, pairs: Iterable[str], outline: Samples, whole: Samples | None = None
) -> dict[str, Samples]:
    """The samples of each of these pairs; {} where all are shared. `outline`: of the whole, with
    the parts as they are known.

    whole: of the config's data, where this process has read them already. Raises DataError for a
    source that holds others here.
    """
    component = component_of(config)
    if component.partition == "shared":
        return {}
    out = dict[str, Samples]()
    for pair in pairs:
        if isinstance(component.partition, str):
            whole = read(component, config.seed) if whole is None else whole
            out[pair] = cut(component, config, pair, whole)
        else:
            out[pair] = own_source(config, pair, outline)
        known = outline.parts.get(pair)
        # the name of a file says nothing of what is in it, on this machine
        if known is not None and known.sha256 != out[pair].sha256:
            raise DataError(
                f"data.partition: {pair} reads {known.source} with sha256 {out[pair].sha256[:12]}.."
                f" where it lives, the run was started on {known.sha256[:12]}... Put the same data"
                " on every machine."
            )
    return out


def cut(component: DataComponent, config: Config, pair: str, whole: Samples) -> Samples:
    """A pair's part of the whole, of its training and of its held-out samples. Raises DataError for
    an empty one.
    """
    rule, parts = str(component.partition), component.partition_parts or config.num_pairs
    if needs_classes(rule) and whole.labels is None:
        if whole.record is not None and whole.record.labels:
            raise DataError(
                f"data.partition = {rule}: {whole.name} has {whole.record.labels}. Parts by class"
                " need two at least: set data.labels to others, or take shards."
            )
        raise DataError(
            f"data.partition = {rule}: {whole.name} has no classes. Set data.labels to a column, a"
            " key or a file, or take shards."
        )
    index, seed = int(pair.rpartition("-")[2]), component.partition_seed
    # both parts are cut by one rule, so that a pair is scored on data like its own
    labels: Sequence[Index | None] = (whole.labels, whole.held_out_labels)
    if rule == "clusters":
        labels = clusters((whole.train, whole.held_out), parts, seed)
    first, last = (
        members(rule, len(samples), of_each, index, parts, seed)
        for samples, of_each in zip((whole.train, whole.held_out), labels, strict=True)
    )
    if not (len(first) and len(last)):
        raise DataError(
            f"data.partition = {rule}: {pair} gets {len(first):,} training and {len(last):,}"
            f" held-out samples of {whole.name}, at least one of each is needed. Take fewer pairs,"
            " raise data.held_out, or change data.partition_seed."
        )
    train, held_out = split.part(whole.train, first), split.part(whole.held_out, last)
    freeze(*(a for a in (train, held_out) if isinstance(a, np.ndarray)))
    return replace(
        whole, train=train, held_out=held_out, sha256=fingerprint(train, held_out), record=None,
        parts={}, labels=with_labels(whole.labels, first),
        held_out_labels=with_labels(whole.held_out_labels, last),
    )  # fmt: skip


def own_source(config: Config, pair: str, outline: Samples) -> Samples:
    """A pair's own SOURCE in the form of the whole. Raises DataError where it has another."""
    component = source_component(config, pair)
    where = f"data.partition: {pair}: {spoken(component)}"
    found = read_alike(where, component, config.seed, outline)
    if (found.shape, found.is_images, found.text) != (
        outline.shape,
        outline.is_images,
        outline.text,
    ):
        raise DataError(
            f"{where} holds {kind(found)} of shape {found.shape}, {outline.name} {kind(outline)} of"
            f" shape {outline.shape}. Make them alike."
        )
    found = in_order(where, found, outline)
    # points of all pairs in the same units: networks that move between pairs must mean the same by
    # a number
    if found.scaling == outline.scaling:
        return found
    if found.is_images:
        raise DataError(
            f"{where} holds pictures scaled by their own range. Bring all to 0..255 or -1..1."
        )
    train, held_out = (
        rescaled(a[:], found.scaling, outline.scaling) for a in (found.train, found.held_out)
    )
    freeze(train, held_out)
    return replace(found, train=train, held_out=held_out, scaling=outline.scaling)


def read_alike(where: str, component: DataComponent, seed: int, outline: Samples) -> Samples:
    """A pair's SOURCE; its pictures scaled by the rule of the whole's, where their range has to
    tell. Raises DataError where they do not fit it.
    """
    auto = outline.scale and getattr(component, "scale", None) == "auto"
    try:
        found = read(component, seed)
        if not auto or found.scale in ("", outline.scale):
            return found
    except Unsure:
        if not auto:
            raise
    # a part of -1..1 without a negative number is no 0..1: the whole has told what it is
    try:
        return read(component.model_copy(update={"scale": outline.scale}), seed)
    except DataError as error:
        raise DataError(f"{where} does not fit {outline.name}: {error}") from None


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


def source_component(config: Config, pair: str) -> DataComponent:
    """What reads a pair's SOURCE, with the settings of the whole's reader where it is of the same
    kind.
    """
    spec = dict(sources_of(config)[pair])
    # what a user has said of the whole (labels, size, held_out) holds for each SOURCE of its kind
    own = {k: v for k, v in config.data.items() if not k.startswith("partition") and k != "path"}
    made = load_component("data", {**own, **spec} if spec["name"] == own.get("name") else spec)
    return cast(DataComponent, made)


def spoken(component: DataComponent) -> str:
    """A source in words: npz:a.npz."""
    path = getattr(component, "path", None)
    return f"{component.name}:{path}" if path else component.name


def kind(data: Samples) -> str:
    """Of its samples."""
    return "text" if data.text else "pictures" if data.is_images else "points"


def part_of(source: str, samples: Samples) -> Part:
    """What may be known of it elsewhere."""
    counts = dict[str, int]()
    if samples.labels is not None:
        counts = {name: int((samples.labels == i).sum()) for i, name in enumerate(samples.classes)}
    return Part(
        source,
        len(samples.train),
        len(samples.held_out),
        samples.shape,
        samples.sha256,
        counts,
        samples.scaling,
    )


def look(config: Config, pairs: Iterable[str], outline: Samples) -> dict[str, Part]:
    """Read each of these pairs' SOURCE here, one by one, and keep what may be known of it."""
    return {
        p: part_of(spoken(source_component(config, p)), own_source(config, p, outline))
        for p in pairs
    }


def with_parts(config: Config, pairs: list[str], whole: Samples, ask: Ask = look) -> Samples:
    """The whole with what is known of each pair's part; as it is where all is shared. Raises
    DataError.
    """
    component = component_of(config)
    if component.partition == "shared":
        return whole
    if isinstance(component.partition, str):
        found = {
            p: part_of(f"{component.partition} of {whole.name}", cut(component, config, p, whole))
            for p in pairs
        }
    else:
        found = ask(config, pairs, whole.outline)
    return replace(whole, parts=found)


def counts(data: Samples, pairs: Iterable[str]) -> dict[str, float]:
    """Training samples of each of these pairs, of which its share is made;
    1 each where all train on the same.
    """
    return {p: float(data.parts[p].train) if p in data.parts else 1.0 for p in pairs}
