"""Signals that end a run or a sweep in order: Ctrl-C, `kill`, and a terminal that is closed."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Callable, Iterator
from types import FrameType

Handler = Callable[[int, FrameType | None], None]


def wanted() -> list[signal.Signals]:
    """Those to listen to: SIGHUP too, unless whoever started us has it ignored (nohup), which
    stays.
    """
    heard = [signal.SIGINT, signal.SIGTERM]
    return heard if signal.getsignal(signal.SIGHUP) == signal.SIG_IGN else [*heard, signal.SIGHUP]


@contextlib.contextmanager
def listening(handler: Handler) -> Iterator[None]:
    """The handler for the length of a block. Only a main thread can listen: elsewhere nothing
    happens.
    """
    try:
        before = {s: signal.signal(s, handler) for s in wanted()}
    # Not the main thread: a notebook's run is stopped by `run.stop()` there.
    except ValueError:
        yield
        return
    try:
        yield
    finally:
        for signum, old in before.items():
            signal.signal(signum, old)
