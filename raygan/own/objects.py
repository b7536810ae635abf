"""Python objects as names: raygan.train(network=MyNet(width=8), loss=Focal, data=array,
metrics=[sharpness]).

    a class of a file                      that file, which travels
    a class of an installed package        its module, by name
    a class of a script or a notebook      what the class needs of it: the imports, functions and constants that it names
    no source anywhere (a lambda, a REPL)  the object itself: inline only, and the run ends with this process
    an array, a tensor, a Dataset          the data set `given`, by the hash of its samples

An instance is its class with the settings that it was made with: attributes named like the
constructor's parameters.
"""

from __future__ import annotations

import ast
import importlib
import inspect
import secrets
import site
import sys
import sysconfig
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

from pydantic import BaseModel

from raygan.errors import ConfigError
from raygan.own.importing import register
from raygan.own.names import DIGITS, Name, name_by_module
from raygan.own.settings import parameters
from raygan.own.source import PREFIX, SOURCES, Source, hashed

OBJECTS: dict[str, Any] = {}
"""Without a source: key -> the object."""
ONE = {"network": "network", "loss": "loss", "data": "data", "strategy": "strategy"}


def named(settings: Mapping[str, Any]) -> dict[str, Any]:
    """The settings of `raygan.train`, each object by its name. Raises ConfigError."""
    out = dict(settings)
    for key in set(out) & set(ONE):
        out[key] = spec_of(key, out[key])
    for key, kind in (("metrics", "metric"), ("track", "tracker")):
        if isinstance(several := out.get(key), list | tuple):
            out[key] = [spec_of(kind, one) for one in several]
    if isinstance(groups := out.get("pairs"), list | tuple):
        out["pairs"] = [named(group) if isinstance(group, Mapping) else group for group in groups]
    return out


def spec_of(kind: str, thing: Any) -> Any:
    """What a config says of it: text and mappings as they are. Raises ConfigError."""
    if isinstance(thing, str) or thing is None:
        return thing
    if isinstance(thing, Mapping):
        inner = thing.get("name")
        return (
            thing
            if inner is None or isinstance(inner, str)
            else {**thing, "name": _reference(inner)}
        )
    if isinstance(thing, BaseModel):
        return {"name": _reference(type(thing)), **thing.model_dump(mode="json")}
    if kind == "data" and not inspect.isclass(thing):
        return dict(importlib.import_module("raygan.data.given").spec_of(thing))
    if inspect.isclass(thing) or inspect.isroutine(thing) or inspect.ismodule(thing):
        return {"name": _reference(thing)}
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
    return {"name": _reference(type(thing)), **settings}


def _reference(thing: Any) -> str:
    """The settled (or whole) name of a class, a function, or a module."""
    if inspect.ismodule(thing):
        return _of_module(thing, "")
    module, what = sys.modules.get(thing.__module__), thing.__qualname__
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
    installed = any(Path(file).is_relative_to(folder) for folder in _installed())
    return str(Name(module.__name__ if installed else file, what, ""))


def _installed() -> list[str]:
    """Where installed packages lie."""
    paths = sysconfig.get_paths()
    return [paths[k] for k in ("purelib", "platlib", "stdlib")] + [site.getusersitepackages()]


def _object(thing: Any, what: str) -> str:
    key = next((k for k, known in OBJECTS.items() if known is thing), None) or secrets.token_hex(
        DIGITS // 2
    )
    OBJECTS[key] = thing
    plain = "".join(c if c.isalnum() else "_" for c in what.rpartition(".")[2]).strip("_")
    return str(Name("object", plain or "it", key))


# ----------------------------------------------------------------------------------------- out of a
# script, a notebook


def from_script(module: ModuleType, names: Sequence[str]) -> Source | None:
    """What these names need of the script or notebook that runs; None where there is no text."""
    if file := getattr(module, "__file__", None):
        return taken(Path(file).absolute(), names)
    cells = _cells()
    return _source("\n\n".join(cells), "", names, "notebook.py") if cells else None


def taken(path: Path, names: Sequence[str]) -> Source | None:
    """The same out of a file, which is not executed."""
    try:
        return _source(path.read_bytes().decode(), str(path), names, path.name)
    except (OSError, UnicodeDecodeError, SyntaxError):
        return None


def _cells() -> list[str]:
    """What was entered in a notebook, without magics."""
    shell = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    if shell is None:
        return []
    cells = []
    for cell in shell.user_ns.get("In", ()):
        text = "\n".join(
            "" if line.startswith(("%", "!", "?")) else line for line in cell.splitlines()
        )
        try:
            ast.parse(text)
        except SyntaxError:
            continue
        cells.append(text)
    return cells


def _source(text: str, path: str, names: Sequence[str], file: str) -> Source | None:
    found = needed(text, names)
    if not found:
        return None
    files = {file: found}
    return Source(files, path, hashed(files), taken=tuple(names))


def needed(text: str, names: Sequence[str]) -> str:
    """The top statements that bind these names, and those that bind what they name in turn; never
    what only runs.

    >>> print(needed("import os, re\\nA = 2\\nprint(A)\\ndef f():\\n    return re, A\\n", ["f"]), end="")
    import os, re
    A = 2
    def f():
        return re, A
    """
    # read, never executed: a script that begins a run would begin another one (decision 63)
    statements = [s for s in ast.parse(text).body if not _is_main(s)]
    binds = [set(_bound(s)) for s in statements]
    wanted, todo, keep = set[str](), list(names), set[int]()
    while todo:
        name = todo.pop()
        if name in wanted:
            continue
        wanted.add(name)
        for i, bound in enumerate(binds):
            if name in bound and i not in keep:
                keep.add(i)
                todo += [n.id for n in ast.walk(statements[i]) if isinstance(n, ast.Name)]
    if not set(names) <= {n for i in keep for n in binds[i]}:
        return ""
    # star imports may bind anything; the future import changes what annotations are
    keep |= {i for i, bound in enumerate(binds) if bound & {"*", "annotations"}}
    lines = text.splitlines()
    parts = [lines[_first(statements[i]) - 1 : statements[i].end_lineno] for i in sorted(keep)]
    return "\n".join(line for part in parts for line in part) + "\n"


def _first(statement: ast.stmt) -> int:
    decorators: list[ast.expr] = getattr(statement, "decorator_list", [])
    return min([statement.lineno, *(d.lineno for d in decorators)])


def _is_main(statement: ast.stmt) -> bool:
    return isinstance(statement, ast.If) and "__name__" in {
        n.id for n in ast.walk(statement.test) if isinstance(n, ast.Name)
    }


def _bound(statement: ast.stmt) -> Iterator[str]:
    """Names that a top statement binds."""
    if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        yield statement.name
        return
    for node in ast.walk(statement):
        if isinstance(node, ast.Import | ast.ImportFrom):
            yield from (alias.asname or alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.id
        elif isinstance(node, ast.FunctionDef | ast.ClassDef):
            yield node.name
