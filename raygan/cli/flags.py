"""Flags: `--pair.lr-g 1e-3` is the setting `pair.lr_g`; every setting of a config is a flag, and
the YAML files use the same names.

One parser for flags and files gives one kind of error line, and each value keeps its origin; that
is why this is not an argument library (decision 7 in docs/decisions.md).
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import yaml

from raygan.cli.commands import VERBS, Verb
from raygan.cli.shared_flags import ALIASES
from raygan.cli.usage import help_text, usage
from raygan.components import component_class, names
from raygan.config import KINDS, Config, resolve, written_yaml
from raygan.errors import ConfigError, did_you_mean
from raygan.paths import expanded
from raygan.visible import say as print


@dataclass
class Arguments:
    """What stood on the command line."""

    options: dict[str, str | bool] = field(default_factory=dict)
    lists: dict[str, list[str]] = field(default_factory=dict)
    settings: dict[str, Any] = field(default_factory=dict)
    positional: list[str] = field(default_factory=list)

    def get(self, name: str) -> str | None:
        """The value of an option; None where it was not given."""
        value = self.options.get(name)
        return value if isinstance(value, str) else None

    def files(self, name: str) -> list[Path]:
        """What a flag that may be given again names, in order."""
        return [expanded(path) for path in self.lists.get(name, [])]

    def has(self, name: str) -> bool:
        """Was this switch given?"""
        return self.options.get(name) is True


def parse(verb: str, argv: Sequence[str]) -> Arguments:
    """Split what stands behind a verb; raises ConfigError that names the flag and the next move,
    and ends with the verb's help where that is asked for.
    """
    about = VERBS[verb]
    if HELP & set(argv):
        print(help_of(verb, [a for a in argv if a not in HELP]))
        raise SystemExit(0)
    return split(verb, argv, about)


HELP = {"-h", "--help"}


def help_of(verb: str, argv: Sequence[str]) -> str:
    """A verb's help; of one that takes settings, with the values that this command line gives them,
    and only those of components that it names (`--strategy gap`).
    """
    width = min(shutil.get_terminal_size((100, 24)).columns, 100)
    about = VERBS[verb]
    if not about.settings:
        return help_text(verb, width)
    from raygan.cli.settings import settings_help

    # Help is asked for half-way through a line: what is still missing is no mistake.
    args = split(verb, argv, replace(about, plain=(0, about.plain[1])))
    if verb == "data" and args.positional:
        args.settings["data"] = args.positional[0]
    asked = [kind for kind in KINDS if kind in args.settings]
    resolved = resolve(args.get("preset"), args.files("config"), args.settings)
    shown = settings_help(resolved, asked, width)
    return shown if asked else f"{help_text(verb, width)}\n\n{shown}"


def split(verb: str, argv: Sequence[str], about: Verb) -> Arguments:
    """Flags, settings and plain arguments. Raises ConfigError."""
    out = Arguments()
    queue = list(argv)
    while queue:
        arg = queue.pop(0)
        # A single minus is stdin, or stdout, as everywhere.
        if not arg.startswith("-") or arg == "-":
            out.positional.append(arg)
            continue
        name, equals, value = ALIASES.get(arg, arg).removeprefix("--").partition("=")
        flag = about.flags.get(name)
        if flag is not None and not flag.value:
            if equals:
                raise ConfigError(f"--{name} takes no value. Write --{name} alone.")
            out.options[name] = True
            continue
        path = name.replace("-", "_")
        if flag is None and not (about.settings and path.partition(".")[0] in top_level()):
            raise no_flag(name, about)
        if not equals:
            value = value_behind(name, queue)
        # an unset variable of a shell: a default in its place would be somebody else's wish
        if flag is not None and not value:
            raise ConfigError(f"--{name} is empty. Write --{name} VALUE, or leave it out.")
        if flag is None:
            out.settings[path] = setting_value(path, value)
        elif flag.many:
            out.lists.setdefault(name, []).append(value)
        else:
            out.options[name] = value
    check_number(verb, out.positional, about)
    return out


def no_flag(name: str, about: Verb) -> ConfigError:
    """The line for a flag that the verb does not have."""
    known = [*about.flags, *(top_level() if about.settings else [])]
    hint = did_you_mean(name, [k.replace("_", "-") for k in known])
    return ConfigError(f"no flag '--{name}'. {hint}")


def value_behind(name: str, queue: list[str]) -> str:
    """Takes a flag's value off the queue. Raises ConfigError where there is none."""
    # A value may begin with one minus (--pair.lr-g -1 is refused for what it is), not with two.
    if not queue or (queue[0].startswith("--") and len(queue[0]) > 2):
        raise ConfigError(f"--{name} needs a value. Write --{name} VALUE.")
    return queue.pop(0)


def check_number(verb: str, positional: Sequence[str], about: Verb) -> None:
    """Raises ConfigError for more or fewer plain arguments than the verb takes."""
    least, most = about.plain
    if not least <= len(positional) <= most:
        extra = (
            f"unexpected {positional[most]!r}" if len(positional) > most else "something is missing"
        )
        raise ConfigError(f"{extra}. Usage: {usage(verb)}")


def setting_value(path: str, text: str) -> Any:
    """A flag's text as YAML would read it; a component's shorthand stays text."""
    # `--data 2024.npz` is a name, and YAML would make a number of 2024.
    if path in KINDS and not text.startswith("{"):
        return text
    if wants_text(path):
        return None if text == "null" else text
    try:
        value = written_yaml.read(text)
    except written_yaml.Twice as error:
        raise ConfigError(f"--{path} {text}: {error}. Leave one of them out.") from None
    except yaml.YAMLError:
        return text
    # YAML 1.1 takes 1e-3 for text: its floats need a point.
    if isinstance(value, str):
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
    # Of all components of the kind, since --data.path may stand before --data npz.
    found = (component_class(kind, name)[0].model_fields.get(field) for name in names(kind))
    return any(info is not None and info.annotation in (str, str | None) for info in found)


def top_level() -> list[str]:
    """Names of the config's own settings and groups."""
    return list(Config.model_fields)
