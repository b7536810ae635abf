"""What the executor tells beside what it carries out: mishaps that are mended already, and machines
that have given notice.

    mishaps  -> an event and W201; a score that is missing: an event, W207, and the run ends
                degraded (exit 4)
    leaving  -> async, where the player comes back alone: its state now, then a Join elsewhere from
                just that; the others never stop
                else: all halt at one step (lockstep) or where they are (async), one checkpoint, and
                a restart elsewhere from it

So a machine that is taken away with notice costs nobody a step. One that goes before all that is
done is a lost node, as ever.

Notices decides who moves how; Moves has those that move alone;
Owed the scores that nobody waits for.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence

from raygan.controller.hang_stacks import keep_stack
from raygan.controller.orders import Evaluate, Save
from raygan.controller.recovery import Revive, may_return
from raygan.controller.run_log import RunLog
from raygan.controller.saving import Saving
from raygan.controller.state import RunState
from raygan.errors import Leaving, PlayerDied
from raygan.strategies.base import homes

SCORES = "scores"
"""In run.json's `degraded`, beside the members that a run went on without."""
SCORES_S = 10.0
"""How long a player that is to leave waits for its scores: its process ends 25 s after SIGTERM, and
Ray's raylet may end it after 5 (decision 60).
"""


class Notices:
    """Of one run; what is under way begins anew with each attempt."""

    def __init__(self, state: RunState, log: RunLog) -> None:
        self.state = state
        self.log = log
        self.owed = Owed(state, log)
        self.seen: set[tuple[str, str]] = set()
        """(player, notice) that was acted on: whoever finds itself on such a machine again has no
        other place to go.
        """
        self.begin()

    def begin(self) -> None:
        """Another attempt: all have been placed anew."""
        self.state.leaving.clear()
        self.moves = Moves(self.state, self.owed)
        self._since = 0.0
        """Of the first of those that make all halt, by the monotonic clock."""
        self._asked = False

    def mishap(self, mishap: PlayerDied) -> None:
        """A helper died that nobody needs to train; it is there again."""
        facts = {"cause": mishap.cause, "why": mishap.kind}
        facts |= keep_stack(self.log.folder, mishap, self.state.furthest)
        self.log.event(
            "death", self.state.furthest, player=mishap.player, action="replace", **facts
        )
        self.log.warn("W201 player-died", f"{mishap}; it is made again, nobody goes back for it")

    def look(self, leaving: Mapping[str, str]) -> bool:
        """Whose machine has given notice -> why. True where it is this process's: the run is to
        stop.
        """
        stops = False
        for player, why in leaving.items():
            # told once: a run that has no other machine to go to would restart for ever
            if (player, why) in self.seen or (player and player not in self.state.done):
                continue
            self.seen.add((player, why))
            alone = bool(player) and self.moves.can(player)
            how = "alone" if alone else "all" if player else "stop"
            at = self.state.done.get(player, self.state.furthest)
            self.log.event("notice", at, player=player, why=why, how=how)
            # whoever starts the run again does so elsewhere
            if not player:
                stops = True
            elif alone:
                self.moves.alone[player] = time.monotonic()
            else:
                self._since = self._since if self.state.leaving else time.monotonic()
                self.state.leaving[player] = why
        return stops

    def halts(self, changing: bool) -> bool:
        """Is everybody to come to a halt? Not while members change: that comes first."""
        if self.state.leaving and changing:
            self.state.targets = None
        return bool(self.state.leaving) and not changing

    def targets(self) -> dict[str, int]:
        """Where all halt, as they stand now."""
        done = self.state.done
        lockstep = self.state.plan.tempo == "lockstep"
        return dict.fromkeys(done, self.state.furthest) if lockstep else dict(done)

    def halted(self, saving: Saving) -> list[Save] | None:
        """Nobody moves: the parts of one more checkpoint; [] while something is owed; None where
        nobody is to leave.

        Raises Leaving once all is there.
        """
        state = self.state
        if not state.leaving or state.stop_signal is not None:
            return None
        if not self._asked and not saving.assembly.holds(state.done):
            self._asked = True
            return saving.halted()
        if any(self.owed.waits_for(player, self._since) for player in state.players):
            return []
        for player in state.players:
            self.owed.forgo(player)
        player, why = next(iter(state.leaving.items()))
        raise Leaving(player, why)


class Moves:
    """async: players that move while the others go on; they get no orders meanwhile."""

    def __init__(self, state: RunState, owed: Owed) -> None:
        self.state = state
        self.owed = owed
        self.alone: dict[str, float] = {}
        """player -> monotonic clock of its notice."""
        self._saving: set[str] = set()

    def can(self, player: str) -> bool:
        """May this one move alone?"""
        # of those who live together each would go to a process of its own: they move as all do
        alone = [player] in homes(self.state.config, self.state.players)
        return alone and may_return(self.state, [player], "preempted")

    def ready(self, players: Sequence[str]) -> list[str]:
        """Those of `players` that may get orders."""
        return [p for p in players if p not in self.alone]

    def let_go(self) -> list[Save]:
        """The state as it is of each of them, once nothing is owed of it."""
        orders = list[Save]()
        for player, since in self.alone.items():
            idle = player in self.state.ledger.idle and player not in self._saving
            if idle and not self.owed.waits_for(player, since):
                self.owed.forgo(player)
                self._saving.add(player)
                orders.append(Save(player, self.state.done[player], at=self.state.done[player]))
        return orders

    def took(self, order: Save, raw: bytes, saved: int | None) -> Revive | None:
        """Its state: it goes on from just that; None for a part of a checkpoint."""
        if order.player not in self._saving:
            return None
        self.state.failures.counts["preempted"] += 1
        return Revive(order.player, order.at, raw, saved)

    def gone(self, player: str) -> None:
        """It is on its way back, moved or died."""
        self.alone.pop(player, None)
        self._saving.discard(player)


class Owed:
    """What players that are to leave owe still: states are waited for, scores not for long."""

    def __init__(self, state: RunState, log: RunLog) -> None:
        self.state = state
        self.log = log

    def waits_for(self, player: str, since: float) -> bool:
        """Is something owed of it that is worth the wait?"""
        late = time.monotonic() - since > SCORES_S
        return any(isinstance(o, Save) or not late for o in self.state.owed.get(player, []))

    def forgo(self, player: str) -> None:
        """Its scores that have not come by now."""
        for order in self.state.owed.get(player, []):
            assert isinstance(order, Evaluate), "what is to be saved was waited for"
            self.unscored(order, "its machine was taken away")

    def unscored(self, order: Evaluate, why: str) -> None:
        """A score was given up."""
        self.log.event("unscored", order.step, player=order.player, why=why)
        self.log.warn("W207 scores-missing", f"{order.player} at step {order.step}: {why}")
        count = self.state.totals.warnings["W207 scores-missing"]
        last = f"{order.player} at step {order.step} ({why})"
        self.state.failures.degraded[SCORES] = f"{count} missing; the last: {last}"
