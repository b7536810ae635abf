"""What is seen while something takes long: one line on a terminal, drawn again every second; in a
log a line every ten seconds; all on stderr, or nothing.
"""

from __future__ import annotations

import contextlib
import shutil
import sys
import threading
import time
from collections.abc import Iterator

from raygan.visible import visible
from raygan.watching import BEGAN, WATCH

EVERY_S = 10.0
"""In a log."""
REDRAW_S = 1.0
"""On a terminal."""
BAR = 20


def line(what: str, done: int, total: int, seconds: float) -> str:
    """
    >>> line("starting Ray", 0, 0, 3.2)
    'starting Ray (3 s)'
    >>> line("scoring", 5, 20, 10.0)
    'scoring [#####---------------] 5 of 20, 10 s, 30 s left'
    """
    if not total:
        return f"{what} ({seconds:.0f} s)"
    filled = round(BAR * done / total)
    left = f", {seconds * (total - done) / done:.0f} s left" if done else ""
    bar = "#" * filled + "-" * (BAR - filled)
    return f"{what} [{bar}] {done:,} of {total:,}, {seconds:.0f} s{left}"


class Shown:
    """The one line; a thread of its own draws it while the others are busy."""

    def __init__(self) -> None:
        self.terminal = sys.stderr.isatty()
        self._lock, self._end = threading.Lock(), threading.Event()
        self._what, self._done, self._total = "", 0, 0
        self._since = self._next = 0.0
        self._drawn = False
        self._thread: threading.Thread | None = None

    def __call__(self, what: str, done: int, total: int) -> None:
        """`done` of `total` are done; "": nothing is to be seen."""
        with self._lock:
            now = time.monotonic()
            if what != self._what:
                self._since = now
                self._next = now + (0.0 if self.terminal else EVERY_S)
            self._what, self._done, self._total = what, done, total
            if not what:
                self._wipe()
            elif now >= self._next:
                self._draw()
            if what and self._thread is None:
                self._thread = threading.Thread(target=self._beat, name="progress", daemon=True)
                self._thread.start()

    def _beat(self) -> None:
        while not self._end.wait(REDRAW_S):
            with self._lock:
                if self._what and time.monotonic() >= self._next:
                    self._draw()

    def _draw(self) -> None:
        """A failure to show ends nothing."""
        now = time.monotonic()
        text = visible(line(self._what, self._done, self._total, now - self._since))
        self._next = now + (0.1 if self.terminal else EVERY_S)
        with contextlib.suppress(OSError, ValueError):
            if self.terminal:
                columns = shutil.get_terminal_size((80, 24)).columns
                # One column short: a full line would wrap, and \r go back to the second half only.
                sys.stderr.write(f"\r\x1b[K{text[: columns - 1]}")
                self._drawn = True
            else:
                sys.stderr.write(f"raygan: {text}\n")
            sys.stderr.flush()

    def _wipe(self) -> None:
        if self._drawn:
            self._drawn = False
            with contextlib.suppress(OSError, ValueError):
                sys.stderr.write("\r\x1b[K")
                sys.stderr.flush()

    def close(self) -> None:
        """Leave the terminal as it was."""
        # Joined before the last line is wiped, or the thread might draw it once more.
        self._end.set()
        if self._thread is not None:
            self._thread.join()
        self("", 0, 0)


@contextlib.contextmanager
def progress_shown(silent: bool) -> Iterator[None]:
    """While a verb runs; from its first moment on its time counts."""
    began = BEGAN.set(time.monotonic())
    shown = None if silent else Shown()
    token = WATCH.set(shown)
    try:
        yield
    finally:
        BEGAN.reset(began)
        WATCH.reset(token)
        if shown is not None:
            shown.close()
