"""What is seen while a large source is read: a bar on a terminal, elsewhere a line every ten
seconds, on stderr; or nothing.
"""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Iterator
from typing import Any

from raygan.visible import visible

EVERY_S = 10.0


class Lines:
    """For logs: nothing for what takes less than ten seconds."""

    def __init__(self) -> None:
        self.next = time.monotonic() + EVERY_S

    def __call__(self, what: str, done: int, total: int) -> None:
        """`done` of `total` samples are read."""
        if time.monotonic() >= self.next:
            self.next = time.monotonic() + EVERY_S
            print(
                visible(f"{what}: {done:,} of {total:,} samples read"), file=sys.stderr, flush=True
            )

    def close(self) -> None:
        """The verb is over."""


class Bar:
    """For people; it goes when all is read."""

    def __init__(self) -> None:
        self.live: Any = None

    def __call__(self, what: str, done: int, total: int) -> None:
        """`done` of `total` samples are read."""
        from rich.console import Console
        from rich.markup import escape
        from rich.progress import (
            BarColumn,
            MofNCompleteColumn,
            Progress,
            TextColumn,
            TimeRemainingColumn,
        )

        if self.live is None and done < total:
            columns = (
                TextColumn("{task.description}"),
                BarColumn(),
                MofNCompleteColumn(),
                TimeRemainingColumn(),
            )
            self.live = Progress(*columns, console=Console(stderr=True), transient=True)
            self.task = self.live.add_task(escape(visible(what)), total=total)
            self.live.start()
        if self.live is not None:
            self.live.update(self.task, completed=done, total=total)
        if done >= total:
            self.close()

    def close(self) -> None:
        """Leave the terminal as it was."""
        if self.live is not None:
            self.live.stop()
            self.live = None


@contextlib.contextmanager
def reading_shown(silent: bool) -> Iterator[None]:
    """While a verb runs; imports nothing heavy unless something large is read."""
    from raygan.data.watching import WATCH

    shown = Bar() if sys.stderr.isatty() else Lines()
    token = WATCH.set(None if silent else shown)
    try:
        yield
    finally:
        WATCH.reset(token)
        shown.close()
