"""What samples are read from: the config's data set, and each pair's own SOURCE (`data.partition`),
whose samples take the form of the whole.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, cast

from raygan.config import Config, load_component
from raygan.data.base import DataComponent, Samples, freeze
from raygan.data.partition import rescaled
from raygan.data.questions import COLUMNS, settled
from raygan.data.ranges import Unsure
from raygan.data.reading import in_order, kind, read, read_for, source_text
from raygan.errors import DataError


def component_of(config: Config) -> DataComponent:
    """The config's data set."""
    component = config.component("data")
    assert isinstance(component, DataComponent), "data/ holds DataComponents only"
    return component


def sources_of(config: Config) -> Mapping[str, Mapping[str, Any]]:
    """What each pair's own SOURCE stands for; {} where there are none."""
    rule = component_of(config).partition
    return {} if isinstance(rule, str) else rule


def own_source(config: Config, pair: str, outline: Samples) -> Samples:
    """A pair's own SOURCE in the form of the whole. Raises DataError where it has another."""
    with read_for(pair):
        return _own_source(config, pair, outline)


def _own_source(config: Config, pair: str, outline: Samples) -> Samples:
    component = source_component(config, pair)
    where = f"data.partition: {pair}: {source_text(component)}"
    found = read_alike(where, component, config.seed, outline)
    if (found.shape, found.text, kind(found)) != (outline.shape, outline.text, kind(outline)):
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

    def fits(found: Samples) -> bool:
        """Has it the columns that the whole has told about?"""
        return found.shape == outline.shape and bool(outline.columns or not found.columns)

    try:
        # a part has fewer kinds than the whole, which was read as points: what those are is known
        found = settled(lambda: read(component, seed), fits, (COLUMNS,))
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


def source_component(config: Config, pair: str) -> DataComponent:
    """What reads a pair's SOURCE, with the settings of the whole's reader where it is of the same
    kind.
    """
    spec = dict(sources_of(config)[pair])
    # what a user has said of the whole (labels, size, held_out) holds for each SOURCE of its kind
    own = {k: v for k, v in config.data.items() if not k.startswith("partition") and k != "path"}
    made = load_component("data", {**own, **spec} if spec["name"] == own.get("name") else spec)
    return cast(DataComponent, made)
