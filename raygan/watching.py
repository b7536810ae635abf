"""What goes on now, told to whoever shows it (`raygan.cli.progress`); nobody listens unless a verb
runs. Imports nothing of ours, so that anything may tell.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterator
from contextvars import ContextVar
from typing import TypeVar

ShowsProgress = Callable[[str, int, int], None]
WATCH: ContextVar[ShowsProgress | None] = ContextVar("WATCH", default=None)
"""Called (what, done, in all); 0 in all: no end in sight; what "": nothing that needs showing."""

BEGAN: ContextVar[float | None] = ContextVar("BEGAN", default=None)
"""When the command that runs was typed, by time.monotonic."""

Item = TypeVar("Item")


def tell(what: str, done: int = 0, total: int = 0) -> None:
    """Something begins, or goes on; what was told before is over."""
    if (shown := WATCH.get()) is not None:
        shown(what, done, total)


def counted(what: str, items: Collection[Item]) -> Iterator[Item]:
    """The items one by one, each told; the end is in sight.

    >>> list(counted("halves", [2, 4]))
    [2, 4]
    """
    for done, item in enumerate(items):
        tell(what, done, len(items))
        yield item
    tell("")


def command_seconds() -> float | None:
    """Since the command that runs was typed; None where none runs (in Python)."""
    began = BEGAN.get()
    return None if began is None else time.monotonic() - began
