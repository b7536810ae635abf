"""Members that join and leave a running run: `raygan scale RUN --pairs K`.

a request's file (requests.py)  -->  Membership  -->  what to do, in order
    Leave(player)  Enter(player, step)  Admit(player, kind)  TurnAway(player)  Answer(kind, facts)

Nothing is done here: the loop carries each out before it asks for the next, so that a decision sees
the state that the one before has left. Which members a request comes to is in members.py.

Those who stay never stop in async; in lockstep members change between two steps of everybody, and
the journal says at which.

A request stays in its file until a checkpoint with its members is committed, with what was decided
when it was taken up (the members, the step). So who is taken back to a checkpoint before that, by a
death or a new life of the run, changes again, into the same members at the same step; where there
is no checkpoint yet, all begin with them. After TRIES times it is refused:
what it asks for may be what takes the run back.

Players that died in async come back by the same door: they have left, the others go on, and they
join again under their own numbers, from their parts of the last checkpoint. A request waits for
them.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from raygan.controller.checkpoint_assembly import Assembly
from raygan.controller.max_ahead import up_to
from raygan.controller.members import target, too_late
from raygan.controller.requests import Requests
from raygan.controller.state import RunState
from raygan.errors import ConfigError
from raygan.strategies.orders import Order
from raygan.strategies.roles import number_of

EVERY_S = 0.25
ROOM_S = 10.0
"""That a request waits for room, before it is refused for the lack of it."""
TRIES = 3
"""Times that a request is carried out, at most, before a checkpoint has its members."""


@dataclass(frozen=True)
class Leave:
    """A member goes for good."""

    player: str


@dataclass(frozen=True)
class Enter:
    """A newcomer is made, and counts its steps from `step`."""

    player: str
    step: int


@dataclass(frozen=True)
class Admit:
    """A player that is up becomes a member."""

    player: str
    kind: str
    """join | revive"""


@dataclass(frozen=True)
class TurnAway:
    """A newcomer that is up too late."""

    player: str


@dataclass(frozen=True)
class Answer:
    """What to tell whoever has asked."""

    kind: str
    """scale | refused"""
    request: str | None
    facts: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Halt:
    """`raygan stop` was called where only the run folder is shared."""


Change = Leave | Enter | Admit | TurnAway | Answer | Halt


class Membership:
    """At most one request at a time; the next is looked at when it is done."""

    def __init__(
        self, state: RunState, requests: Requests, assembly: Assembly,
        no_room: Callable[[int], str | None],
    ) -> None:  # fmt: skip
        self.state = state
        self.assembly = assembly
        self.no_room = no_room
        self.meeting = Meeting(state)
        self.requests = requests
        self.request: dict[str, Any] | None = None
        self.leaving: list[str] = []
        self.joining: list[str] = []
        self._name = ""
        """The request's file."""
        self.answered: tuple[str, dict[str, Any]] | None = None
        """The newest that was carried out, with its file, while no checkpoint has its members."""
        self._starting: set[str] = set()
        self._looked = 0.0
        self._lacking: dict[str, float] = {}  # requests that wait for room -> since when

    @property
    def busy(self) -> bool:
        """Is somebody on the way in, out, or back?"""
        return (self.request is not None and not self.meeting.to_come) or bool(self.state.away)

    @property
    def holds_back(self) -> bool:
        """lockstep: nobody gets orders until all stand at one step and the members have changed."""
        return self.request is not None and self.meeting.lockstep and self.meeting.met

    @property
    def _saved(self) -> bool:
        """Has the newest checkpoint just the members of now?"""
        return self.assembly.steps.keys() == set(self.state.players)

    def changes(self) -> Iterator[Change]:
        """What is to be done now."""
        if self.state.stop_signal is None and time.monotonic() - self._looked >= EVERY_S:
            self._looked = time.monotonic()
            yield from self._look()
        if self.state.away:
            # who leaves, and how many join, is known once they are back
            return
        if self.request is not None and self.meeting.met:
            yield from self._carry_out()

    def _look(self) -> Iterator[Change]:
        """Look for a new request, and take it up."""
        if self.requests.stops():
            yield Halt()
        if self.request or self.state.stop_signal is not None or self.state.away:
            return
        if self.answered and self._saved:
            self._forget_answered()
        for name in self.requests.waiting():
            if not self.answered or name != self.answered[0]:
                yield from self._take_up(name)
                break

    def _take_up(self, name: str) -> Iterator[Change]:
        """Decide who leaves and joins, and when; from now on it is under way."""
        self._name, self.request = name, {}
        try:
            self.request = request = self.requests.read(name)
            at = self.meeting.call(int(request.get("at", 0)))
            pairs = int(request["pairs"])
            to_be = target(self.state, pairs, at, request.get("members"))
            tries = int(request.get("tries", 0)) + to_be.changes
            if tries > TRIES:
                raise ConfigError(
                    f"--pairs {pairs}: carried out {TRIES} times, and each time the run had to go"
                    " back to before it. See the deaths in events.jsonl."
                )
            # one that would wait for ever counts as hung, and its failures could end the run
            if to_be.joining and (why := self.no_room(len(to_be.joining))):
                # who has just left gives its room back in its own time
                now = time.monotonic()
                if now - self._lacking.setdefault(name, now) < ROOM_S:
                    self.request = None
                    self.meeting.over()
                    return
                raise ConfigError(f"--pairs {pairs}: {why}")
        except (ValueError, KeyError, TypeError, ConfigError) as error:
            yield self._answer("refused", why=str(error))
            return
        self.request = request | {"members": list(to_be.members), "at": at, "tries": tries}
        # before anything of it is done: a kill from now on finds it decided
        if to_be.changes or not self._saved:
            self.requests.keep(name, self.request)
        self.leaving, self.joining = to_be.leaving, to_be.joining
        if not to_be.changes:
            yield self._answer("scale", pairs=request["pairs"], why="nothing to do")

    def _carry_out(self) -> Iterator[Change]:
        state = self.state
        idle = [p for p in self.leaving if p in state.ledger.idle and not state.owed.get(p)]
        for player in idle:
            self.leaving.remove(player)
            yield Leave(player)
        for player in [p for p in self.joining if p not in self._starting]:
            self._starting.add(player)
            # from the slowest one's step, so that the run's clock does not go back
            yield Enter(player, min(state.done[p] for p in state.strategy.locals(state.config)))
        yield from self._finished()

    def joined(self, player: str) -> Iterator[Change]:
        """Its actor is up, and what others need of it is published."""
        back = player in self.state.away
        # before it is a member: a number is spent once anybody has had it
        self.state.totals.seen.add(number_of(player))
        if back:
            self.state.away.remove(player)
        elif player not in self.joining:  # another one of its request was too late
            yield TurnAway(player)
            return
        else:
            self.joining.remove(player)
            self._starting.discard(player)
            if too_late(self.state):  # those who listen have stopped: nobody would answer it
                yield TurnAway(player)
                why = (
                    f"{player} was up after the run's last step. `raygan resume RUN --steps +1000`"
                    " first."
                )
                yield self._answer("refused", why=why)
                return
        yield Admit(player, "revive" if back else "join")
        yield from self._finished()

    def _finished(self) -> Iterator[Change]:
        if self.request is not None and not self.leaving and not self.joining:
            yield self._answer("scale", pairs=self.state.config.num_pairs)

    def _forget_answered(self) -> None:
        """It is in a checkpoint, or another one is in force."""
        if self.answered:
            self.requests.drop(self.answered[0])
        self.answered = None

    def _answer(self, kind: str, **facts: Any) -> Answer:
        request = self.request or {}
        # nothing to do, and no checkpoint says so yet: it waits for one like those that were done
        if kind == "scale" and not ("why" in facts and self._saved):
            # in the place of the one before; a kill between leaves both, and they are repeated
            self._forget_answered()
            self.answered = self._name, request
        else:
            # refused: the one before stays in force
            self.requests.drop(self._name)
        self.request, self.leaving, self.joining = None, [], []
        self.meeting.over()
        return Answer(kind, request.get("id"), facts)


class Meeting:
    """lockstep: the step at which everybody stops, so that members can change there.
    In async nobody has to.
    """

    def __init__(self, state: RunState) -> None:
        self.state = state
        self.at: int | None = None

    @property
    def lockstep(self) -> bool:
        """Is there to be one at all?"""
        return self.state.plan.tempo == "lockstep"

    def call(self, at: int = 0) -> int:
        """At this step; 0: where all can be soonest. Returns the step; 0 in async."""
        if self.lockstep:
            self.at = at or self._soonest()
        return self.at or 0

    def _soonest(self) -> int:
        """Where the furthest is by now; the step after it where networks are swapped at that
        already, with the members of before: whoever went back would swap among others there.
        """
        ledger = self.state.ledger
        swapping = ledger.done.keys() - ledger.idle.keys() - ledger.in_flight.keys()
        at = ledger.furthest
        return at + bool(at and (swapping or at in ledger.swapped.values()))

    @property
    def to_come(self) -> bool:
        """Is it at a step that nobody was told to go to yet?"""
        return self.lockstep and (self.at or 0) > self.state.ledger.furthest

    @property
    def met(self) -> bool:
        """Do all stand where members may change?"""
        at = self.at or 0
        return not self.lockstep or (self.state.settled and self.state.furthest >= at)

    def limit(self, orders: Sequence[Order]) -> list[Order]:
        """The orders, with nobody going past it."""
        if self.at is None:
            return list(orders)
        return up_to(orders, self.state.done, dict.fromkeys(self.state.done, self.at))

    def over(self) -> None:
        """Members have changed, or will not."""
        self.at = None
