"""Checkpoints on their way: a cut at a step is whole once each of its members has given its part.

    asked(Save)   fixes the members of that step's cut: all that count at that moment
    take(Save)    a part                        \
    leave(p)      owes nothing any more          >  -> cuts that this makes whole, to be committed
    lose(p, ...)  died, to come back            /      in this order
    join(p)       belongs to all cuts that are under way; -> those that it has to give its part for
                  at once
    committed     on disk: who has which part there

In async players pass a step at different times. Where networks are swapped, each gives its part
when it comes to the cut's step; where they are not, at its next halt, wherever it is
(`saving.free`): the fastest one's work is not at risk until the slowest has come so far. A run
that was stopped goes on with some of them ahead. Who is at or past a step in the newest committed
checkpoint stands in its cut with that part, and so does whoever died and is on the way back. That
is a consistent cut: networks are swapped only between pairs that stand between the same two
checkpoint steps.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from raygan.controller.orders import Save


@dataclass
class Cut:
    """What is known of one checkpoint; whole once nobody is missing."""

    step: int
    members: set[str]
    missing: set[str]
    parts: dict[str, tuple[int, bytes]] = field(default_factory=dict)
    """player -> (its step, its packed state)"""
    told: set[str] = field(default_factory=set)
    """Members that were asked for their part."""
    extra: dict[str, dict[str, Any]] = field(default_factory=dict)
    """key -> player -> what the checkpoint keeps of it beside"""

    @property
    def standing(self) -> list[str]:
        """Members whose part is the one of the newest committed checkpoint."""
        return sorted(self.members - set(self.parts))

    def expect(self, player: str, extra: Mapping[str, Mapping[str, Any]]) -> None:
        """It will give its part; what the checkpoint keeps of it beside is as of now."""
        self.missing.add(player)
        self.told.add(player)
        for key, values in extra.items():
            if player in values:
                self.extra.setdefault(key, {})[player] = values[player]

    def forget(self, player: str) -> None:
        """What it has given counts no more."""
        self.parts.pop(player, None)
        self.told.discard(player)
        for values in self.extra.values():
            values.pop(player, None)


class Assembly:
    """Of one attempt of a run; `steps`: of the players in the checkpoint that it goes on from."""

    def __init__(self, steps: Mapping[str, int] | None = None) -> None:
        self.steps: dict[str, int] = dict(steps or {})
        """player -> its step in the newest committed checkpoint."""
        self.saved_step = -1
        """The furthest that a checkpoint of this attempt was committed for."""
        self.away: set[str] = set()
        """Players that are on the way back."""
        self._cuts: dict[int, Cut] = {}
        self._given: dict[str, int] = dict(self.steps)
        """player -> its step when it was last asked for a part; while it is away, none."""

    def fresh(self, player: str, step: int, every: int) -> bool:
        """Was it asked for a part less than `every` steps ago?"""
        return player in self._given and step - self._given[player] < every

    def awaiting(self, player: str) -> list[int]:
        """Steps of the cuts that wait for its part, and for which it was not asked yet."""
        return [
            s for s, cut in self._cuts.items() if player in cut.missing and player not in cut.told
        ]

    def asked(
        self, order: Save, players: Collection[str], extra: Mapping[str, Mapping[str, Any]]
    ) -> None:
        """One of `players`, who are all members now, will give its part."""
        cut = self._cuts.get(order.step)
        if cut is None:
            # who is on the way back is a member, too: a checkpoint without it would lose it for
            # good
            members = {*players, *self.away}
            # who is past the step on disk stands in the cut with that part: consistent, since
            # networks are swapped only between pairs between the same two checkpoint steps
            # (decisions 13, 51)
            missing = {p for p in members if self.steps.get(p, -1) < order.step}
            cut = self._cuts[order.step] = Cut(
                order.step, members, missing - (self.away & set(self.steps))
            )
        self._given[order.player] = order.at
        cut.expect(order.player, extra)

    def last(
        self, step: int, at: Mapping[str, int], extra: Mapping[str, Mapping[str, Any]]
    ) -> list[Save]:
        """The cut of a run that stands still: all give what they are, and no other cut counts any
        more.
        """
        # what those cuts waited for will not come: nobody moves any more
        self._cuts.clear()
        orders = [Save(player, step, at=done) for player, done in at.items()]
        cut = self._cuts[step] = Cut(step, set(at), set())
        for order in orders:
            cut.expect(order.player, extra)
        return orders

    def take(self, order: Save, raw: bytes) -> list[Cut]:
        """A player's part of a cut; returns the cuts that are whole by it."""
        cut = self._cuts.get(order.step)
        if cut is None or order.player not in cut.missing:
            # of a cut that was overtaken, or begun anew since
            return []
        cut.parts[order.player] = order.at, raw
        cut.missing.discard(order.player)
        return self._whole()

    def leave(self, player: str) -> list[Cut]:
        """It is no member any more, whatever it has given or owes."""
        # its entry in `steps` stays: on disk it is still a member
        self.away.discard(player)
        for cut in self._cuts.values():
            cut.members.discard(player)
            cut.missing.discard(player)
            cut.forget(player)
        return self._whole()

    def lose(self, *players: str) -> list[Cut]:
        """They died together and come back from their committed parts, which stand for them
        meanwhile; whoever has none is waited for.

        A cut is looked at once all are lost: it would be committed else with a part of somebody
        that comes back from before it.
        """
        for player in players:
            self.away.add(player)
            self._given.pop(player, None)
            for cut in self._cuts.values():
                cut.forget(player)
                # it comes back from its committed part, which stands for it till then
                if player in self.steps:
                    cut.missing.discard(player)
                elif player in cut.members:
                    cut.missing.add(player)
        return self._whole()

    def join(self, player: str, at: int) -> list[Save]:
        """It is up, at its step `at`; no cut that is under way may go without it, or it would be
        undone by the next resume.
        """
        if player in self.away:
            self.away.discard(player)
            return [
                Save(player, step, at=at)
                for step, cut in self._cuts.items()
                if player in cut.missing and step <= at
            ]
        for cut in self._cuts.values():
            cut.members.add(player)
            cut.missing.add(player)
        return [Save(player, step, at=at) for step in self._cuts if step <= at]

    def committed(self, step: int, steps: Mapping[str, int]) -> None:
        """A checkpoint is on disk; cuts that only those would have to give to who are past them are
        overtaken.
        """
        self.saved_step = max(self.saved_step, step)
        self.steps = dict(steps)
        for cut in self._cuts.values():
            for player in [p for p, (at, _) in cut.parts.items() if at < self.steps.get(p, -1)]:
                # such a cut waits for somebody who was away; what is on disk is newer
                cut.forget(player)
        self._cuts = {
            s: c for s, c in self._cuts.items() if any(self.steps.get(p, -1) < s for p in c.missing)
        }

    def holds(self, done: Mapping[str, int]) -> bool:
        """Is the newest committed checkpoint one of just these players at just these steps?"""
        return self.steps == dict(done)

    def _whole(self) -> list[Cut]:
        whole = sorted(step for step, cut in self._cuts.items() if not cut.missing)
        return [self._cuts.pop(step) for step in whole]
