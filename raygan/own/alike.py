"""Is what was made again what it was? The first place where it is not.

Compared is what can be: plain values, containers, arrays, the state of users' own objects, the code
of their functions, and of torch modules what their tensors look like. Of anything else (a lock, a
logger, a stream of random numbers) nobody can tell, and nothing is said.
"""

from __future__ import annotations

import functools
import reprlib
import sys
from collections import deque
from collections.abc import Iterator, Mapping
from enum import Enum
from itertools import chain
from types import CodeType, FunctionType, GenericAlias, MethodType, ModuleType, UnionType
from typing import Any

from pydantic import BaseModel

from raygan.own.source import PREFIX, is_installed

PLAIN = (bool, int, float, complex, str, bytes, type(None))
WRAPS = (functools.partial, MethodType, property, staticmethod, classmethod)
HELD = ("__func__", "__self__", "__wrapped__", "fget", "fset", "func", "args", "keywords")
"""Attributes of what wraps others; lru_cache among them."""
REWRITTEN = "@pytest_ar"
"""In functions of a test file, which pytest compiles in its own way."""


class _Said:
    """Words instead of a value."""

    def __init__(self, what: str) -> None:
        self.what = what

    def __repr__(self) -> str:
        return self.what


NOT_THERE = _Said("not there")
OTHER_CODE = _Said("other code than its text"), _Said("that of the text")
Difference = tuple[str, Any, Any]
"""Where, the one, the other."""


def difference(live: Any, again: Any, at: str) -> str:
    """`CFG['w'] is 9, and 4 when it is made again`; "" where no difference can be seen."""
    try:
        found = next(Compared().unlike(live, again, at), None)
    except RecursionError:
        # nested deeper than anybody can look
        return ""
    if found is None:
        return ""
    where, one, other = found
    return f"{where} is {shown(one)}, and {shown(other)} when it is made again"


def shown(value: Any) -> str:
    """In a few words, whatever its own repr does."""
    try:
        return " ".join(reprlib.repr(value).split())
    except Exception:
        return f"a {type(value).__name__}"


class Compared:
    """One comparison: what was met already is not looked at again."""

    def __init__(self) -> None:
        self._met = dict[tuple[int, int], Any]()

    def unlike(self, a: Any, b: Any, at: str, shapes: bool = False) -> Iterator[Difference]:
        """Where they differ. shapes: of tensors nothing but what they look like."""
        if a is b or (id(a), id(b)) in self._met:
            return
        if _both(a, b, PLAIN):
            # by its text too: NaN is what it was; 50 and 50.0 are one number
            if a != b and repr(a) != repr(b):
                yield at, a, b
            return
        # kept alive as well: an id is free again once its object is gone
        self._met[id(a), id(b)] = a, b
        if _both(a, b, type):
            if not _twins(a, b):
                yield at, a, b
            elif b.__module__.startswith(PREFIX):
                yield from self._classes(a, b, at)
        elif _both(a, b, ModuleType):
            # a package's own modules have another name when they are made again
            if a.__name__ != b.__name__ and not b.__name__.startswith(PREFIX):
                yield at, a, b
        elif not _twins(type(a), type(b)):
            yield at, a, b
        else:
            yield from self._objects(a, b, at, shapes)

    # What has several branches returns iterators, and is none itself: a level of nesting costs two
    # frames of Python's stack.

    def _objects(self, a: Any, b: Any, at: str, shapes: bool) -> Iterator[Difference]:
        """Of one class."""
        if isinstance(a, Enum):
            return _told(a.name != b.name, a, b, at)
        if isinstance(a, FunctionType):
            return self._functions(a, b, at)
        if hasattr(type(a), "named_parameters"):
            return self._states(a, b, at, shapes=True)
        if _is_array(a):
            return _told(not _same_array(a, b, shapes), a, b, at)
        return self._contents(a, b, at, shapes)

    def _contents(self, a: Any, b: Any, at: str, shapes: bool) -> Iterator[Difference]:
        held, others = self._held(a, b, at, shapes), _is_others(type(b))
        if not others:
            # a user's own class may keep more than what it holds
            return chain(held or (), self._states(a, b, at, shapes))
        if held is not None:
            return held
        unlike = not _equal(a, b)
        # they may hold users' own, of which two are never equal: only what is in them tells
        if unlike and hasattr(a, "__dict__"):
            return self._states(a, b, at, shapes)
        return _told(unlike, a, b, at)

    def _held(self, a: Any, b: Any, at: str, shapes: bool) -> Iterator[Difference] | None:
        """Of what containers hold and wrappers wrap; None of anything else."""
        if isinstance(a, Mapping):
            return self._mappings(a, b, at, shapes)
        if isinstance(a, list | tuple | deque):
            return self._sequences(a, b, at, shapes)
        if isinstance(a, set | frozenset):
            # users' own classes, functions and enumerations are never equal to those made again
            plain = all(isinstance(x, PLAIN) for x in a | b)
            return _told(len(a) != len(b) or (plain and a != b), a, b, at)
        if isinstance(a, WRAPS) or "__wrapped__" in getattr(a, "__dict__", {}):
            return self._wrapped(a, b, at, shapes)
        if isinstance(a, GenericAlias | UnionType) or type(a).__module__ == "typing":
            # list[Own]
            one, other = getattr(a, "__args__", None), getattr(b, "__args__", None)
            return self.unlike(one, other, at, shapes)
        return None

    def _sequences(self, a: Any, b: Any, at: str, shapes: bool) -> Iterator[Difference]:
        if len(a) != len(b):
            yield at, a, b
        for i, (x, y) in enumerate(zip(a, b, strict=False)):
            yield from self.unlike(x, y, f"{at}[{i}]", shapes)

    def _wrapped(self, a: Any, b: Any, at: str, shapes: bool) -> Iterator[Difference]:
        for name in HELD:
            yield from self.unlike(getattr(a, name, None), getattr(b, name, None), at, shapes)

    def _mappings(self, a: Any, b: Any, at: str, shapes: bool) -> Iterator[Difference]:
        for key in [*a, *(k for k in b if k not in a)]:
            # keys of users' own classes cannot be looked up in the other one
            if not all(isinstance(k, PLAIN) for k in (key if isinstance(key, tuple) else [key])):
                continue
            one, other = a.get(key, NOT_THERE), b.get(key, NOT_THERE)
            yield from self.unlike(one, other, f"{at}[{key!r}]", shapes)
        if len(a) != len(b):
            yield at, a, b

    def _states(self, a: Any, b: Any, at: str, shapes: bool) -> Iterator[Difference]:
        one, other = _state(a), _state(b)
        for name in {**one, **other}:
            where = f"{at}.{name}" if at else name
            x, y = one.get(name, NOT_THERE), other.get(name, NOT_THERE)
            # torch numbers them through the process
            if shapes and "hook" in name and isinstance(x, dict) and isinstance(y, dict):
                x, y = list(x.values()), list(y.values())
            yield from self.unlike(x, y, where, shapes)

    def _classes(self, a: type, b: type, at: str) -> Iterator[Difference]:
        one, other = vars(a), vars(b)
        for name in {**one, **other}:
            x, y = one.get(name, NOT_THERE), other.get(name, NOT_THERE)
            # what Python, dataclasses and pydantic keep there follows from the rest
            if not name.startswith("__") or isinstance(x, FunctionType):
                yield from self.unlike(x, y, f"{at}.{name}")

    def _functions(self, a: FunctionType, b: FunctionType, at: str) -> Iterator[Difference]:
        if REWRITTEN not in a.__code__.co_names and _code(a.__code__) != _code(b.__code__):
            yield at, *OTHER_CODE
        yield from self.unlike(a.__defaults__, b.__defaults__, f"{at}'s default")
        yield from self.unlike(a.__kwdefaults__, b.__kwdefaults__, f"{at}'s default")
        for name, x, y in zip(
            a.__code__.co_freevars, a.__closure__ or (), b.__closure__ or (), strict=False
        ):
            yield from self.unlike(_inside(x), _inside(y), f"{at}'s {name}")
        yield from self._states(a, b, at, shapes=False)


def _both(a: Any, b: Any, kind: Any) -> bool:
    return isinstance(a, kind) and isinstance(b, kind)


def _told(unlike: bool, a: Any, b: Any, at: str) -> Iterator[Difference]:
    return iter([(at, a, b)] if unlike else [])


def _twins(a: type, b: type) -> bool:
    """The same class, or once that of a script and once that of what was taken of it."""
    return a is b or (
        a.__qualname__ == b.__qualname__
        and (a.__module__ == b.__module__ or b.__module__.startswith(PREFIX))
    )


def _is_others(kind: type) -> bool:
    """Is it a class of Python or of an installed package?"""
    if kind.__module__.startswith(PREFIX):
        return False
    file = getattr(sys.modules.get(kind.__module__), "__file__", None)
    # a class of a function of the script has no other text than that
    return kind.__module__ != "__main__" and (file is None or is_installed(file))


def _state(thing: Any) -> dict[str, Any]:
    """Its attributes, without asking it."""
    slots = [s for c in type(thing).__mro__ for s in _listed(vars(c).get("__slots__", ()))]
    found = {s: getattr(thing, s) for s in slots if not s.startswith("__") and hasattr(thing, s)}
    found |= _of_model(thing) if isinstance(thing, BaseModel) else getattr(thing, "__dict__", {})
    if hasattr(type(thing), "named_parameters"):
        # a torch module's, by the names by which they are known
        for held in ("_modules", "_parameters", "_buffers"):
            found |= found.pop(held, {})
    # what it has computed of the rest since, and may compute again
    return {name: value for name, value in found.items() if not _is_cache(type(thing), name)}


def _of_model(thing: BaseModel) -> dict[str, Any]:
    # by what name a part was loaded (`_name`) is no setting
    private = {k: v for k, v in (thing.__pydantic_private__ or {}).items() if k != "_name"}
    try:
        # as it travels: a default is not validated, and may be a list where a tuple is meant
        return thing.model_dump(mode="json", warnings=False) | private
    except ValueError:
        # not plain: one inside a user's own object
        return vars(thing) | private


def _is_cache(kind: type, name: str) -> bool:
    held = next((vars(c)[name] for c in kind.__mro__ if name in vars(c)), None)
    return isinstance(held, functools.cached_property)


def _listed(slots: Any) -> Any:
    return [slots] if isinstance(slots, str) else slots


def _inside(cell: Any) -> Any:
    try:
        return cell.cell_contents
    except ValueError:
        # nothing yet
        return NOT_THERE


def _is_array(thing: Any) -> bool:
    """Has it numbers of one type in a shape, and is no container of Python's?"""
    held = isinstance(thing, Mapping | list | tuple | deque | set | frozenset)
    return not held and hasattr(type(thing), "shape") and hasattr(type(thing), "dtype")


def _same_array(a: Any, b: Any, shapes: bool) -> bool:
    try:
        if a.shape != b.shape or a.dtype != b.dtype:
            return False
        # NaN is what it was
        return shapes or bool(((a == b) | ((a != a) & (b != b))).all())
    except Exception:
        # no array after all, or one without numbers yet: lazy, meta
        return True


def _equal(a: Any, b: Any) -> bool:
    """By its own word; True where it has none, or none that is a yes or a no."""
    try:
        # a user's class may compare with anything, and with another result than a bool
        return type(a).__eq__ is object.__eq__ or bool(a == b)  # type: ignore[comparison-overlap]
    except Exception:
        return True


def _code(code: CodeType) -> Any:
    """What it does, not where it stands."""
    consts = [_code(c) if isinstance(c, CodeType) else (type(c), c) for c in code.co_consts]
    return code.co_name, code.co_code, code.co_names, code.co_varnames, code.co_freevars, consts
