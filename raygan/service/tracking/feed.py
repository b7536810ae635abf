"""One tracker in its thread: told each line of the run once, by what trackers.json says."""

from __future__ import annotations

import contextlib
import json
import os
import threading
import time
from collections.abc import Callable, Iterator
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np

from raygan.controller.files import open_plain, read_plain, write_within
from raygan.controller.jsonl import Lines, read_info, told_by_a_run
from raygan.service.tracking.payload import Payload, numbers, without_secrets

KEPT, FORMAT = "trackers.json", 1
EVERY_S, AGAIN_S = 1.0, 30.0
"""Between two looks; before a tracker that could not begin tries again."""
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
        self,
        name: str,
        tracker: Any,
        told: Payload,
        kept: TrackerRecords,
        draw: Callable[[Any], bytes | None],
    ) -> None:
        # A daemon: a tracker that hangs holds no process.
        super().__init__(name=f"tracker {name}", daemon=True)
        self.label, self.tracker, self.told, self.kept, self.draw = name, tracker, told, kept, draw
        self.ended = threading.Event()
        self.trouble: list[str] = []
        """At most one at a time, for the driver's thread to tell."""
        before = kept.of(name)
        self.id: str | None = before.get("id")
        self.steps: dict[str, int] = before.get("steps", {})
        """player/kind -> the last step that was told; what is repeated after a failure is not."""
        self.calls, self.failed = before.get("calls", 0), before.get("failed", 0)
        self.begun = self.warned = False
        self.lines = Lines(told.folder / "metrics.jsonl", told_by_a_run)
        self.held: list[Row] = []
        """Read, and not told yet: the first of them has failed, `tries` times."""
        self.tries = 0
        self.waiting: dict[tuple[str, int], None] = {}
        """Pictures of (player, step) that were scored: their samples are written after the row."""
        self.refused: dict[tuple[str, int], int] = {}
        """Of those, how often one failed where rows went through."""
        self._next = 0.0
        self._unsure: list[tuple[float, Row]] = []
        """(when, what was told by then), oldest first: not noted before the tracker's `lag_s`."""
        self._unsure_calls = -1

    def run(self) -> None:
        """Until the run has ended; then once more."""
        while not self.ended.wait(EVERY_S):
            self.look()
        self._next = 0.0
        self.look()
        while self.held and self.tries < TRIES:
            self.look()
        if self.begun:
            self.last()

    def look(self) -> None:
        """Tell what has come since the last time."""
        self.begun = self.begun or self._begin()
        if not self.begun:
            return
        before = dict(self.steps)
        with self._trying("reading"):
            self._tell()
        # After the rows: samples are written after the score that names them.
        behind = set[str]()
        for player, step in [] if self.held else list(self.waiting):
            # in their order: what is noted is the last one, and stands for all before it
            if player not in behind and not self._picture(player, step, self.steps != before):
                behind.add(player)
        if self.steps != before or self._unsure:
            self._keep(getattr(self.tracker, "lag_s", 0.0) if not self.ended.is_set() else 0.0)

    def last(self) -> None:
        """The files that tell what it was, and how it ended."""
        for name in ARTEFACTS:
            if (path := self.told.folder / name).is_file():
                self._call("artefact", path)
        with self._trying("end"):
            self._call("end", str(read_info(self.told.folder)["status"]))
        self._keep()

    def _begin(self) -> bool:
        if time.monotonic() < self._next:
            return False
        self._next = time.monotonic() + AGAIN_S
        known, first = self.id, max((step + 1 for step in self.steps.values()), default=0)
        with self._trying("begin"):
            self.id = str(self.tracker.begin(self.told.to(known, first, self.calls)))
            if known not in (None, self.id):  # its store is another one now: it is told all
                self._failed(f"{known} is not there any more; all is told again, to {self.id}")
                self.steps, self.calls = {}, 0
            self._keep()
            return True
        return False

    def _tell(self) -> None:
        """Rows in their order. One that fails is tried again before any that comes after it, or a
        later life would take it for told.
        """

        def told(row: Row) -> bool:
            self.calls += 1
            player, step = str(row.get("player")), int(row["step"])
            if fine := self._call("scalars", step, player, dict(numbers(row))):
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
            told(row)

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
        with self._trying("picture"), os.fdopen(open_plain(path), "rb") as file:
            # no pickles: the folder may have come from somebody else
            png = self.draw(np.load(file, allow_pickle=False))
        if png is not None:
            self.calls += 1
            if not self._call("picture", step, player, png):
                self.refused[player, step] = self.refused.get((player, step), 0) + rows_go
                if self.refused[player, step] < TRIES:
                    return False
        del self.waiting[player, step]
        self.steps[f"{player}/samples"] = step
        return True

    def _keep(self, lag_s: float = 0.0) -> None:
        """Flushed first: what is killed between the two is told twice, not lost."""
        self._call("flush")
        now = time.monotonic()
        if self.calls != self._unsure_calls or not lag_s:
            self._unsure_calls = self.calls
            told = {"id": self.id, "steps": dict(self.steps), "calls": self.calls}
            self._unsure.append((now, told))
        sure = [facts for at, facts in self._unsure if at <= now - lag_s]
        self._unsure = [(at, facts) for at, facts in self._unsure if at > now - lag_s]
        if sure:
            with self._trying("trackers.json"):
                self.kept.write(self.label, {**sure[-1], "failed": self.failed})

    def _call(self, what: str, *facts: Any) -> bool:
        """Did it go through? So does what a tracker has no method for."""
        with self._trying(what):
            if (call := getattr(self.tracker, what, None)) is not None:
                call(*facts)
            return True
        return False

    @contextlib.contextmanager
    def _trying(self, what: str) -> Iterator[None]:
        try:
            yield
        except (
            BaseException
        ) as error:  # of any kind, raised in this thread: watching never stops training
            said = " ".join(str(error).split())
            self._failed(f"{what}: {type(error).__name__}: {without_secrets(said)[:200]}")

    def _failed(self, why: str) -> None:
        self.failed += 1
        # Once a life: a server that is away for an hour fails three thousand times.
        if not self.warned:
            self.warned = True
            self.trouble.append(f"{self.label}: {why}; the run goes on, it is still told")


def pictured(player: str) -> bool:
    """Are its samples shown?

    >>> pictured("mixture"), pictured("pair-07"), pictured("pair-08")
    (True, True, False)
    """
    number = player.rpartition("-")[2]
    return not number.isdigit() or int(number) < PICTURED
