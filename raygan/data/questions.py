"""Questions of readers: what a source holds may be another thing than it looks like. A setting
answers them, or what was trained on before: who compares what is read with what is known need not
ask.

    read ----------------------------------> samples
      `-> Doubt -> read without the question -> what is known? -> samples
                                                  `-> no: the question
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from typing import TypeVar

from raygan.errors import DataError

COLUMNS, OTHERS = "columns", "others"
"""What is asked about: which columns are features, and what their numbers mean; all else."""
ANSWERED: ContextVar[frozenset[str]] = ContextVar("ANSWERED", default=frozenset())
T = TypeVar("T")


class Doubt(DataError):
    """A question: without it the source can be read."""


def ask(kind: str, line: str) -> None:
    """Raises Doubt, unless that is answered."""
    if not is_answered(kind):
        raise Doubt(line)


def is_answered(kind: str) -> bool:
    """Is it known what the source was taken for?"""
    return kind in ANSWERED.get()


@contextlib.contextmanager
def answered(*kinds: str) -> Iterator[None]:
    """Nothing of these kinds is asked in here."""
    token = ANSWERED.set(ANSWERED.get() | set(kinds))
    try:
        yield
    finally:
        ANSWERED.reset(token)


def settled(
    read: Callable[[], T], same: Callable[[T], bool], kinds: tuple[str, ...] = (COLUMNS, OTHERS)
) -> T:
    """What `read` gives. Where it asks about these `kinds`: what it gives without asking, if that
    is the `same` as what is known. Raises Doubt where it is not, DataError as `read` does.
    """
    try:
        return read()
    except Doubt as doubt:
        try:
            with answered(*kinds):
                found = read()
        except DataError:
            raise doubt from None
        if not same(found):
            raise
        return found
