"""Flags: `--pair.lr-g 1e-3` is the setting `pair.lr_g`; every setting of a config is a flag, and
the YAML files use the same names.

One parser for flags and files gives one kind of error line, and each value keeps its origin; that
is why this is not an argument library (decision 7 in docs/decisions.md).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import yaml
from pydantic import BaseModel

from raygan.components import component_class, names, shorthand
from raygan.config import KINDS, Config
from raygan.errors import ConfigError, did_you_mean
from raygan.own.names import label


@dataclass
class Arguments:
    """What stood on the command line."""

    options: dict[str, str | bool] = field(default_factory=dict)
    lists: dict[str, list[str]] = field(default_factory=dict)
    settings: dict[str, Any] = field(default_factory=dict)
    positional: list[str] = field(default_factory=list)

    def get(self, name: str) -> str | None:
        """A valued option."""
        value = self.options.get(name)
        return value if isinstance(value, str) else None

    def has(self, name: str) -> bool:
        """A switch."""
        return self.options.get(name) is True


def parse(
    argv: Sequence[str], *, valued: Sequence[str] = (), switches: Sequence[str] = (), repeated: Sequence[str] = (),
    settings: bool = False, positional: tuple[int, int] = (0, 0), usage: str = "",
) -> Arguments:  # fmt: skip
    """Split a command line; raises ConfigError that names the flag and the next move.

    valued, switches, repeated: options without dashes. settings: every other --flag is a setting of
    Config. positional: least and most number of plain arguments.
    """
    out = Arguments()
    known = [*valued, *switches, *repeated, *(top_level() if settings else [])]
    queue = list(argv)
    while queue:
        arg = queue.pop(0)
        if not arg.startswith("-") or arg == "-":
            out.positional.append(arg)
            continue
        aliases = {"-o": "--out", "-n": "--count", "-h": "--help"}
        name, equals, value = aliases.get(arg, arg).removeprefix("--").partition("=")
        if name == "help":
            asked = dict(pairwise([*argv, ""]))
            print(f"usage: {usage}" + ("\n\n" + settings_help(asked) if settings else ""))
            raise SystemExit(0)
        if name in switches:
            if equals:
                raise ConfigError(f"--{name} takes no value. Write --{name} alone.")
            out.options[name] = True
            continue
        path = name.replace("-", "_")
        if name not in [*valued, *repeated] and not (
            settings and path.partition(".")[0] in top_level()
        ):
            raise ConfigError(
                f"no flag '--{name}'. {did_you_mean(name, [k.replace('_', '-') for k in known])}"
            )
        if not equals:
            if not queue or (queue[0].startswith("--") and len(queue[0]) > 2):
                raise ConfigError(f"--{name} needs a value. Write --{name} VALUE.")
            value = queue.pop(0)
        if name in repeated:
            out.lists.setdefault(name, []).append(value)
        elif name in valued:
            out.options[name] = value
        else:
            out.settings[path] = setting_value(path, value)
    least, most = positional
    if not least <= len(out.positional) <= most:
        extra = (
            f"unexpected {out.positional[most]!r}"
            if len(out.positional) > most
            else "something is missing"
        )
        raise ConfigError(f"{extra}. Usage: {usage}")
    return out


def setting_value(path: str, text: str) -> Any:
    """A flag's text as YAML would read it; a component's shorthand stays text."""
    if path in KINDS and not text.startswith("{"):
        return text
    if wants_text(path):
        return None if text == "null" else text
    try:
        value = yaml.safe_load(text)
    except yaml.YAMLError:
        return text
    if isinstance(value, str):  # YAML 1.1 takes 1e-3 for text
        try:
            return float(value)
        except ValueError:
            return value
    return value


def wants_text(path: str) -> bool:
    """Is it a component's setting that is text and nothing else: a path 2024 or 007, a key 0?"""
    kind, _, field = path.partition(".")
    if kind not in KINDS:
        return False
    found = (component_class(kind, name)[0].model_fields.get(field) for name in names(kind))
    return any(info is not None and info.annotation in (str, str | None) for info in found)


def top_level() -> list[str]:
    """Names of the config's own settings and groups."""
    return list(Config.model_fields)


def settings_help(asked: Mapping[str, str] | None = None) -> str:
    """Every setting with its default and its sentence; those of components that `asked` names too
    (`--network` -> ./nets.py).
    """
    lines: list[str] = []

    def walk(model: type[BaseModel], prefix: str) -> None:
        for name, info in model.model_fields.items():
            kind = info.annotation
            if isinstance(kind, type) and issubclass(kind, BaseModel):
                walk(kind, f"{prefix}{name}.")
            else:
                flag = f"--{prefix}{name}".replace("_", "-")
                default = "" if info.is_required() else f" [{info.default}]"
                lines.append(f"  {flag:<34} {info.description or ''}{default}")

    walk(Config, "")
    for kind in KINDS:
        if (name := (asked or {}).get(f"--{kind}")) is not None:
            spec = shorthand(name)
            assert isinstance(spec, dict)
            cls, whole = component_class(kind, str(spec["name"]))
            about = (cls.__doc__ or "").strip().partition("\n")[0]
            lines += ["", f"  {kind} {label(whole) or spec['name']}: {about}"]
            walk(cls, f"{kind}.")
    lines.append(
        "  A component's own settings: --strategy.messenger-steps 5, --loss.weight 0.1,"
        " --network.hidden 128, ..."
    )
    lines.append(
        "  `raygan presets NAME` prints all settings of a preset, those of its components included."
    )
    return "settings (default < preset < --config files in order < flags):\n" + "\n".join(lines)
