"""What the judge has of its generators: who they are, the newest slots, which it has used."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

from raygan.gan.types import Board
from raygan.gan.weights import Publication
from raygan.strategies.pmgan.slots import check_slot, slot_of


class Inbox:
    """Slots by generator."""

    def __init__(self, generators: Sequence[str]) -> None:
        self.members = list(generators)
        self.changes: deque[list[str]] = deque()
        """Members to come, told by another thread while this one trains."""
        self.slots: dict[str, Publication] = {}
        """async: the newest of each member's."""
        self.used: dict[str, int] = dict.fromkeys(generators, -1)
        """The version of each one's that was trained on last; -1: none."""

    def set_members(self, generators: Sequence[str]) -> None:
        """From the next `meet` on; may be called from another thread."""
        self.changes.append(list(generators))

    def meet(self) -> list[str]:
        """The members as they are now. One that has left and come back in between counts as new:
        its steps may have gone back.
        """
        # each change by itself, not the last one alone:
        # only so is a leave seen that a return undoes
        while self.changes:
            self.members = self.changes.popleft()
            self.used = {g: self.used.get(g, -1) for g in self.members}
            self.slots = {g: slot for g, slot in self.slots.items() if g in self.used}
        return self.members

    def exactly(self, board: Board, version: int) -> dict[str, Publication]:
        """lockstep: this version of everybody's slot."""
        found = board.between([slot_of(g) for g in self.members], after=version - 1, upto=version)
        return {g: found[slot_of(g)][0] for g in self.members}

    def poll(self, board: Board, members: Sequence[str], wait_s: float) -> set[str]:
        """async: look into the members' slots, wait that long for something new; returns the
        generators whose slot was not used yet.
        """
        slots, shelves = self.slots, {slot_of(g): g for g in members}
        have = {shelf: slots[g].version if g in slots else -1 for shelf, g in shelves.items()}
        for shelf, slot in board.peek(list(shelves), have, wait_s).items():
            if slot.version > have[shelf]:
                check_slot(slot)
                slots[shelves[shelf]] = slot
        return {g for g in members if g in slots and slots[g].version > self.used.get(g, -1)}

    def as_text(self) -> str:
        """`used` in one line of a state: "gen-00=4,gen-01=5"."""
        return ",".join(f"{g}={v}" for g, v in self.used.items())

    def restore(self, text: str) -> None:
        """The inverse; of those who are members now."""
        pairs = [entry.split("=") for entry in text.split(",") if entry]
        self.used |= {g: int(v) for g, v in pairs if g in self.used}
