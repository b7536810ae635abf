"""A run's logs, taken in as they grow: what the live page and the report need of them, at any
length.

metrics.jsonl, events.jsonl --> Lines.fresh --> Digest: a summary, and of each curve at most so many
points (`downsampling.MOST`)

A run of weeks has millions of lines. Held as objects they take gigabytes, and a picture of all of
them takes minutes; so each line is read once, and of what is drawn every 2nd, 4th, 8th .. is kept
when there are too many (`Thinned.every` says how many).

Where a player goes back to a checkpoint, what is kept of the steps after it goes: they have never
been, and the new attempt has other rows at other steps.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Mapping

from raygan.service.runs.downsampling import MOST, Curve, Thinned
from raygan.service.runs.holding import BACK, kept_by, steps_of
from raygan.service.runs.summary import Row, Summary

LEAST, ALTOGETHER = 50, 20_000
"""Points of a curve, and of all players' together."""
COLUMNS = 1000
"""Of the picture of swaps, where there are more than MOST of them."""
DRAWN = ("pull", "slot", "swap")
"""Kinds of events that a picture shows."""
QUIET = (*DRAWN, "by_part")
"""Those, and what a table shows."""


class Seats:
    """Which discriminator sat where: every swap while there are few, and in any case 1,000
    (`COLUMNS`) columns, evenly spread.
    """

    def __init__(self) -> None:
        self.seen: dict[str, None] = {}
        """Players that were ever given a network."""
        self.moves: list[tuple[int, list[Row]]] = []
        """The first swaps, as they are in the log."""
        self.count = 0
        self._changes: Thinned[tuple[Row, dict[str, str]]] = Thinned(COLUMNS)

    def add(self, event: Row, holds: Mapping[str, str]) -> None:
        """A swap; holds: who holds what after it."""
        self.count += 1
        self.seen |= dict.fromkeys(m["player"] for m in event["moves"])
        if len(self.moves) < MOST:
            self.moves.append((event["step"], event["moves"]))
        self._changes.add((event, dict(holds)))

    def back(self, event: Row) -> None:
        """The run is as it was at a checkpoint: swaps after it have never been."""
        stays, whole = kept_by(event), self.count == len(self.moves)

        def kept(swap: Row) -> bool:
            movers = [m["player"] for m in swap["moves"]]
            return all(map(stays, movers, steps_of(swap)))

        self.moves = [(s, moves) for s, moves in self.moves if kept({"step": s, "moves": moves})]
        self._changes.keep(lambda change: kept(change[0]))
        if whole or not self._changes:
            self.count = len(self.moves)

    @property
    def columns(self) -> list[tuple[int, dict[str, str]]]:
        """(step, who held what from then on)."""
        return [(swap["step"], holds) for swap, holds in self._changes]


class Digest(Summary):
    """Of one run, up to what was read last; from the first line on, since curves are drawn."""

    indexed = False

    @property
    def thinned(self) -> int:
        """Of the longest curve, one point of so many is kept."""
        kept = [*self.trained.values(), *self.scored.values(), self.pulls, self.slots]
        return max((some.every for some in kept), default=1)

    def _forget_rows(self) -> None:
        super()._forget_rows()
        self.trained: dict[str, Curve] = {}
        self.scored: dict[str, Curve] = {}

    def _forget_events(self) -> None:
        super()._forget_events()
        self.loud: deque[Row] = deque(maxlen=40)
        """Events that no picture shows."""
        self.pulls = Curve()
        self.slots: Thinned[Row] = Thinned()
        self._flowed: dict[tuple[str, str | None], float] = {}
        """(kind, who tells it) -> its last step."""
        self.seats = Seats()

    def _row(self, row: Row) -> None:
        super()._row(row)
        if row["kind"] == "train":
            curve = _curve(self.trained, row["player"])
            begin = row["step"] - row["steps"]
            if curve.last is not None and curve.last["step"] > begin:
                self._undo(row["player"], begin)
            curve.add(row)
        elif row["kind"] == "score":
            _curve(self.scored, row["player"]).add(row)

    def _undo(self, player: str, after: float) -> None:
        """It is back at this step, by its own rows: these may be read before the event that tells
        of it, and a member that comes back alone has none.
        """
        # Scores follow the training and not their own order, in which one may merely be late. What
        # does not train is mixed from all, and undone with any of them.
        scored = [some for p, some in self.scored.items() if p == player or p not in self.trained]
        for curve in (self.trained[player], *scored):
            curve.keep(lambda row: row["step"] <= after)

    def _event(self, event: Row) -> None:
        super()._event(event)
        kind = event["kind"]
        if kind == "swap":
            self.seats.add(event, self.holds)
        elif kind in BACK:
            self.seats.back(event)
        elif kind in ("pull", "slot"):
            self._flow(self.pulls if kind == "pull" else self.slots, event)
        if kind not in QUIET:
            self.loud.append(event)

    def _flow(self, curve: Thinned[Row], event: Row) -> None:
        """Who tells these goes a step further each time, unless it is back at a checkpoint."""
        teller, step = event.get("player"), event["step"]
        if self._flowed.get((event["kind"], teller), -math.inf) >= step:
            curve.keep(lambda earlier: earlier.get("player") != teller or earlier["step"] < step)
        self._flowed[event["kind"], teller] = step
        curve.add(event)


def _curve(curves: dict[str, Curve], player: str) -> Curve:
    if player not in curves:
        curves[player] = Curve(max(LEAST, min(MOST, ALTOGETHER // (len(curves) + 1))))
        # Now and then: the more players, the fewer points of each.
        if len(curves) & (len(curves) - 1) == 0:
            for some in curves.values():
                some.most = curves[player].most
    return curves[player]
