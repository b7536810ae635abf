"""async: how far a generator is ahead of the judge."""

from __future__ import annotations


class Lead:
    """A generator's steps ahead of the judge's updates; `most` of them, and it has to wait.

    Counted by the judge's updates and not by what it has seen of us: one look at each of our slots
    would do for the latter, and a generator on a machine to itself would use up its steps against a
    D that has made a twentieth of them.
    """

    def __init__(self, most: int) -> None:
        self.most = most
        self.base: int | None = None
        """The difference from which is counted: that of the first answer."""

    def at(self, step: int, updates: int, used: bool) -> int:
        """Steps ahead; used: has the judge trained on the slot of this very step?"""
        ahead = step - updates
        if self.base is None:
            # A joiner, and one that comes back, begins behind: no credit to use up at once. Whoever
            # begins too far ahead (what older releases left) has one step where its slot is used
            # already, and would wait else for the next.
            self.base = max(min(ahead, 0), ahead - self.most + int(used))
        return ahead - self.base
