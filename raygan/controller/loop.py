"""One attempt of a run: from a checkpoint to the end, or until somebody dies whom the others cannot
do without.

tick     notices, members, then orders: what the strategy wants,
         within what these leave of it --> executor
handle   what was carried out --> recorded, scored, saved; what is due because of it is asked for

who decides                                what it decides                  who carries it out
strategy    (strategies/)                  Train, Swap                      the executor
Membership  a request to scale             Leave, Enter, Admit, Answer ...  carry_out
recovery    a death, NaN                   Revive | Restart, Retire, Stop   revived | Controller
Notices     a machine that is to go        all halt, or one moves alone     tick | handle
Saving      a cut whose parts are all in   commit                           itself
"""

from __future__ import annotations

import math
import signal
from collections.abc import Iterable, Mapping, Sequence

from raygan.controller.max_ahead import up_to
from raygan.controller.membership import (
    Admit,
    Answer,
    Change,
    Enter,
    Halt,
    Leave,
    Membership,
    TurnAway,
)  # fmt: skip
from raygan.controller.notices import Notices
from raygan.controller.orders import Adopt, Done, Evaluate, Executor, Join, Save
from raygan.controller.recorder import Recorder
from raygan.controller.recovery import Revive
from raygan.controller.requests import Requests
from raygan.controller.saving import Saving, complete_at
from raygan.controller.turns import decided, give_out
from raygan.errors import Leaving, PlayerDied
from raygan.strategies.orders import Order, Swap, Train
from raygan.strategies.roles import MIXTURE, number_of


class Loop:
    """Its turns; who takes part is in `recorder.state`, what is written goes by `recorder.log`."""

    def __init__(
        self, recorder: Recorder, notices: Notices, executor: Executor, steps: Mapping[str, int]
    ) -> None:
        self.state = recorder.state
        self.log = recorder.log
        self.recorder = recorder
        self.notices = notices
        self.executor = executor
        self.saving = Saving(self.state, self.log, steps)
        requests = Requests(self.log.folder.path, self.log.life)
        self.membership = Membership(self.state, requests, self.saving.assembly, executor.no_room)

    def tick(self) -> bool:
        """Give out orders; False when there is nothing left to wait for, and the last checkpoint is
        what the players are.
        """
        state, executor = self.state, self.executor
        # what is mended already is told before what it may lead to
        for mishap in executor.mishaps():
            self.notices.mishap(mishap)
        if state.stop_signal is None and self.notices.look(executor.leaving()):
            self.state.stop_signal = signal.SIGTERM
        for order in self.notices.moves.let_go():
            executor.submit(order)
        # before the strategy is asked: it must not order anything of who is gone
        self.carry_out(self.membership.changes())
        give_out(state.strategy, self.recorder.asked(self._orders()), state.ledger, executor)
        busy = (
            len(state.ledger.idle) < len(state.players)
            or self.membership.busy
            or self.notices.moves.alone
        )
        if busy:
            return True
        try:
            parts = self.notices.halted(self.saving)
        except Leaving:
            # what they have done stays: this attempt ends where it is
            self.recorder.write_rows()
            raise
        if parts is not None:
            self.ask(parts)
            return True
        if any(state.owed.values()):
            return True
        self.ask(parts := self.saving.last())
        return bool(parts)

    def _orders(self) -> Sequence[Order]:
        """What the strategy wants, within what a stop, a notice or a change of members leaves of
        it.
        """
        state = self.state
        stops = state.stop_signal is not None
        halting = stops or self.notices.halts(self.membership.busy)
        if halting and state.targets is None and len(state.ready) == len(state.players):
            # all stand between two rounds: now it can be said where each of them ends
            state.targets = (
                state.strategy.stop_targets(state.done, state.plan)
                if stops
                else self.notices.targets()
            )
        ready = self.notices.moves.ready(state.ready)
        if self.membership.holds_back or state.at_targets:
            return []
        if halting and state.targets is None:
            return self._answers(ready)
        orders = decided(state.strategy, ready, state.ledger, state.plan)
        if halting:
            return up_to(orders, state.done, state.targets or {})
        return self.membership.meeting.limit(orders)

    def _answers(self, ready: Sequence[str]) -> Sequence[Order]:
        """While rounds are under way, whoever these wait for goes on answering (decision 56)."""
        state = self.state
        answering = state.strategy.answers(state.config) if state.plan.tempo == "async" else []
        ready = [p for p in ready if p in answering]
        return state.strategy.decide(ready, state.ledger.progress, state.plan) if ready else []

    def handle(self, item: Done) -> None:
        """Record one order that was carried out."""
        state, order, result = self.state, item.order, item.result
        state.ledger.carried_out(item)
        match order:
            case Train():
                self.log.schedule.round(order, item.round)
                self.recorder.trained(order, result)
                self._due(order.player)
            case Swap():
                self.recorder.offered(order, result)
                # only now that the record is committed: a death before it leaves a swap that never
                # was (decision 12)
                self.executor.submit(Adopt(order))
            case Adopt():
                state.totals.swaps += 1
            case Join():
                self.carry_out(self.membership.joined(order.player))
            case Save():
                self.log.schedule.took(order, result)
                saved = self.saving.assembly.steps.get(order.player)
                if (back := self.notices.moves.took(order, result, saved)) is not None:
                    # async: its machine goes; it goes on elsewhere from where it is
                    self._bring_back([back])
                    text = f"{back.player} leaves its machine; it goes on elsewhere from step"
                    self.log.warn("W208 moved", f"{text} {back.step}")
                else:
                    self.saving.taken(order, result)
            case Evaluate():
                if result.missing:
                    self.notices.owed.unscored(order, result.missing)
                else:
                    self.recorder.scored(order, result)
        if isinstance(order, Save | Evaluate) and order in (
            owed := state.owed.get(order.player, [])
        ):
            owed.remove(order)

    def _due(self, player: str) -> None:
        """Ask for the scores and the parts of checkpoints that are due where this player stands."""
        state, step = self.state, self.state.done[player]
        for p in complete_at(state, player, step):
            if state.plan.evaluates_at(step) and state.roles[p].scored:
                self.ask([Evaluate(p, step, state.generators)])
            if self.saving.due(p, step):
                self.ask([Save(p, step, at=step)])
        self.ask(self.saving.awaited(player, step))

    def ask(self, orders: Iterable[Evaluate | Save]) -> None:
        """For scores, or for parts of a checkpoint."""
        for order in orders:
            self.state.owed.setdefault(order.player, []).append(order)
            if isinstance(order, Save):
                self.log.schedule.asked(order)
                self.saving.assembly.asked(order, self.state.players, self.state.ledger.extra())
            self.executor.submit(order)

    def carry_out(self, changes: Iterable[Change]) -> None:
        for change in changes:
            match change:
                case Leave(player):
                    left = self.state.done[player]
                    # nobody counts on it any more; then its process goes; then the record: a kill
                    # before that brings it back from the checkpoint, as a member
                    self.take_out(player)
                    self.executor.remove(player)
                    self.log.commit(
                        "leave", left, player=player, members=list(self.state.config.ids)
                    )
                    self.saving.left(player)
                case Enter(player, step):
                    self.log.schedule.joins(player, step, self.state.config.ids)
                    self.executor.submit(Join(player, step))
                case Admit(player, kind):
                    self.set_members(sorted([*self.state.config.ids, number_of(player)]))
                    at = self.state.done[player]
                    self.log.commit(kind, at, player=player, members=list(self.state.config.ids))
                    # a cut under way that went without it would be undone by the next resume
                    self.ask(self.saving.joined(player, at))
                case TurnAway(player):
                    self.state.ledger.left(player)
                    self.executor.remove(player)
                case Answer(kind, request, facts):
                    self.log.event(kind, self.state.furthest, request=request, **facts)
                case Halt():
                    self.state.stop_signal = signal.SIGTERM

    def set_members(self, ids: Sequence[int]) -> None:
        """Others from now on; who counts on them is told."""
        state = self.state
        self.log.set_members(ids)
        self.executor.configure(state.config, state.strategy.audience(state.config))

    def take_out(self, *players: str) -> None:
        """Out of the members: nobody counts on them any more."""
        gone = set(map(number_of, players))
        self.set_members([i for i in self.state.config.ids if i not in gone])
        for player in players:
            self.state.ledger.left(player)

    def revived(self, backs: Sequence[Revive], death: PlayerDied) -> None:
        """async: a process died; the others go on while those that lived in it come back."""
        self.log.warn_checkpoints(backs[0].problems)
        self.recorder.failed(death, self.state.failures.decide(death, can_spare=True))
        for back in backs:
            self.recorder.rows.pop(back.player, None)
        self._bring_back(backs)
        who = "it comes" if len(backs) == 1 else "they come"
        first, last = min(back.step for back in backs), max(back.step for back in backs)
        steps = f"step {first}" if first == last else f"steps {first} to {last}"
        text = f"{death}; {who} back from {steps} while the others go on"
        self.log.warn("W201 player-died", text)

    def _bring_back(self, backs: Sequence[Revive]) -> None:
        """They leave, all of them before anybody joins again."""
        home = tuple(back.player for back in backs)
        for player in home:
            self.state.owed.pop(player, None)
            self.executor.remove(player)
            self.notices.moves.gone(player)
        # out of the members before anybody is asked back: the others would wait for its next step
        self.take_out(*home)
        self.state.away |= set(home)
        steps = {back.player: back.step for back in backs}
        # the others stay as they are, and what was mixed from them all does not
        self.state.totals.undo({**steps, MIXTURE: min(steps.values())}, otherwise=math.inf)
        # after all are gone: a cut would be committed else with a part of one that comes back from
        # before it
        self.saving.lost({back.player: back.saved for back in backs})
        for back in backs:
            self.log.schedule.back(back.player, back.step)
            self.executor.submit(Join(back.player, back.step, back.raw, home))
