"""What a run tells as it goes: metrics.jsonl and events.jsonl as rows, as DataFrames, and what they
come to.

Each of them remembers how far it has read, so that asking again costs the new lines only.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from raygan.controller.bucket_copies import storage_of
from raygan.controller.history import read_journal
from raygan.controller.jsonl import JsonLines, Lines, told_by_a_run
from raygan.service.runs.digest import Digest
from raygan.service.runs.summary import Summary

if TYPE_CHECKING:
    import pandas as pd

Row = dict[str, Any]


class Newest:
    """A value a player from the lines of a file: its last one; only lines with a mark are read."""

    def __init__(self, file: Path, mark: bytes, value: Callable[[Row], Any]) -> None:
        """value: of a row; None: the row says nothing of it."""
        self._lines = Lines(file, told_by_a_run, containing=mark)
        self._value = value
        self._found: dict[str, Any] = {}

    def by_player(self) -> dict[str, Any]:
        """The newest row of each player, up to now."""
        # Another file under the name: `raygan fetch` and `--repair` put whole ones in its place.
        if self._lines.restarted():
            self._found = {}
        for row in self._lines.fresh():
            if (value := self._value(row)) is not None:
                self._found[row["player"]] = value
        return dict(self._found)


class Logs:
    """The logs of one run folder."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._metrics = JsonLines(path / "metrics.jsonl", told_by_a_run)
        self._events = JsonLines(path / "events.jsonl", told_by_a_run)
        # Their own reader, beside that of `rows`: scores are a few lines among millions, and
        # `status` of a long run must not build a dict of each.
        self._scores = _scores(path)
        self._summary, self._digest = Summary(path), Digest(path)

    @property
    def summary(self) -> Summary:
        """What the logs come to, as they are now."""
        return (self._digest if self._digest.begun else self._summary).refresh()

    @property
    def digest(self) -> Digest:
        """The same, and what is to be drawn of them: all lines are read, once."""
        return self._digest.refresh()

    @property
    def rows(self) -> list[Row]:
        """All rows of metrics.jsonl, oldest first."""
        return self._metrics.read()

    @property
    def metrics(self) -> pd.DataFrame:
        """metrics.jsonl as a DataFrame: training reports (kind "train"), scores (kind "score")."""
        return _frame(self.rows)

    @property
    def training(self) -> pd.DataFrame:
        """The training reports alone, a row a player and step; no column of scores."""
        return _frame(_of_kind("train", self.rows))

    @property
    def scored(self) -> pd.DataFrame:
        """The scores alone, a row a generator and step."""
        return _frame(_of_kind("score", self.rows))

    @property
    def events(self) -> list[Row]:
        """All rows of events.jsonl, oldest first."""
        return self._events.read()

    @property
    def pulls(self) -> pd.DataFrame:
        """Every round's pull of the supervisor, with its lag."""
        return _frame([e for e in self.events if e["kind"] == "pull"])

    @property
    def swaps(self) -> pd.DataFrame:
        """Every swap that the journal has, a row a network that moved: step, player, from,
        identity, fingerprint, bytes.
        """
        # Not from events.jsonl, which tells the same: that may have a gap, the journal has none
        # (decision 67).
        swaps = read_journal(storage_of(self.path)).of("swap")
        return _frame(
            [{"step": s["step"], "time": s["time"], **m} for s in swaps for m in s["moves"]]
        )

    @property
    def slots(self) -> pd.DataFrame:
        """PMGAN: beta of each generator and how far apart the slots' versions were, a row a round
        of the judge.
        """
        return _frame([
            {"step": e["step"], "time": e["time"], "spread": e["spread"], **e["beta"]}
            for e in self.events if e["kind"] == "slot"
        ])  # fmt: skip

    def last_scores(self, until: int | None = None) -> dict[str, Row]:
        """Of everybody who was ever scored, the mixture too; who plays now: `Cast.scores`. until:
        the last ones up to that step; None: all.
        """
        return (self._scores if until is None else _scores(self.path, until)).by_player()


def last_by_part(path: Path) -> dict[str, Row]:
    """Who -> its event "by_part": coverage of each part, and of each class of it, at the last
    score; {} where there is a whole.
    """

    def told(row: Row) -> Row | None:
        return row if row["kind"] == "by_part" else None

    return Newest(path / "events.jsonl", b'"by_part"', told).by_player()


def _scores(path: Path, until: float = math.inf) -> Newest:
    def score(row: Row) -> Row | None:
        return row if row["kind"] == "score" and row["step"] <= until else None

    return Newest(path / "metrics.jsonl", b'"score"', score)


def _of_kind(kind: str, rows: list[Row]) -> list[Row]:
    # Of a step that was trained again, after a death, the last row holds; all stand in `metrics`.
    last = {(row["player"], row["step"]): row for row in rows if row["kind"] == kind}
    return [{k: v for k, v in row.items() if k != "kind"} for row in last.values()]


def _frame(rows: list[Row] | list[Mapping[str, Any]]) -> pd.DataFrame:
    # Here, not at the top: pandas takes half a second, and `status` needs no table.
    import pandas as pd

    return pd.DataFrame(rows)
