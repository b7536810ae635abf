"""Members that join and leave a running run: `raygan scale RUN --pairs K`.

scale.json (a request, by anybody who reaches the run folder)  -->  Membership  -->  what to do, in order
    Leave(player)  Enter(player, step)  Admit(player, kind)  TurnAway(player)  Answer(kind, facts)

Nothing is done here: the loop carries each out before it asks for the next, so that a decision sees
the state that the one before has left.

Numbers are never given twice: whoever leaves takes its number along, whoever joins gets the next
one. Those who stay never stop in async; in lockstep members change between two steps of everybody,
and the journal says at which.

A request stays in its file until a checkpoint with its members is committed, with what was decided
when it was taken up (the members, the step). So who is taken back to a checkpoint before that, by a
death or a new life of the run, changes again, into the same members at the same step; where there is
no checkpoint yet, all begin with them. After TRIES times it is refused: what it asks for may be what
takes the run back.

Players that died in async come back by the same door: they have left, the others go on, and they
join again under their own numbers, from their parts of the last checkpoint. A request waits for
them.
"""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from raygan.controller.assembly import Assembly
from raygan.controller.files import remove_within, write_within
from raygan.controller.lines import read_json
from raygan.controller.run_folder import REQUEST, STOP
from raygan.controller.state import RunState, number_of
from raygan.errors import ConfigError
from raygan.strategies.base import strategy_of
from raygan.strategies.orders import Order, Train
from raygan.strategies.partition import parts_of

EVERY_S = 0.25
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
    """To whoever has asked."""

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

    def __init__(self, state: RunState, folder: Path, assembly: Assembly) -> None:
        self.state = state
        self.folder = folder
        self.assembly = assembly
        self.request: dict[str, Any] | None = None
        self.carried_out: dict[str, Any] | None = None
        """A request that is answered, and in no checkpoint yet."""
        self.meeting: int | None = None
        """lockstep: the step at which everybody stops, so that members can change there."""
        self.leaving: list[str] = []
        self.joining: list[str] = []
        self.starting: set[str] = set()
        self._looked = 0.0

    @property
    def busy(self) -> bool:
        """Is somebody on the way in, out, or back?"""
        return (self.request is not None and not self._to_come) or bool(self.state.away)

    @property
    def _saved(self) -> bool:
        """Has the newest checkpoint just the members of now?"""
        return self.assembly.steps.keys() == set(self.state.players)

    @property
    def _to_come(self) -> bool:
        """lockstep: is the meeting at a step that nobody was told to go to yet?"""
        return self._lockstep and (self.meeting or 0) > self.state.ledger.furthest

    @property
    def holds_back(self) -> bool:
        """lockstep: nobody gets orders until all stand at one step and the members have changed."""
        return self.request is not None and self._lockstep and self._met

    @property
    def _met(self) -> bool:
        """May members change now? In lockstep all stand at the step of the meeting first."""
        at = self.meeting or 0
        return not self._lockstep or (self.state.settled and self.state.furthest >= at)

    @property
    def _lockstep(self) -> bool:
        return self.state.plan.tempo == "lockstep"

    def limit(self, orders: Sequence[Order]) -> list[Order]:
        """The orders, with nobody going past the meeting."""
        if self.meeting is None:
            return list(orders)
        out = list[Order]()
        for order in orders:
            if isinstance(order, Train):
                left = self.meeting - self.state.done[order.player]
                if left <= 0:
                    continue
                order = replace(order, steps=min(order.steps, left))
            out.append(order)
        return out

    def changes(self) -> Iterator[Change]:
        """What is to be done now."""
        if self.state.stop_signal is None and time.monotonic() - self._looked >= EVERY_S:
            self._looked = time.monotonic()
            yield from self._look()
        if self.state.away:
            return  # who leaves, and how many join, is known once they are back
        if self.request is not None and self._met:
            yield from self._carry_out()

    def _look(self) -> Iterator[Change]:
        """For what was asked."""
        if (self.folder / STOP).exists():
            remove_within(self.folder, STOP)
            yield Halt()
        if (
            self.request
            or self.state.stop_signal is not None
            or self.state.away
            or not (self.folder / REQUEST).exists()
        ):
            return
        try:
            request = read_json(self.folder, REQUEST)
            if request == self.carried_out:
                if self._saved:
                    remove_within(self.folder, REQUEST)
                return
            self.request = request
            if self._lockstep:
                self.meeting = int(request.get("at", 0)) or self._next_meeting()
            self._plan(int(request["pairs"]), request.get("members"))
        except (ValueError, KeyError, TypeError, ConfigError) as error:
            yield self._answer("refused", why=str(error))
        else:
            if not self.leaving and not self.joining:
                yield self._answer("scale", pairs=self.request["pairs"], why="nothing to do")

    def _next_meeting(self) -> int:
        """The step at which all can be soonest; the one after it where networks are swapped at that
        already, with the members of before.
        """
        ledger = self.state.ledger
        swapping = ledger.done.keys() - ledger.idle.keys() - ledger.in_flight.keys()
        at = ledger.furthest
        return at + bool(at and (swapping or at in ledger.swapped.values()))

    def _plan(self, pairs: int, decided: Sequence[int] | None = None) -> None:
        """Who leaves and who joins. decided: numbers of the members, where it was taken up before.
        Raises ConfigError where that cannot be.
        """
        state = self.state
        self._refuse(pairs)
        gone = {number_of(p) for p in state.failures.degraded if p in state.roles}
        still = decided and not gone & set(decided)  # else the run has gone on without one of them
        members = tuple(decided or ()) if still else self._members(pairs)
        spec = state.strategy.pinned(state.config.strategy, state.config)
        changes = {"num_pairs": len(members), "members": members, "strategy": spec}
        target = state.config.model_copy(update=changes)
        after = strategy_of(target).players(target)  # strategy_of checks the classes
        self.leaving = [p for p in state.players if p not in after]
        self.joining = [p for p in after if p not in state.players]
        request, changing = self.request or {}, bool(self.leaving or self.joining)
        tries = int(request.get("tries", 0)) + changing
        if tries > TRIES:
            raise ConfigError(
                f"--pairs {pairs}: carried out {TRIES} times, and each time the run had to go back"
                " to before it. See the deaths in events.jsonl."
            )
        kept = {**request, "members": list(members), "at": self.meeting or 0, "tries": tries}
        if changing or not self._saved:
            with contextlib.suppress(OSError):  # a full disk: decided anew, should it come to that
                write_within(self.folder, REQUEST, json.dumps(kept).encode())
                self.request = kept

    def _members(self, pairs: int) -> tuple[int, ...]:
        """Numbers of so many: the first of those that are there, and new ones."""
        ids = list(self.state.config.ids)
        ever = max([*ids, *(int(n) for n in self.state.totals.seen)])
        new = [ever + 1 + i for i in range(pairs - len(ids))]
        if new and max(new) >= parts_of(self.state.config):
            raise ConfigError(
                f"--pairs {pairs}: data.partition gives no part to a pair that joins. Start a new"
                " run, with data.partition_parts for those to come."
            )
        return (*ids[:pairs], *new)

    def _refuse(self, pairs: int) -> None:
        state, strategy = self.state, self.state.strategy
        if not strategy.elastic:
            raise ConfigError(
                f"strategy {strategy.name} with shared weights: its members are fixed while it"
                " runs. Set share_weights to false."
            )
        if pairs < 1:
            raise ConfigError(f"--pairs {pairs}: at least 1 must stay.")
        end = state.plan.steps
        if any(state.done[p] >= end for p in state.players) or (self.meeting or 0) >= end:
            raise ConfigError("the run is at its end. `raygan resume RUN --steps +1000` first.")

    def _carry_out(self) -> Iterator[Change]:
        state = self.state
        idle = [p for p in self.leaving if p in state.ledger.idle and not state.owed.get(p)]
        for player in idle:
            self.leaving.remove(player)
            yield Leave(player)
        for player in [p for p in self.joining if p not in self.starting]:
            self.starting.add(player)
            # from the slowest one's step, so that the run's clock does not go back
            yield Enter(player, min(state.done[p] for p in state.generators))
        yield from self._finished()

    def joined(self, player: str) -> Iterator[Change]:
        """Its actor is up, and what others need of it is published."""
        back = player in self.state.away
        self.state.totals.seen.add(number_of(player))
        if back:
            self.state.away.remove(player)
        elif player not in self.joining:  # another one of its request was too late
            yield TurnAway(player)
            return
        else:
            self.joining.remove(player)
            self.starting.discard(player)
            if self._too_late():  # those who listen have stopped meanwhile: nobody would answer
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

    def _too_late(self) -> bool:
        state = self.state
        listeners = state.strategy.audience(state.config) or state.strategy.locals(state.config)
        return all(state.done[p] >= state.plan.steps for p in listeners)

    def _lies_there(self, request: dict[str, Any]) -> bool:
        """Is this one in the file, and not a newer one? One that cannot be read is."""
        try:
            return read_json(self.folder, REQUEST) == request or not request
        except ConfigError:
            return True

    def _put_back(self) -> None:
        """The request before this one, where no checkpoint has its members yet."""
        remove_within(self.folder, REQUEST)
        if self.carried_out and not self._saved:
            with contextlib.suppress(OSError):
                write_within(self.folder, REQUEST, json.dumps(self.carried_out).encode())

    def _answer(self, kind: str, **facts: Any) -> Answer:
        request = self.request or {}
        if kind == "scale" and not ("why" in facts and self._saved):
            self.carried_out = request  # also where there was nothing to do: no checkpoint has it
        elif self._lies_there(request):
            self._put_back()
        self.request = self.meeting = None
        self.leaving, self.joining = [], []
        return Answer(kind, request.get("id"), facts)
