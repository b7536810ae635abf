"""What each setting is: its text, range, default and value, for `--help`, `raygan presets NAME`,
shell completion and the site. All of it is read from the config's own classes.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from raygan.cli.usage import row
from raygan.components import KINDS, component_class, names
from raygan.config import Config, Resolved, full_dump
from raygan.own.installed import entry_points
from raygan.own.names import label

Setting = tuple[str, FieldInfo]
"""A setting's dotted path, and what its class says of it."""


def kind_of(hint: Any) -> str:
    """A type as a reader writes its values.

    >>> kind_of(int | None), kind_of(Literal["D", "G"])
    ('whole number', '`D`, `G`')
    """
    if get_origin(hint) is Annotated:
        return kind_of(get_args(hint)[0])
    if get_origin(hint) is Literal:
        return ", ".join(f"`{value}`" for value in get_args(hint))
    if get_origin(hint) in (UnionType, Union):
        return " or ".join(kind_of(one) for one in get_args(hint) if one is not type(None))
    words = {bool: "true, false", int: "whole number", float: "number", str: "text"}
    return words.get(hint, "list" if get_origin(hint) in (tuple, list) else "mapping")


def reach(info: FieldInfo) -> str:
    """Kind and bounds of a setting."""
    signs = {"gt": ">", "ge": ">=", "lt": "<", "le": "<="}
    bounds = [
        f"{signs[k]} {'2^63' if getattr(m, k) == 2**63 else getattr(m, k)}"
        for m in info.metadata
        for k in signs
        if hasattr(m, k)
    ]
    return ", ".join([kind_of(info.annotation), *bounds])


def written(value: object) -> str:
    """A value as a flag or a YAML file has it."""
    if isinstance(value, bool):
        return str(value).lower()
    return "none" if value is None else str(value)


def default(info: FieldInfo) -> str:
    """As it would be written; nothing where there is none."""
    if info.is_required():
        return ""
    return written(info.get_default(call_default_factory=True))


def is_group(info: FieldInfo) -> bool:
    """Does it hold settings itself?"""
    return isinstance(info.annotation, type) and issubclass(info.annotation, BaseModel)


def settings_of(model: type[BaseModel], prefix: str = "") -> Iterator[Setting]:
    """Every setting of a model and of its groups."""
    for name, info in model.model_fields.items():
        if is_group(info):
            assert isinstance(info.annotation, type)
            yield from settings_of(info.annotation, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", info


def known_names(kind: str) -> list[str]:
    """All components of a kind: raygan's, and those of installed packages."""
    return [*names(kind), *entry_points(kind)]


def text_of(path: str, info: FieldInfo) -> str:
    """A setting's sentence; of one that names a component, with all names that there are."""
    text = info.description or ""
    if path in KINDS:
        return f"{text} One of {', '.join(known_names(path))}; or your own: ./FILE.py:NAME."
    return text


def component_settings(kind: str, name: str) -> Iterator[Setting]:
    """Every setting of one component. Raises ConfigError for one that nothing has."""
    yield from settings_of(component_class(kind, name)[0], f"{kind}.")


def texts(resolved: Resolved) -> dict[str, str]:
    """Dotted path -> sentence, for all settings of a config, those of its components included."""
    config = resolved.config
    told = [*settings_of(Config)]
    for kind in KINDS:
        told += component_settings(kind, str(getattr(config, kind)["name"]))
    return {
        **{path: (info.description or "") for path, info in told},
        **{f"{kind}.name": f"The {kind}." for kind in KINDS},
    }


def settings_help(resolved: Resolved, asked: Sequence[str] = (), width: int = 80) -> str:
    """Settings with text, range and the value that this command line gives them: all of them, or
    those of the components that `asked` names ("strategy", "network").
    """
    values, lines = full_dump(resolved.config), list[str]()
    if not asked:
        lines = ["settings (default < preset < --config files in order < flags):"]
        for told in settings_of(Config):
            # `code` is filled in, by the hashes of own parts: nobody types it.
            if told[0] != "code":
                lines += setting_row(told, values, resolved, width)
    for kind in asked or KINDS:
        spec = getattr(resolved.config, kind)
        cls, whole = component_class(kind, str(spec["name"]))
        about = " ".join((cls.__doc__ or "").partition("\n\n")[0].split())
        lines += ["", f"{kind} {label(whole) or spec['name']}: {about}"]
        for told in component_settings(kind, str(spec["name"])):
            lines += setting_row(told, values, resolved, width)
        others = [n for n in known_names(kind) if n != spec["name"]]
        lines += row("", f"Also: --{kind} {', '.join(others)}; each has --help.", width, 4)
    if asked:
        lines += ["", "`--help` without these names lists all flags and all other settings."]
    return "\n".join(lines).lstrip("\n")


def setting_row(told: Setting, values: Any, resolved: Resolved, width: int) -> list[str]:
    """`--pair.lr-g 0.0002`, what it is, its range, and whence that value comes."""
    path, info = told
    for part in path.split("."):
        values = values.get(part, {}) if isinstance(values, dict) else values
    if path in KINDS:
        values = label(str(values["name"]))
    origin = resolved.origins.get(path, "default")
    rest = [reach(info).replace("`", "")] if path not in KINDS else []
    if origin != "default" and default(info):
        rest += [f"{origin}; default {default(info)}"]
    shown = "..." if values in ([], {}, None, "", ()) else written(values)
    mark = f"--{path.replace('_', '-')} {shown}"
    return row(mark, f"{text_of(path, info)} [{'; '.join(rest)}]".replace(" []", ""), width, 34)
