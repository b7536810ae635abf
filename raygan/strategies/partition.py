"""Parts of the data by pair (`data.partition`): who may have one, and how it is read where the pair
lives. A SOURCE itself is read by `sources.py`.

driver   whole data, or their outline   --with_parts-->   the same with a `Part` of each pair:
                                                          number, shape, SHA-256, scaling
pair     outline with its Part          --own_parts-->    its samples, read from the source, checked
                                                          against the Part

No sample of a pair's own SOURCE goes from one process to another.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from functools import partial

import numpy as np

from raygan.config import Config
from raygan.data import split
from raygan.data.base import DataComponent, Samples, freeze
from raygan.data.clusters import clusters
from raygan.data.odd import oddities
from raygan.data.partition import Index, Part, members, needs_classes, with_labels
from raygan.data.questions import settled
from raygan.data.reading import part_of, read, source_text
from raygan.data.split import fingerprint
from raygan.errors import DataError
from raygan.strategies.roles import number_of
from raygan.strategies.sources import component_of, own_component, own_source, sources_of

Ask = Callable[[Config, list[str], Samples], dict[str, Part]]
"""Reads the sources of these pairs where pairs live, and tells what it found."""


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
    return 1 + max(map(number_of, rule))


def to_come(config: Config) -> list[str]:
    """Pairs that have a SOURCE and are to join, at a run's start."""
    return [p for p in sources_of(config) if number_of(p) > max(config.ids)]


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
            if whole is None:
                whole = known_read(lambda: read(component, config.seed), pair in outline.parts)
            out[pair] = cut(component, config, pair, whole)
        else:
            source = partial(own_source, config, pair, outline)
            out[pair] = known_read(source, pair in outline.parts)
        known = outline.parts.get(pair)
        # the name of a file says nothing of what is in it, on this machine
        if known is not None and known.sha256 != out[pair].sha256:
            raise DataError(
                f"data.partition: {pair} reads {known.source} with sha256 {out[pair].sha256[:12]}.."
                f" where it lives, the run was started on {known.sha256[:12]}... Put the same data"
                " on every machine."
            )
        of_classes = part_of("", out[pair]).labels_sha256
        if known is not None and known.labels_sha256 not in ("", of_classes):
            raise DataError(
                f"data.partition: {pair} reads {known.source} with other classes (data.labels) than"
                " the run was started on. Put the same labels on every machine."
            )
    return out


def known_read(read: Callable[[], Samples], known: bool) -> Samples:
    """Samples; without a question where they are compared with what is known of them."""
    return settled(read, lambda _: True) if known else read()


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
    index, seed = number_of(pair), component.partition_seed
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


def look(config: Config, pairs: Iterable[str], outline: Samples) -> dict[str, Part]:
    """Read each of these pairs' SOURCE here, one by one, and keep what may be known of it. What the
    outline knows already is not asked about: it is compared.
    """

    def look_at(pair: str) -> Part:
        read_own = partial(own_source, config, pair, outline)
        found = known_read(read_own, pair in outline.parts)
        return part_of(source_text(own_component(config, pair)), found, oddities(found))

    return {pair: look_at(pair) for pair in pairs}


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
