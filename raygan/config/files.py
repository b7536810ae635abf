"""Settings in files: presets, a user's YAML, the config of a run folder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from raygan.components import shorthand
from raygan.config import written_yaml
from raygan.errors import ConfigError, did_you_mean
from raygan.own.inside import refuse_unsettled, whole
from raygan.own.trust import claim
from raygan.paths import include_hint

PRESETS = Path(__file__).parents[1] / "presets"
DEFAULT_PRESET = "ring8-sharp"


def presets() -> list[str]:
    """Names of the presets that come with raygan."""
    return sorted(p.stem for p in PRESETS.glob("*.yaml"))


def preset_values(name: str) -> dict[str, Any]:
    """A preset's values; raises ConfigError for an unknown one."""
    if name not in presets():
        raise ConfigError(f"preset: no preset named {name!r}. {did_you_mean(name, presets())}")
    return read_yaml(PRESETS / f"{name}.yaml")


MAX_VALUES = 10_000
"""Values in a config file, aliases counted each time."""


def expanded(value: object, known: dict[int, int] | None = None) -> int:
    """Values that a YAML document stands for; aliases to one thing are looked at once, and counted
    each time.

    >>> expanded({"a": [1, 2]})
    4
    """
    known = {} if known is None else known
    if id(value) not in known:
        inside = (
            value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
        )
        known[id(value)] = MAX_VALUES + 1  # what contains itself never ends
        known[id(value)] = 1 + sum(expanded(v, known) for v in inside)
    return known[id(value)]


CONFIG_FILE = "config file"


def read_yaml(path: Path, what: str = CONFIG_FILE) -> dict[str, Any]:
    """A YAML file's mapping; raises ConfigError for anything else."""
    try:
        values = written_yaml.read(path.read_text())
        # Nine lines of aliases to aliases stand for a billion values ("billion laughs"), and
        # the loader does not mind: they are one object until somebody walks over them.
        if expanded(values) > MAX_VALUES:
            raise ConfigError(
                f"{what} {str(path)!r} holds more than {MAX_VALUES} values. Its aliases expand"
                " too far."
            )
    except written_yaml.Twice as error:
        raise ConfigError(f"{what} {str(path)!r}: {error}. Leave one of them out.") from None
    except FileNotFoundError:
        flag = " to --config" if what == CONFIG_FILE else ""
        raise ConfigError(
            f"{what} {str(path)!r} does not exist. Check the path given{flag}.{include_hint(path)}"
        ) from None
    except (OSError, UnicodeDecodeError, yaml.YAMLError, RecursionError, ValueError) as error:
        reason = str(error).replace("\n", " ")
        raise ConfigError(
            f"{what} {str(path)!r} cannot be read: {reason}. Write it as YAML."
        ) from None
    if values is None:
        return {}
    if not isinstance(values, dict):
        raise ConfigError(
            f"{what} {str(path)!r} holds a {type(values).__name__}, not settings `key: value`."
        )
    return {str(k): v for k, v in values.items()}


def from_file(path: Path) -> dict[str, Any]:
    """A config file's values; own files lie relative to it, and a run's config.yaml says where its
    own were.
    """
    values = read_yaml(path)
    if (path.parent / "run.json").exists():  # a run's, whoever made it
        refuse_unsettled(values, path)
    if "data" in values:
        # A path with a data set's suffix is no own part.
        values["data"] = shorthand(values["data"], "data")
    values = whole(values, path.parent)
    if isinstance(code := values.pop("code", None), dict):
        claim(path.parent, code)
    return values
