"""From presets, files and flags to one config that knows where each value came from.

default < preset < files in order < flags
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

from pydantic import BaseModel, ConfigDict

from raygan.components import KINDS, load_component, names, shorthand, validate
from raygan.config.files import DEFAULT_PRESET, from_file, preset_values
from raygan.config.run import Config
from raygan.own.inside import whole_flag


class Resolved(BaseModel):
    """A config with the origin of each of its values (dotted path -> "default", "preset NAME", a
    file, "flag").
    """

    model_config = ConfigDict(frozen=True)
    config: Config
    origins: dict[str, str]

    def yaml(self, texts: Mapping[str, str] = MappingProxyType({})) -> str:
        """The whole config as YAML, each value with its origin behind it, and its text where one
        is given (by dotted path).
        """
        return "\n".join(_yaml_lines(full_dump(self.config), self.origins, texts)) + "\n"


def full_dump(config: Config) -> dict[str, Any]:
    """The config as plain values, with the components' defaults written out."""
    values = config.model_dump(mode="json")
    for kind in KINDS:
        component = config.component(kind)
        values[kind] = {"name": component.name, **component.model_dump(mode="json")}
    if not values["code"]:
        del values["code"]
    return values


def _yaml_lines(
    values: Mapping[str, Any], origins: Mapping[str, str], texts: Mapping[str, str], path: str = "",
    indent: str = ""
) -> list[str]:  # fmt: skip
    lines: list[str] = []
    for key, value in values.items():
        where = f"{path}{key}"
        if isinstance(value, dict):
            lines += [
                f"{indent}{key}:",
                *_yaml_lines(value, origins, texts, where + ".", indent + "  "),
            ]
        else:
            line = f"{indent}{key}: {json.dumps(value)}"
            origin = origins.get(where, "default")
            text = texts.get(where, "")
            lines.append(f"{line:<32}  # {origin}: {text}" if text else f"{line}  # {origin}")
    return lines


def load_parts(config: Config) -> None:
    """Build every component that players and evaluator need. Raises ConfigError."""
    for kind in ("network", "loss", "strategy"):
        config.component(kind)
    for i in range(len(config.pairs)):
        own = config.of(f"pair-{sum(g.count for g in config.pairs[:i])}")
        own.component("network"), own.component("loss")
    for spec in config.metrics:
        load_component("metric", spec)


def merge(
    base: dict[str, Any],
    new: Mapping[str, Any],
    origin: str,
    origins: dict[str, str],
    path: str = "",
) -> dict[str, Any]:
    """Lay `new` over `base`, noting `origin` for each value that it sets.

    A component that changes its name loses the settings of the old one.
    """
    out = dict(base)
    # names, where Python's own have been given: {0: SOURCE}
    for key, value in ((str(k), v) for k, v in new.items()):
        where = f"{path}{key}"
        if (not path and key in KINDS) or path + key == "strategy.over":
            value = shorthand(value, key)
        old = out.get(key)
        if isinstance(value, dict) and isinstance(old, dict):
            if "name" in value and value["name"] != old.get("name"):
                # Settings of the preset's component mean nothing to another one, or, worse,
                # something else under the same name.
                old = {}
                for stale in [o for o in origins if o.startswith(where + ".")]:
                    del origins[stale]
            out[key] = merge(old, value, origin, origins, where + ".")
        elif isinstance(value, dict):
            out[key] = merge({}, value, origin, origins, where + ".")
        else:
            out[key] = value
            origins[where] = origin
    return out


def resolve(
    preset: str | None = None, files: Sequence[Path] = (), flags: Mapping[str, Any] | None = None
) -> Resolved:
    """default < preset < files in order < flags; all components checked.

    `flags` maps dotted paths to values: {"strategy.messenger_steps": 5}. Raises ConfigError with
    one line.
    """
    origins: dict[str, str] = {}
    name = DEFAULT_PRESET if preset is None else preset
    defaults = {kind: shorthand(Config.model_fields[kind].default) for kind in KINDS}
    values = merge(defaults, preset_values(name), f"preset {name}", origins)
    for file in files:
        values = merge(values, from_file(file), str(file), origins)
    # --data mnist before --data.path.
    for path, value in sorted((flags or {}).items(), key=lambda f: "." in f[0]):
        given = shorthand(value, path) if path == "data" else value
        values = merge(values, nested(path, whole_flag(path, given, Path())), "flag", origins)
    count_pairs(values, origins)
    config = validate(Config, values)
    refuse_shadows(config)
    config.component("data")
    load_parts(config)
    for spec in config.listeners:
        load_component("listener", spec)
    for spec in config.track:
        load_component("tracker", spec)
    return Resolved(config=config, origins=origins)


def count_pairs(values: dict[str, Any], origins: dict[str, str]) -> None:
    """Sets `num_pairs` to what `pairs` adds up to, unless the user has set it."""
    groups = values.get("pairs")
    set_by_user = not origins.get("num_pairs", "preset").startswith("preset")
    if set_by_user or not isinstance(groups, list | tuple):
        return
    counts = [g.get("count", 1) for g in groups if isinstance(g, dict)]
    if counts and all(isinstance(c, int) for c in counts):
        values["num_pairs"], origins["num_pairs"] = sum(counts), origins.get("pairs", "pairs")


def refuse_shadows(config: Config) -> None:
    """Raises ConfigError for a component that an installed package has under the same name."""
    # Here, not at the top: entry points are looked up on the disk, which --help does without.
    from raygan.own.installed import refuse_shadow

    for kind in KINDS:
        if (own := str(getattr(config, kind).get("name"))) in names(kind):
            refuse_shadow(kind, own)


def nested(path: str, value: object) -> dict[str, Any]:
    """A dotted path as nested mappings.

    >>> nested("pair.lr_g", 1)
    {'pair': {'lr_g': 1}}
    """
    for part in reversed(path.split(".")):
        value = {part: value}
    assert isinstance(value, dict), "a path has at least one part"
    return value
