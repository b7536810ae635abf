"""Where each player stands in what is recorded of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from raygan.controller.async_record import FILE, owners
from raygan.service.replaying.attempts import Row


class Cursor:
    """Which event of each player comes next."""

    def __init__(self, events: Mapping[str, Sequence[Row]]) -> None:
        self.events = events
        self.at = dict.fromkeys(events, 0)
        self.waits: dict[str, tuple[str, int]] = {}
        """Of a round that stands still: the shelf, and the version that is not there yet."""

    def row(self, player: str) -> Row:
        """Of one who has some left."""
        return self.events[player][self.at[player]]

    def done(self, *players: str) -> None:
        """They have come past their event."""
        for player in players:
            self.at[player] += 1

    def left(self) -> Iterator[str]:
        """Players whose record has events left."""
        return (p for p, rows in self.events.items() if self.at[p] < len(rows))

    def together(self, names: Sequence[str], same: str, value: object) -> bool:
        """Have all of these come to the same event?"""
        left = {*self.left()}
        return all(p in left and self.row(p).get(same) == value for p in names)

    def needed(self, missing: Sequence[str]) -> set[str]:
        """These, and whom they wait for, and so on."""
        out, look, left = set[str](), {*missing}, {*self.left()}
        while look:
            out |= look
            rows = [self.row(p) for p in look if p in left]
            along = {q for row in rows for q in row.get("pack") or row.get("players") or ()}
            look = (along | {*owners([self.waits[p][0] for p in look if p in self.waits])}) - out
        return out

    def stuck(self, missing: Sequence[str], lines: Mapping[str, int]) -> str:
        """Who waits for what that is in no line; lines: of the rounds that are under way."""
        for player in (p for p in missing if p in self.waits):
            shelf, version = self.waits[player]
            return (
                f"line {lines[player]} of {FILE}: {player} has read {shelf}, version {version}, and"
                " how that came about is in no line. A round that is under way when a run is killed"
                " is lost."
            )
        who, rows = missing[0], self.events.get(missing[0], [])
        line = rows[self.at[who] - 1]["line"] if self.at.get(who) else 0
        return f"{FILE} has nothing about {who} after its line {line}."
