"""Where a run tells its progress may end before the run does: a closed terminal, `| head`, a full
log disk. The run goes on.
"""

from __future__ import annotations

import contextlib
import io
import os
import sys
from collections.abc import Iterator
from typing import TextIO


class Lasting(io.TextIOBase):
    """A stream that can be written to for ever: once it fails, what is told goes nowhere. The run
    folder has it all.
    """

    def __init__(self, stream: TextIO | None) -> None:
        self.stream = stream  # None: it was closed when we started

    # asked for anew each time, since the stream below may go
    @property
    def encoding(self) -> str:  # type: ignore[override]
        """The encoding of the stream below."""
        return getattr(self.stream, "encoding", None) or "utf-8"

    def isatty(self) -> bool:
        """Is it a terminal, still?"""
        return self.stream is not None and self.stream.isatty()

    def fileno(self) -> int:
        """The descriptor below. Raises OSError where there is none."""
        if self.stream is None:
            raise OSError("closed")
        return self.stream.fileno()

    def writable(self) -> bool:
        """True at all times: what cannot be written is dropped."""
        return True

    def write(self, text: str) -> int:
        """As much as is wanted."""
        try:
            if self.stream is not None:
                self.stream.write(text)
        # A ValueError too: looked for first, it says that the terminal's encoding lacks a letter,
        # not that the terminal is gone.
        except UnicodeEncodeError:
            return self.write(text.encode(self.encoding, "replace").decode(self.encoding))
        except (OSError, ValueError):
            self._give_up()
        return len(text)

    def flush(self) -> None:
        """What was written before is out, or lost."""
        try:
            if self.stream is not None:
                self.stream.flush()
        except (OSError, ValueError):
            self._give_up()

    def _give_up(self) -> None:
        stream, self.stream = self.stream, None
        # What is in its buffer still goes there, at the end.
        with contextlib.suppress(OSError, ValueError, AttributeError):
            nowhere = os.open(os.devnull, os.O_WRONLY)
            # Else Python flushes it once more at the end, fails, and exits with 120.
            # of None too: an AttributeError, which counts as given up
            os.dup2(nowhere, stream.fileno())  # type: ignore[union-attr]
            os.close(nowhere)


@contextlib.contextmanager
def lasting() -> Iterator[None]:
    """stdout and stderr that never fail, for the length of a block."""
    before = sys.stdout, sys.stderr
    sys.stdout, sys.stderr = Lasting(before[0]), Lasting(before[1])
    try:
        yield
    finally:
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
        sys.stdout, sys.stderr = before
