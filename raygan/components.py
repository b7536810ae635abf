"""Components: a loss, a network, a data set, a strategy, by the name that a config gives.

    hinge                       losses/hinge.py: the one Component class in it
    focal                       an entry point `raygan.losses` of an installed package
    ./nets.py:MyNet             a user's own file (raygan/own/); my_pkg.losses:Focal is an own
                                module
    nets.py:MyNet@3f2a9c1b7d04  the same in a config that is settled: by the hash of its source

Nothing here knows a component by name. This module imports neither torch nor Ray.
"""

from __future__ import annotations

import functools
import importlib
import json
import pkgutil
import re
from collections.abc import Mapping
from typing import Annotated, Any, TypeVar, get_args

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    PrivateAttr,
    ValidationError,
    ValidationInfo,
    field_validator,
)

from raygan.errors import ConfigError, did_you_mean
from raygan.own.names import is_own, label, name_by_module

KINDS = {"data": "data", "network": "networks", "loss": "losses", "strategy": "strategies"}
"""Kind -> its package, whose name is that of its entry points' group too."""
LISTED = {"tracker": "trackers"}
"""The same of kinds of which a config names any number."""
PACKAGES = {**KINDS, **LISTED}


def _may_be_bool(kind: Any) -> bool:
    """Is true, or false, among what a field of this type may hold?"""
    return kind in (Any, bool) or isinstance(kind, bool) or any(map(_may_be_bool, get_args(kind)))


class Strict(BaseModel):
    """Settings that are what they say: pydantic takes true for 1, `steps: true` for one step."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    @field_validator("*", mode="before")
    @classmethod
    def _no_bool_for_a_number(cls, value: Any, info: ValidationInfo) -> Any:
        kind = cls.model_fields[str(info.field_name)].annotation
        if isinstance(value, bool) and not _may_be_bool(kind):
            raise ValueError("a number or a name is needed, not true or false")
        return value


class Component(Strict):
    """A frozen set of settings that can do something: a loss, a network, a data set, a strategy."""

    _name: str = PrivateAttr("")

    @property
    def name(self) -> str:
        """Its name in a config: the file's, an entry point's, or where it stands in a user's own
        file.
        """
        return self._name or name_by_module(type(self).__module__)


SUFFIXES = {
    ".npz": "npz", ".npy": "npz", ".zip": "zip", ".parquet": "parquet", ".csv": "csv",
    ".tsv": "csv", ".tab": "csv", ".csv.gz": "csv", ".tsv.gz": "csv", ".h5": "hdf5",
    ".hdf5": "hdf5", ".idx": "idx", "-ubyte": "idx", "-ubyte.gz": "idx", "/": "folder",
}  # fmt: skip
"""How a path ends -> the data set that reads it."""


def shorthand(value: object, kind: str = "") -> object:
    """Turn `ring8`, `grid25`, `npz:PATH`, `mnist` or `./nets.py:MyNet` into the mapping that they
    stand for.

    >>> shorthand("ring8")
    {'name': 'ring', 'modes': 8}
    >>> shorthand("npz:a/b.npz")
    {'name': 'npz', 'path': 'a/b.npz'}
    >>> shorthand("r15")
    {'name': 'r15'}
    >>> shorthand("./nets.py:MyNet")
    {'name': './nets.py:MyNet'}
    >>> shorthand("a/b.npz", "data"), shorthand("torch:my_pkg.mod:Mine", "data")
    ({'name': 'npz', 'path': 'a/b.npz'}, {'name': 'my_pkg.mod:Mine'})
    """
    if not isinstance(value, str):
        return value
    name, colon, path = value.partition(":")
    if kind == "data" and name == "torch" and colon:  # a Dataset is an own part like any other
        return {"name": path}
    if kind == "data" and not (colon and name in names("data")) and (reader := _by_suffix(value)):
        return {"name": reader, "path": value}
    if not (colon and name in names("data")) and is_own(value):
        return {"name": value}
    if colon:
        return {"name": name, "path": path}
    counted = re.fullmatch(r"(ring|grid)(\d+)", name)
    return (
        {"name": counted[1], "modes": int(counted[2])}
        if counted
        else {"name": name.replace("-", "_")}
    )


def _by_suffix(path: str) -> str:
    return next((name for end, name in SUFFIXES.items() if path.lower().endswith(end)), "")


Spec = Annotated[dict[str, Any], BeforeValidator(shorthand)]


@functools.cache
def _built_in(kind: str) -> tuple[str, ...]:
    if kind not in PACKAGES:  # metrics, listeners: users' own only
        return ()
    # By the files that are there: a new loss is one new file, and no list to forget it in
    # (decision 8).
    package = importlib.import_module(f"raygan.{PACKAGES[kind]}")
    skip = getattr(package, "NOT_COMPONENTS", ())
    return tuple(
        sorted(m.name for m in pkgutil.iter_modules(package.__path__) if m.name not in skip)
    )


def names(kind: str) -> list[str]:
    """All components of a kind that come with raygan: the names of the files in its package that
    hold one.

    >>> "sgan" in names("strategy")
    True
    """
    return list(_built_in(kind))


def component_class(kind: str, name: str) -> tuple[type[Component], str]:
    """(class, its whole name) of a component. Raises ConfigError for a name that nothing has."""
    if is_own(name):
        from raygan.own.find import component

        return component(kind, name)
    if name in _built_in(kind):
        module = importlib.import_module(f"raygan.{PACKAGES[kind]}.{name}")
        # defined in it, not imported: a module may build on another component
        return next(
            c
            for c in vars(module).values()
            if isinstance(c, type)
            and issubclass(c, Component)
            and f"{c.__module__}.".startswith(f"{module.__name__}.")
        ), ""
    from raygan.own.installed import entry_points, installed

    if (found := installed(kind, name)) is not None:
        return found, name
    known = [*names(kind), *entry_points(kind)]
    hint = did_you_mean(name, known) if known else ""
    if kind not in PACKAGES:
        hint = f"{hint} Name yours by its file: ./FILE.py:NAME.".lstrip()
    raise ConfigError(f"{kind}: no {kind} named {name!r}. {hint}")


def load_component(kind: str, spec: Mapping[str, Any]) -> Component:
    """Find the component that `spec` names and build it from the rest. Raises ConfigError with one
    line.
    """
    rest = {k: v for k, v in spec.items() if k != "name"}
    cls, whole = component_class(kind, str(spec.get("name", "")))
    try:
        made = cls(**rest)
    except ValidationError as error:
        raise ConfigError(one_line(error, f"{kind}.{label(str(spec['name']))}", cls)) from None
    # A private attribute: the name is no setting, and must not stand in the dump that makes a
    # config equal to another.
    made._name = whole
    return made


Model = TypeVar("Model", bound=BaseModel)


def validate(cls: type[Model], values: Mapping[str, Any]) -> Model:
    """`cls(**values)`, with the first mistake told in one line."""
    try:
        return cls(**values)
    except ValidationError as error:
        raise ConfigError(one_line(error, "", cls)) from None


def one_line(error: ValidationError, prefix: str, cls: type[BaseModel]) -> str:
    """`strategy.gap: no setting 'swap_evry'. Did you mean 'swap_every'?`"""
    # The first only: others often follow from it.
    first = error.errors()[0]
    path = [str(p) for p in first["loc"]]
    owner: Any = cls
    for part in path[:-1]:  # the model in which the mistake stands
        field = getattr(owner, "model_fields", {}).get(part)
        owner = field.annotation if field is not None else owner
    where = ".".join([prefix, *path] if prefix else path)
    if first["type"] == "extra_forbidden":
        parent = where.rpartition(".")[0]
        hint = did_you_mean(path[-1], list(getattr(owner, "model_fields", {})))
        return f"{parent + ': ' if parent else ''}no setting {path[-1]!r}. {hint}"
    reason = first["msg"].removeprefix("Value error, ").rstrip(".")
    if first["type"] == "missing":
        return f"{where} is missing. Add it: it has no default."
    if not path:
        return f"{prefix or 'config'}: {reason}."
    return f"{where or 'config'} = {spoken(first['input'])}: {reason}."


LONGEST = 200
"""Characters of a value in a line."""


def spoken(value: object) -> str:
    """A setting's value in a line; of what has samples in it only what it is.

    >>> spoken({"a": 1}), spoken("x" * 300)[-6:]
    ('{"a": 1}', 'xx ...')
    """

    def plain(thing: object) -> str:
        return f"<{type(thing).__name__}>" if hasattr(thing, "__array__") else str(thing)

    text = json.dumps(value, default=plain)
    return text if len(text) <= LONGEST else f"{text[:LONGEST]} ..."
