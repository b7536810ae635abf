"""Signals that end a run or a sweep in order: Ctrl-C, `kill`, and a terminal that is closed."""

from __future__ import annotations

import contextlib
import os
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


def ending() -> Handler:
    """Ends what is under way as an error does, which passes by those who close: the default would
    end the process, and leave trackers with a run that never ends. A second signal ends the process
    at once, but for SIGHUP: a terminal that is closed sends two, one by its shell and one by the
    kernel.
    """
    heard = list[int]()

    def handler(signum: int, frame: FrameType | None) -> None:
        if heard:
            if signum == signal.SIGHUP:
                return
            os._exit(128 + signum)
        heard.append(signum)
        raise KeyboardInterrupt if signum == signal.SIGINT else SystemExit(128 + signum)

    return handler


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
