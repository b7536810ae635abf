"""What `status` and `watch` say of a run's logs, and an index of it, so that a look costs the same
however long the run is.

driver: Keeper, a listener --every PERIOD_S, and at the end--> summary.json: the summary, and how
far it was read (`Lines.mark`) reader: Summary(path).refresh() --> summary.json, where the logs
still have what they had there --> the lines after it

Without an index (older runs, one that is damaged or does not fit) all lines are read, which is
slower and says the same. Nothing rests on it: what a run rests on is in the journal.
"""

from __future__ import annotations

import contextlib
import json
import time
from collections import Counter, deque
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from raygan.controller.files import read_plain, write_within
from raygan.controller.jsonl import Lines, told_by_a_run
from raygan.controller.listener import Listener
from raygan.service.runs.holding import Holds

if TYPE_CHECKING:
    from raygan.controller.listener import Running

INDEX, FORMAT = "summary.json", 2
PERIOD_S = 30.0
"""Between two indices of a run that goes on; a look reads at most the lines of so many seconds."""
RECENT = 30
Row = dict[str, Any]


class Summary:
    """Of one run, up to what was read last: newest rows, sums and counts."""

    indexed = True
    """Does it begin at the index, where there is one?"""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.logs = (
            Lines(path / "metrics.jsonl", told_by_a_run),
            Lines(path / "events.jsonl", told_by_a_run),
        )
        self.begun = False
        self._forget_rows()
        self._forget_events()

    def refresh(self) -> Self:
        """Take in what is new."""
        # Once, at the first look: later ones go on from where this object is.
        if not self.begun and self.indexed:
            self._begin_at_index()
        self.begun = True
        metrics, events = self.logs
        if metrics.restarted():
            self._forget_rows()
        for row in metrics.fresh():
            self._row(row)
        if events.restarted():
            self._forget_events()
        for event in events.fresh():
            self._event(event)
        return self

    @property
    def damaged(self) -> dict[str, int]:
        """file -> lines that were passed over."""
        return {log.path.name: log.damaged for log in self.logs if log.damaged}

    @property
    def holds(self) -> dict[str, str]:
        """player -> birth name of the network that its last swap gave it, of those swaps that no
        return to a checkpoint has undone.
        """
        return self.held.now

    def dump(self) -> Row:
        """As JSON: what was read, and how far."""
        rows, events = [*self.newest.values(), *self.scores.values()], [*self.last.values()]
        return {
            "format": FORMAT, "marks": [log.mark() for log in self.logs], "rows": rows,
            "player_seconds": self.player_seconds, "elapsed": self.elapsed, "events": events,
            "recent": [*self.recent], "counts": self.counts, "warnings": self.warnings,
            "holds": self.held.dump(), "gone": self.gone,
        }  # fmt: skip

    def _begin_at_index(self) -> None:
        """As far as its marks; what is damaged or of another file counts as none."""
        try:
            told = json.loads(read_plain(self.path / INDEX))
            before = _Told(told)
            fits = (log.go_on(mark) for log, mark in zip(self.logs, told["marks"], strict=True))
            if told["format"] != FORMAT or not all(fits):
                raise ValueError(INDEX)
        except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
            # as many as before, which a tuple of a generator does not say
            self.logs = tuple(  # type: ignore[assignment]
                Lines(log.path, told_by_a_run) for log in self.logs
            )
            return
        for row in before.rows:
            self._row(row)
        for event in before.events:
            self.last[event["kind"]] = event
        self.recent.extend(before.recent)
        self.elapsed, self.player_seconds = before.elapsed, before.player_seconds
        self.counts.update(before.counts)
        self.warnings.update(before.warnings)
        self.held = before.held
        self.gone |= before.gone

    def _forget_rows(self) -> None:
        self.newest: dict[str, Row] = {}
        """player -> its last training row."""
        self.scores: dict[str, Row] = {}
        """player -> its last scores."""
        self.player_seconds = 0.0
        self.elapsed = 0.0

    def _forget_events(self) -> None:
        self.counts: Counter[str] = Counter()
        """kind -> how many."""
        self.warnings: Counter[str] = Counter()
        self.held = Holds()
        self.gone: dict[str, str] = {}
        """player -> how it went."""
        self.last: dict[str, Row] = {}
        """kind -> the last event of that kind."""
        self.recent: deque[Row] = deque(maxlen=RECENT)
        """Events as they come, but for pulls and slots."""

    def _row(self, row: Row) -> None:
        self.elapsed = max(self.elapsed, _number(row.get("elapsed")))
        if row["kind"] == "train":
            self.newest[row["player"]] = row
            self.player_seconds += _number(row.get("seconds"))
        elif row["kind"] == "score":
            self.scores[row["player"]] = row

    def _event(self, event: Row) -> None:
        kind = event["kind"]
        self.counts[kind] += 1
        self.last[kind] = event
        self.held.take(event)
        if kind == "warning":
            self.warnings[event["name"]] += 1
        elif kind in ("retire", "leave"):
            self.gone[event["player"]] = kind
        # Of those there is one a round: they would push everything else out of the last 30
        # (`RECENT`).
        if kind not in ("pull", "slot", "by_part"):
            self.recent.append(event)


class _Told:
    """What an index says. Raises ValueError, KeyError, TypeError or AttributeError where that is
    nothing that a run tells.
    """

    def __init__(self, told: Row) -> None:
        self.rows, self.events, self.recent = (
            _lines(told[key]) for key in ("rows", "events", "recent")
        )
        self.player_seconds, self.elapsed = float(told["player_seconds"]), float(told["elapsed"])
        self.counts, self.warnings = (
            Counter({k: int(n) for k, n in told[key].items()}) for key in ("counts", "warnings")
        )
        self.gone = {k: str(v) for k, v in told["gone"].items()}
        self.held = Holds.read(told["holds"])


def _lines(rows: Iterable[Row]) -> list[Row]:
    found = list(rows)
    if not all(told_by_a_run(row) for row in found):
        raise ValueError("a line that no run tells")
    return found


def _number(value: object) -> float:
    return float(value) if isinstance(value, int | float) else 0.0


class Keeper(Listener):
    """The driver's: writes the index. Never in the way: where there is no room the next look reads
    more lines.
    """

    def __init__(self, path: Path) -> None:
        self.summary = Summary(path)
        self._at = time.monotonic()

    def tick(self, run: Running) -> None:
        """Every turn of the loop."""
        if time.monotonic() - self._at >= PERIOD_S:
            self._at = time.monotonic()
            self.write()

    def write(self) -> None:
        """Write the index now; a full disk is no error."""
        raw = json.dumps(self.summary.refresh().dump()).encode()
        with contextlib.suppress(OSError):
            write_within(self.summary.path, INDEX, raw)

    def close(self) -> None:
        """The run has ended: write the index once more."""
        self.write()
