"""What samples are read from: the config's data set, and each pair's own SOURCE (`data.partition`),
whose samples take the form of the whole.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, cast

from raygan.components import shorthand
from raygan.config import Config, load_component
from raygan.data.base import DataComponent, Samples, freeze
from raygan.data.partition import rescaled
from raygan.data.questions import COLUMNS, settled
from raygan.data.ranges import Unsure
from raygan.data.reading import in_order, kind, read, read_for, source_text, told_for
from raygan.errors import ConfigError, DataError
from raygan.own.names import is_own


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
        component = own_component(config, pair)
        where = f"data.partition: {pair}: {source_text(component)}"
        return in_form_of(outline, component, config.seed, where)


def foreign(
    config: Config, source: str | Mapping[str, Any], outline: Samples
) -> tuple[str, Samples]:
    """What somebody else's generator has made, in the form of the config's data, and what it is
    called; source: as of `--data`. Raises ConfigError for what is none, DataError where it has
    another form.
    """
    spec = shorthand(source, "data")
    if not isinstance(spec, Mapping) or is_own(str(spec.get("name", ""))):
        raise ConfigError(
            f"--samples-of {source}: this is no SOURCE. Write PATH, npz:PATH, folder:PATH or the"
            " like."
        )
    component = source_component(config, spec)
    name = source if isinstance(source, str) else source_text(component)
    how = f"--samples-of '{{name: {component.name}, path: .., SETTING: ..}}'"
    with told_for("--samples-of", type(component).model_fields, how):
        return name, in_form_of(outline, component, config.seed, name)


def in_form_of(outline: Samples, component: DataComponent, seed: int, where: str) -> Samples:
    """A SOURCE's samples in the form of the outline's; where: what it is called. Raises DataError
    where it has another.
    """
    found = read_alike(where, component, seed, outline)
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


def own_component(config: Config, pair: str) -> DataComponent:
    """What reads a pair's SOURCE."""
    return source_component(config, sources_of(config)[pair])


def source_component(config: Config, source: Mapping[str, Any]) -> DataComponent:
    """What reads a SOURCE beside the config's data, with the settings of the whole's reader where
    it is of the same kind.
    """
    spec = dict(source)
    # what a user has said of the whole (labels, size, held_out) holds for each SOURCE of its kind
    own = {k: v for k, v in config.data.items() if not k.startswith("partition") and k != "path"}
    made = load_component("data", {**own, **spec} if spec["name"] == own.get("name") else spec)
    return cast(DataComponent, made)
