"""A player's end of the board in a replay: it is given just what it had found."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Mapping, Sequence

from raygan.controller.async_record import FILE, Note, decoded, owners
from raygan.gan.types import Board, Player
from raygan.gan.weights import Publication
from raygan.service.replaying.attempts import Row, Unreplayable

FAR = 1 << 60
"""A version that is newer than any copy."""


class Differs(Exception):
    """The replay is another run from here on."""


class Later(Exception):
    """A publication that is not there yet."""


class Over(Exception):
    """The player gave up waiting here, and reported back."""


class Meet(Exception):
    """The player had been told of other members by now."""

    def __init__(self, members: tuple[str, ...]) -> None:
        super().__init__(members)
        self.members = members


class Shelf:
    """All that is published, as far as somebody will ask for it."""

    def __init__(self, wanted: Counter[tuple[str, int]]) -> None:
        self.wanted = wanted
        self.kept: dict[tuple[str, int], Publication] = {}

    def publish(self, publication: Publication) -> None:
        """Keep it, if it is read."""
        key = publication.player, publication.version
        if self.wanted[key] > 0:
            self.kept[key] = publication

    def look(self, reads: Mapping[str, int]) -> None:
        """Raises Later unless all of these are there."""
        for key in reads.items():
            if key not in self.kept:
                raise Later(*key)

    def take(self, shelf: str, version: int) -> Publication:
        """One of them; its last reader takes it away."""
        key = shelf, version
        self.wanted[key] -= 1
        return self.kept[key] if self.wanted[key] > 0 else self.kept.pop(key)


class Reader(Board):
    """What one player finds on the board in one round: just what it found then."""

    def __init__(self, shelf: Shelf, player: Player, row: Row) -> None:
        self.shelf = shelf
        self.player = player
        self.line = row["line"]
        try:
            self.notes = deque(decoded(row.get("of", ()), row.get("reads", "")))
        except (ValueError, IndexError, TypeError) as error:
            raise Unreplayable(f"line {self.line} of {FILE} is damaged ({error}).") from None
        self.silent: int | None = None
        """Where it was that it found nothing the last time."""

    def publish(self, publication: Publication) -> None:
        """Put it on the shelf that the other readers see."""
        self.shelf.publish(publication)

    def forget(self, player: str, before: int) -> None:
        """What is read is counted."""

    def between(
        self, players: Sequence[str], after: int, upto: int
    ) -> dict[str, list[Publication]]:
        """Nobody asks so in async."""
        raise AssertionError(f"{self.player.name} reads as in lockstep")

    def progress(self, players: Sequence[str]) -> dict[str, int]:
        """Newer for those that it copied now, and for nobody else."""
        self._meet(players)
        reads = note.reads if (note := self._note()) else {}
        self.shelf.look(reads)
        return {n: FAR if n in reads else 0 for n in players}

    def newest(self, players: Sequence[str]) -> dict[str, Publication]:
        """Of these, what it found."""
        if (note := self._note()) is None:
            return {}
        self.shelf.look(note.reads)
        found = {n: self.shelf.take(n, note.reads.pop(n)) for n in players if n in note.reads}
        if not note.reads:
            self.notes.popleft()
        return found

    def peek(
        self, players: Sequence[str], have: Mapping[str, int], wait_s: float = 0.0
    ) -> dict[str, Publication]:
        """What it found, in that order; the second time that there is nothing for it
        where it is, it had given up.
        """
        self._meet(players)
        if (note := self._note()) is None:
            if self.silent == self.player.beats:
                raise Over
            self.silent = self.player.beats
            return {}
        self.shelf.look(note.reads)
        if strangers := note.reads.keys() - {*players}:
            raise Differs(self.said(f"it looked at {min(strangers)}, which it does not know here"))
        self.notes.popleft()
        self.silent = None
        return {s: self.shelf.take(s, v) for s, v in note.reads.items()}

    def _note(self) -> Note | None:
        """What it found where it is now."""
        if self.notes and self.notes[0].at < self.player.beats:
            raise Differs(self.said("it went past a look at the board"))
        here = self.notes and self.notes[0].at == self.player.beats and self.notes[0].reads
        return self.notes[0] if here else None

    def _meet(self, shelves: Sequence[str]) -> None:
        if self.notes and self.notes[0].members and self.notes[0].at == self.player.beats:
            if (members := self.notes[0].members) != owners(shelves):
                raise Meet(members)
            self.notes.popleft()

    def said(self, what: str) -> str:
        """Of this player, where it is."""
        return (
            f"differs: {self.player.name} at step {self.player.step} (line {self.line} of {FILE}):"
            f" {what}"
        )
