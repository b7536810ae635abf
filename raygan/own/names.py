"""How a config names a user's own part.

./nets.py:MyNet, ./nets.py, parts/nets.py:MyNet    a file; relative to the working directory,
                                                   or to the YAML file
my_pkg.losses:Focal, my_pkg.losses                 a module that can be imported
nets.py:MyNet@3f2a9c1b7d04                         settled: the first 12 (`DIGITS`)
                                                   of its source's SHA-256
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

from raygan.paths import expanded

DIGITS = 12
MODULE = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*")
SETTLED = re.compile(rf"@([0-9a-f]{{{DIGITS}}})$")


class Name(NamedTuple):
    """The parts of an own name."""

    where: str
    """File, package folder or module."""
    what: str
    """Name in it; "" where one component is in it."""
    key: str
    """Of its source; "" before it is settled."""

    @property
    def is_module(self) -> bool:
        """Is it imported by name?"""
        return not self.where.endswith(".py") and MODULE.fullmatch(self.where) is not None

    def __str__(self) -> str:
        return (
            self.where
            + (f":{self.what}" if self.what else "")
            + (f"@{self.key}" if self.key else "")
        )


def split(name: str) -> Name:
    """
    >>> split("./nets.py:MyNet"), split("my_pkg.losses")
    (Name(where='./nets.py', what='MyNet', key=''), Name(where='my_pkg.losses', what='', key=''))
    >>> split("nets.py:MyNet@0123456789ab")
    Name(where='nets.py', what='MyNet', key='0123456789ab')
    """
    settled = SETTLED.search(name)
    rest = name[: settled.start()] if settled else name
    where, colon, what = rest.rpartition(":")
    if not colon or not MODULE.fullmatch(what) or "." in what:
        where, what = rest, ""
    return Name(where, what, settled[1] if settled else "")


def is_own(name: str) -> bool:
    """Is it a user's own part, by its form?

    >>> [is_own(n) for n in ("./nets.py", "nets.py:MyNet", "my_pkg.losses:Focal", "mine:Focal")]
    [True, True, True, True]
    >>> [is_own(n) for n in ("hinge", "npx:x.npz")]
    [False, False]
    """
    found = split(name)
    if found.key or found.where.endswith(".py") or "/" in found.where:
        return ":" not in found.where
    return found.is_module and bool(found.what or "." in found.where)


def label(name: str) -> str:
    """For people: without the hash.

    >>> label("nets.py:MyNet@0123456789ab"), label("hinge")
    ('nets.py:MyNet', 'hinge')
    """
    return SETTLED.sub("", name)


def short(name: str) -> str:
    """In a run's name.

    >>> short("nets.py:MyNet@0123456789ab"), short("nets.py"), short("gap")
    ('MyNet', 'nets', 'gap')
    """
    if not is_own(name):
        return name
    found = split(name)
    return found.what or re.split(r"[./]", found.where.removesuffix(".py"))[-1]


def absolute(name: str, base: Path) -> str:
    """A file's name relative to `base`, made whole; all others as they are."""
    found = split(name)
    if found.key or found.is_module or not is_own(name):
        return name
    return str(found._replace(where=str(base.absolute() / expanded(found.where))))


def name_by_module(module: str) -> str:
    """A component that comes with raygan is named as its file, or as the folder that holds its
    files.

    >>> name_by_module("raygan.losses.hinge"), name_by_module("raygan.strategies.sgan.strategy")
    ('hinge', 'sgan')
    >>> name_by_module("mine.nets")
    'nets'
    """
    parts = module.split(".")
    return parts[2] if parts[0] == "raygan" and len(parts) > 2 else parts[-1]
