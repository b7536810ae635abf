"""One tracker in its thread: told each line of the run once, by what trackers.json says."""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Callable
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np

from raygan.controller.files import open_plain, read_plain, write_within
from raygan.controller.jsonl import Lines, read_info, told_by_a_run
from raygan.service.tracking.guarded import Guarded
from raygan.service.tracking.payload import Payload, numbers

KEPT, FORMAT = "trackers.json", 1
EVERY_S, AGAIN_S, SELDOM_S = 1.0, 30.0, 3600.0
"""Between two looks; before a tracker that could not begin, or takes nothing any more, begins
again; the longest that the latter comes to, since it is told again what it did not keep.
"""
TRIES = 3
"""Looks at which one row fails before the next one is tried in its place."""
PICTURED = 8
"""Pairs whose samples are shown as pictures, beside all players that are no pairs."""
ARTEFACTS = ("config.yaml", "run.json", "data.png")
Row = dict[str, Any]


class TrackerRecords:
    """trackers.json: what the trackers of a run were told by now."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._lock = threading.Lock()
        try:
            found = json.loads(read_plain(folder / KEPT))
            self._all: dict[str, Any] = dict(found["trackers"] if found["format"] == FORMAT else {})
        except (OSError, ValueError, KeyError, TypeError):  # none yet, or damaged: told anew
            self._all = {}

    def of(self, name: str) -> Row:
        """Of one tracker; {} before it began, and of one that is damaged: it is told anew."""
        found: Any = self._all.get(name)
        try:
            return {
                "id": None if found["id"] is None else str(found["id"]),
                "steps": {str(what): int(step) for what, step in found["steps"].items()},
                "calls": int(found["calls"]), "failed": int(found["failed"]),
            }  # fmt: skip
        except (KeyError, TypeError, ValueError, AttributeError):
            return {}

    def write(self, name: str, facts: Row) -> None:
        """Keep what one tracker was told by now. Raises OSError."""
        with self._lock:
            self._all[name] = facts
            raw = json.dumps({"format": FORMAT, "trackers": self._all}, indent=1) + "\n"
            write_within(self.folder, KEPT, raw.encode())


class Feed(threading.Thread):
    """One tracker: begins it, tells it each line once, and ends it."""

    def __init__(
        self, name: str, make: Callable[[], Any], told: Payload, kept: TrackerRecords,
        draw: Callable[[Any], bytes | None],
    ) -> None:  # fmt: skip
        """make: the tracker, in the thread: a constructor may raise or hang as its methods may."""
        # A daemon: a tracker that hangs holds no process.
        super().__init__(name=f"tracker {name}", daemon=True)
        self.label, self.told, self.kept, self.draw = name, told, kept, draw
        self.ended = threading.Event()
        before = kept.of(name)
        self.guard = Guarded(name, make, before.get("failed", 0))
        self.id: str | None = before.get("id")
        self.calls = before.get("calls", 0)
        self.begun = self.ever = False
        """Now; at least once, so that it is to be ended."""
        self.left_out = 0
        """Rows that it refused for ever."""
        self._next, self._fine, self._pause = 0.0, time.monotonic(), AGAIN_S
        """When it may begin; when it last took a row; before it begins again."""
        self._from_noted()

    def _from_noted(self) -> None:
        """As at the beginning of a life: what comes after the last note is told."""
        self.steps: dict[str, int] = self.kept.of(self.label).get("steps", {})
        """player/kind -> the last step that was told; what is repeated after a failure is not."""
        self.lines = Lines(self.told.folder / "metrics.jsonl", told_by_a_run)
        self.held: list[Row] = []
        """Read, and not told yet: the first of them has failed, `tries` times."""
        self.tries = 0
        self.waiting: dict[tuple[str, int], None] = {}
        """Pictures of (player, step) that were scored: their samples are written after the row."""
        self.refused: dict[tuple[str, int], int] = {}
        """Of those, how often one failed where rows went through."""
        self._unsure: list[tuple[float, Row]] = []
        """(when, what was told by then), oldest first: not noted before the tracker's `lag_s`."""
        self._unsure_calls = -1

    def run(self) -> None:
        """Until the run has ended; then once more."""
        while not self.ended.wait(EVERY_S):
            self.look()
        self._next = 0.0
        self.look()
        while self.begun and self.held and self.tries < TRIES:
            self.look()
        if self.ever:
            self.last()

    def look(self) -> None:
        """Tell what has come since the last time."""
        # nothing comes out: a thread that ends of it would tell nobody, and be no more
        with self.guard.trying("watching"):
            self.begun = self.begun or self._begin()
            if self.begun:
                self._look()

    def _look(self) -> None:
        before = dict(self.steps)
        with self.guard.trying("reading"):
            self._tell()
        # After the rows: samples are written after the score that names them.
        behind = set[str]()
        for player, step in [] if self.held else list(self.waiting):
            # in their order: what is noted is the last one, and stands for all before it
            if player not in behind and not self._picture(player, step, self.steps != before):
                behind.add(player)
        if self.steps != before or self._unsure:
            self._keep(0.0 if self.ended.is_set() else self.guard.lag_s())
        # for so long nothing went through: what it writes to may be broken, and has to be made anew
        if self.tries >= TRIES and time.monotonic() - self._fine >= AGAIN_S:
            self._lose()

    def _lose(self) -> None:
        """It begins anew, later, and is told again what is not noted."""
        self.begun = False
        self._next = time.monotonic() + self._pause
        self._pause = min(2 * self._pause, SELDOM_S)

    def last(self) -> None:
        """The files that tell what it was, and how it ended."""
        for name in ARTEFACTS:
            if (path := self.told.folder / name).is_file():
                self.guard.call("artefact", path)
        # before it ends: what is closed flushes no more
        kept = self._keep()
        with self.guard.trying("end"):
            self.guard.call("end", str(read_info(self.told.folder)["status"]))
        if kept:
            with self.guard.trying("trackers.json"):
                noted = self.kept.of(self.label)
                self.kept.write(self.label, {**noted, "failed": self.guard.failed})

    def _begin(self) -> bool:
        if time.monotonic() < self._next:
            return False
        self._next = time.monotonic() + AGAIN_S
        if self.ever:
            self._from_noted()
        known, first = self.id, max((step + 1 for step in self.steps.values()), default=0)
        begun, name = self.guard.make(), None
        if begun:
            begun, name = self.guard.begin(self.told.to(known, first, self.calls))
        if not begun:
            return False
        self.id, self.ever, self._fine = name, True, time.monotonic()
        if known not in (None, name):  # its store is another one now: it is told all
            self.guard.fails(f"{known} is not there any more; all is told again, to {name}")
            self.steps, self.calls = {}, 0
        return self._keep()

    def _tell(self) -> None:
        """Rows in their order. One that fails is tried again before any that comes after it, or a
        later life would take it for told.
        """

        def told(row: Row) -> bool:
            self.calls += 1
            player, step = str(row.get("player")), int(row["step"])
            if fine := self.guard.call("scalars", step, player, dict(numbers(row))):
                self._fine = time.monotonic()
                known = f"{player}/{row['kind']}"
                self.steps[known] = max(step, self.steps.get(known, -1))
            return fine

        held = iter(self.held)
        self.held, rows = [], chain(held, filter(self._due, self.lines.fresh()))
        for row in rows:
            if told(row):
                self.tries = 0
                continue
            self.tries += 1
            after = next(rows, None) if self.tries >= TRIES else None
            if after is None or not told(after):
                self.held = [row, *([] if after is None else [after]), *held]
                return
            # the next one goes through, so that nobody is away, unless until just now: else the
            # tracker refuses what this one says
            self.tries = 0
            self.left_out += not told(row)

    def _due(self, row: Row) -> bool:
        """Is it to be told? Its samples, too, wait to be shown."""
        kind, player, step = row["kind"], str(row.get("player")), int(row["step"])
        if kind not in ("train", "score"):
            return False
        if kind == "score" and pictured(player) and step > self.steps.get(f"{player}/samples", -1):
            self.waiting[player, step] = None
        # A run that went back repeats steps: trackers take a number for a step once, some refuse
        # the second.
        return step > self.steps.get(f"{player}/{kind}", -1)

    def _picture(self, player: str, step: int, rows_go: bool) -> bool:
        """Show it, once its samples are there; False: its tracker did not take it, and is tried
        again.

        rows_go: was a row told just now? Then one that fails is counted, and given up in the end.
        """
        path = self.told.folder / "samples" / f"{step:08d}-{player}.npy"
        if not path.exists():
            return True
        png = None
        with self.guard.trying("picture"), os.fdopen(open_plain(path), "rb") as file:
            # no pickles: the folder may have come from somebody else
            png = self.draw(np.load(file, allow_pickle=False))
        if png is not None:
            self.calls += 1
            if not self.guard.call("picture", step, player, png):
                self.refused[player, step] = self.refused.get((player, step), 0) + rows_go
                if self.refused[player, step] < TRIES:
                    return False
        del self.waiting[player, step]
        self.steps[f"{player}/samples"] = step
        return True

    def _keep(self, lag_s: float = 0.0) -> bool:
        """Flushed first: what is killed between the two is told twice, not lost. False: it did not
        keep what it took, and is to be told that again.
        """
        if not self.guard.call("flush"):
            self._lose()
            return False
        now = time.monotonic()
        if self.calls != self._unsure_calls or not lag_s:
            self._unsure_calls = self.calls
            told = {"id": self.id, "steps": dict(self.steps), "calls": self.calls}
            self._unsure.append((now, told))
        sure = [facts for at, facts in self._unsure if at <= now - lag_s]
        self._unsure = [(at, facts) for at, facts in self._unsure if at > now - lag_s]
        if sure:
            with self.guard.trying("trackers.json"):
                self.kept.write(self.label, {**sure[-1], "failed": self.guard.failed})
        return True


def pictured(player: str) -> bool:
    """Are its samples shown?

    >>> pictured("mixture"), pictured("pair-07"), pictured("pair-08")
    (True, True, False)
    """
    number = player.rpartition("-")[2]
    return not number.isdigit() or int(number) < PICTURED
