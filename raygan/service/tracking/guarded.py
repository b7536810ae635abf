"""A tracker behind its guard: what it raises is counted and told once, and so is that it hangs."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from typing import Any

from raygan.errors import words_of
from raygan.service.tracking.payload import without_secrets
from raygan.trackers.base import Tracked

SLOW_S = 30.0
"""A call that takes longer is told: it may never come back."""


class Guarded:
    """Makes a tracker and calls it, in the tracker's thread; nothing that it raises comes out."""

    def __init__(self, label: str, make: Callable[[], Any], failed: int = 0) -> None:
        """failed: in the lives before."""
        self.label, self._make = label, make
        self.tracker: Any = None
        self.before = self.failed = failed
        self.trouble: list[str] = []
        """At most one at a time, for the driver's thread to tell."""
        self._warned = False
        self._busy: tuple[str, float] | None = None

    def make(self) -> bool:
        """Another tracker, or the same one where it can begin again. False: it raised."""
        with self._calling("__init__"):
            self.tracker = self._make()
            return True
        return False

    def begin(self, run: Tracked) -> tuple[bool, str | None]:
        """(did it begin?, the name that it gives; None where it gives none)."""
        with self._calling("begin"):
            name = self.tracker.begin(run)
            return True, None if name is None else str(name)
        return False, None

    def call(self, what: str, *facts: Any) -> bool:
        """Did it go through? So does what a tracker has no method for."""
        with self._calling(what):
            if (call := getattr(self.tracker, what, None)) is not None:
                call(*facts)
            return True
        return False

    def lag_s(self) -> float:
        """The tracker's own, see `TrackerComponent`."""
        with self.trying("lag_s"):
            return float(getattr(self.tracker, "lag_s", 0.0))
        return 0.0

    @contextlib.contextmanager
    def trying(self, what: str) -> Iterator[None]:
        """Counts what is raised inside."""
        try:
            yield
        except (
            BaseException
        ) as error:  # of any kind, raised in this thread: watching never stops training
            self.fails(f"{what}: {type(error).__name__}: {without_secrets(words_of(error))[:200]}")

    @contextlib.contextmanager
    def _calling(self, what: str) -> Iterator[None]:
        self._busy = (what, time.monotonic())
        try:
            with self.trying(what):
                yield
        finally:
            self._busy = None

    def fails(self, why: str) -> None:
        """Once more; told is the first one of a life."""
        self.failed += 1
        # a server that is away for an hour fails three thousand times
        self._tell(f"{why}; the run goes on, it is still told")

    def watched(self) -> None:
        """Called by the driver: is it in a call that does not come back?"""
        # read once: the tracker's thread ends it meanwhile
        busy = self._busy
        if busy is not None and time.monotonic() - busy[1] >= SLOW_S:
            what = f"{busy[0]}: no answer for {SLOW_S:g} s"
            self._tell(f"{what}; the run goes on, and does not wait for it")

    def _tell(self, text: str) -> None:
        if not self._warned:
            self._warned = True
            self.trouble.append(f"{self.label}: {text}")
