"""Python objects as names: raygan.train(network=MyNet(width=8), loss=Focal, data=array,
metrics=[sharpness]).

    a class of a file                      that file, which travels
    a class of an installed package        its module, by name
    a class of a script or a notebook      what the class needs of it (script.py)
    no source anywhere (a lambda, a REPL)  the object itself: inline only,
                                           and the run ends with this process
    an array, a tensor, a Dataset          the data set `given`, by the hash of its samples

An instance is its class with the settings that it was made with: attributes named like the
constructor's parameters. Each is made again here, as a worker will make it, and has to be alike.
"""

from __future__ import annotations

import functools
import inspect
import secrets
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

from pydantic import BaseModel

from raygan.errors import ConfigError, error_line
from raygan.own.alike import NOT_THERE, difference
from raygan.own.excerpt import from_script
from raygan.own.find import settle
from raygan.own.importing import import_again, register
from raygan.own.names import DIGITS, Name, is_own, label, name_by_module, split
from raygan.own.script import reached
from raygan.own.settings import parameters
from raygan.own.source import OBJECTS, PREFIX, SOURCES, Source, is_installed

ONE = {"network": "network", "loss": "loss", "data": "data", "strategy": "strategy"}


Given = Callable[[Any], Mapping[str, Any]]
"""What a config says of samples that are given as they are (`data.given.spec_of`)."""


def named(settings: Mapping[str, Any], given: Given) -> dict[str, Any]:
    """The settings of `raygan.train`, each object by its name. Raises ConfigError."""
    out = dict(settings)
    for key in set(out) & set(ONE):
        out[key] = spec_of(key, out[key], given)
    for key, kind in (("metrics", "metric"), ("track", "tracker")):
        if isinstance(several := out.get(key), list | tuple):
            out[key] = [spec_of(kind, one, given) for one in several]
    if isinstance(groups := out.get("pairs"), list | tuple):
        out["pairs"] = [
            named(group, given) if isinstance(group, Mapping) else group for group in groups
        ]
    return out


def spec_of(kind: str, thing: Any, given: Given) -> Any:
    """What a config says of it: text and mappings as they are. Raises ConfigError."""
    if isinstance(thing, str) or thing is None:
        return thing
    if isinstance(thing, Mapping):
        inner = thing.get("name")
        return (
            thing
            if inner is None or isinstance(inner, str)
            else {**thing, "name": _reference(kind, inner)[0]}
        )
    if isinstance(thing, BaseModel):
        name, again = _reference(kind, type(thing))
        return _alike(kind, thing, again, {"name": name, **thing.model_dump(mode="json")})
    # keywords are settings; what was given by position has no name to be written under
    if isinstance(thing, functools.partial) and not thing.args:
        return {"name": _reference(kind, thing.func)[0], **thing.keywords}
    if kind == "data" and not inspect.isclass(thing):
        return dict(given(thing))
    if isinstance(thing, functools.partial):
        return {"name": _object(thing, getattr(thing.func, "__name__", ""))}
    if inspect.isclass(thing) or inspect.isroutine(thing) or inspect.ismodule(thing):
        return {"name": _reference(kind, thing)[0]}
    return _instance(kind, thing)


def _instance(kind: str, thing: Any) -> dict[str, Any]:
    settings = dict[str, Any]()
    for name, parameter in parameters(type(thing)).items():
        if hasattr(thing, name):
            settings[name] = getattr(thing, name)
        elif parameter.default is parameter.empty:
            return {"name": _object(thing, type(thing).__name__)}
        else:
            raise ConfigError(
                f"{kind}: {type(thing).__name__} does not keep its setting {name!r}. Write"
                f" self.{name} = {name} in it, or give class and settings: {kind}={{'name':"
                f" {type(thing).__name__}, ...}}."
            )
    name, again = _reference(kind, type(thing))
    return _alike(kind, thing, again, {"name": name, **settings})


def _alike(kind: str, thing: Any, again: Any, spec: dict[str, Any]) -> dict[str, Any]:
    """The spec, of which a worker makes what the thing is. Raises ConfigError where it does not."""
    what, settings = type(thing).__name__, {k: v for k, v in spec.items() if k != "name"}
    if not is_own(spec["name"]):
        return spec
    try:
        made = again(**settings)
    except (Exception, SystemExit) as error:
        # of any kind: whatever a user's constructor does
        raise ConfigError(
            f"{kind}: {what} cannot be made again with its settings, as each worker makes it"
            f" ({error_line(error)}). Give class and settings: {kind}={{'name': {what}, ...}}."
        ) from None
    if found := difference(thing, made, ""):
        raise ConfigError(
            f"{kind}: {what}: {found}, as each worker does. Let __init__ keep each setting as"
            f" it is given, and make one of what is set later; or give class and settings:"
            f" {kind}={{'name': {what}, ...}}."
        )
    return spec


def _reference(kind: str, thing: Any) -> tuple[str, Any]:
    """The settled (or whole) name of a class, a function, or a module, and what a worker will take
    for it. Raises ConfigError where that is something else.
    """
    name = _name(thing)
    if not is_own(name) or split(name).key in OBJECTS:
        return name, thing
    module = thing if inspect.ismodule(thing) else sys.modules[thing.__module__]
    if module.__name__.startswith(PREFIX):
        return name, thing
    settled = split(settle(kind, name))
    source = SOURCES[settled.key]
    # imported by name: it is the same one
    if source.module:
        return name, thing
    there = import_again(kind, settled, source)
    for used in _names_used(settled, source, there):
        now, then = (vars(m).get(used, NOT_THERE) for m in (module, there))
        # one that nobody has bound is a builtin, or the code says so itself
        if now is NOT_THERE:
            continue
        if found := difference(now, then, used):
            move = (
                f"Make {used!r} a setting (a parameter), or let one statement at the top bind it"
                if used != settled.what
                else "Let its text say so, or start anew where that has changed"
            )
            raise ConfigError(
                f"{kind}: {label(str(settled))}: {found}, as each worker does. {move}."
            )
    return name, getattr(there, settled.what) if settled.what else there


def _names_used(part: Name, source: Source, there: ModuleType) -> list[str]:
    """Names of its module that the part's code needs, in order."""
    file = part.where if source.package else next(iter(source.files))
    mine = [part.what] if part.what else [n for n in vars(there) if not n.startswith("_")]
    # __name__ is another wherever it is imported
    return sorted(n for n in reached(source.files[file], mine) if not n.startswith("__"))


def _name(thing: Any) -> str:
    if inspect.ismodule(thing):
        return _of_module(thing, "")
    what = getattr(thing, "__qualname__", type(thing).__name__)
    module = sys.modules.get(getattr(thing, "__module__", None) or "")
    if module is None or not what.isidentifier() or getattr(module, what, None) is not thing:
        return _object(thing, what)
    if module.__name__.startswith("raygan.") and not module.__name__.startswith("raygan.own"):
        return name_by_module(module.__name__)
    if module.__name__ != "__main__":
        return _of_module(module, what)
    source = from_script(module, [what])
    if source is None:
        return _object(thing, what)
    return str(Name(next(iter(source.files)), what, register(source).key))


def _of_module(module: ModuleType, what: str) -> str:
    if module.__name__.startswith(PREFIX):
        source = SOURCES[module.__name__.removeprefix(PREFIX)[:DIGITS]]
        where = Path(str(module.__file__))
        name = (
            where.relative_to(Path(source.path).parent).as_posix()
            if source.package
            else next(iter(source.files))
        )
        return str(Name(name, what, source.key))
    file = getattr(module, "__file__", None)
    if file is None or not file.endswith(".py"):
        raise ConfigError(
            f"{what or module.__name__}: module {module.__name__!r} has no Python source. Put it in"
            " a file."
        )
    return str(Name(module.__name__ if is_installed(file) else file, what, ""))


def _object(thing: Any, what: str) -> str:
    key = next((k for k, known in OBJECTS.items() if known is thing), None) or secrets.token_hex(
        DIGITS // 2
    )
    OBJECTS[key] = thing
    plain = "".join(c if c.isalnum() else "_" for c in what.rpartition(".")[2]).strip("_")
    return str(Name("object", plain or "it", key))
