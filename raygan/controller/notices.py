"""What the executor tells beside what it carries out: mishaps that are mended already, and machines that have given notice.

    mishaps  -> an event and W201; a score that is missing: an event, W207, and the run ends degraded (exit 4)
    leaving  -> async, where the player comes back alone: its state now, then a Join elsewhere from just that; the others never stop
                else: all halt at one step (lockstep) or where they are (async), one checkpoint, and a restart elsewhere from it

So a machine that is taken away with notice costs nobody a step. One that goes before all that is done is a lost node, as ever.
"""

from __future__ import annotations

import signal
import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from raygan.controller.orders import Evaluate, Save
from raygan.controller.run_folder import RunFolder
from raygan.controller.stacks import last_frames
from raygan.errors import Leaving, PlayerDied

if TYPE_CHECKING:
    from raygan.controller.controller import Controller

SCORES = "scores"
"""In run.json's `degraded`, beside the members that a run went on without."""
SCORES_S = 10.0
"""How long a player that is to leave waits for its scores."""


class Notices:
    """Of one run; what is under way begins anew with each attempt."""

    def __init__(self, controller: Controller) -> None:
        self.controller = controller
        self.seen: set[tuple[str, str]] = set()
        """(player, notice) that was acted on: whoever finds itself on such a machine again has no other place to go."""
        self.begin()

    def begin(self) -> None:
        """Another attempt: all have been placed anew."""
        self.together: dict[str, str] = {}
        """player -> notice: on account of these, all go back to one more checkpoint, and on from it."""
        self._since = 0.0
        """Of the first of them, by the monotonic clock."""
        self.alone: dict[str, float] = {}
        """async: player -> monotonic clock of its notice; it gets no orders, and moves while the others go on."""
        self._saving: set[str] = set()
        self._asked = False

    def tick(self) -> None:
        """Each turn, before orders are given out."""
        c = self.controller
        assert c.executor is not None
        for mishap in c.executor.mishaps():
            self._mishap(mishap)
        if c.stop_signal is None:
            self._look(c.executor.leaving())
        for player in [p for p in self.alone if p in c.ledger.idle and p not in self._saving]:
            self._let_go(player)

    def _mishap(self, mishap: PlayerDied) -> None:
        c = self.controller
        step = max(c.done.values(), default=0)
        facts = {"cause": mishap.cause, "why": mishap.kind, **keep_stack(c.folder, mishap, step)}
        c.folder.event("death", step, player=mishap.player, action="replace", **facts)
        c.warn("W201 player-died", f"{mishap}; it is made again, nobody goes back for it")

    # ------------------------------------------------------------------------------------------------------- notice

    def _look(self, leaving: Mapping[str, str]) -> None:
        c = self.controller
        for player, why in leaving.items():
            if (player, why) in self.seen or (player and player not in c.done):
                continue
            self.seen.add((player, why))
            alone = bool(player) and c.may_return(player, "preempted")
            how = "alone" if alone else "all" if player else "stop"
            c.folder.event("notice", c.done.get(player, max(c.done.values())), player=player, why=why, how=how)
            if not player:  # this process is on it: whoever starts the run again does so elsewhere
                c.stop(signal.SIGTERM)
            elif alone:
                self.alone[player] = time.monotonic()
            else:
                self._since = time.monotonic() if not self.together else self._since
                self.together[player] = why

    @property
    def halts(self) -> bool:
        """Is everybody to come to a halt? Not while members change: that comes first."""
        if self.together and self.controller.scaling.busy:
            self.controller.targets = None
        return bool(self.together) and not self.controller.scaling.busy

    @property
    def busy(self) -> bool:
        """Is somebody about to move?"""
        return bool(self.alone)

    def targets(self) -> dict[str, int]:
        """Where all halt, as they stand now."""
        done = self.controller.done
        lockstep = self.controller.plan.tempo == "lockstep"
        return dict.fromkeys(done, max(done.values())) if lockstep else dict(done)

    def ready(self, players: Sequence[str]) -> list[str]:
        """Those of `players` that may get orders."""
        return [p for p in players if p not in self.alone]

    def move(self) -> bool:
        """All have come to a halt: True where a checkpoint is taken of that. Raises Leaving once there is one, or cannot be."""
        c = self.controller
        if not self.together or c.stop_signal is not None:
            return False
        if not self._asked and not c.gathering.holds(c.done):
            self._asked = True
            for order in c.gathering.last(max(c.done.values()), c.done, c.ledger.extra()):
                c.ask(order)
            return True
        if any(self._waits_for(player, self._since) for player in c.players):
            return True
        for player in c.players:
            self._forgo(player)
        c.record_rows()
        player, why = next(iter(self.together.items()))
        raise Leaving(player, why)

    def _waits_for(self, player: str, since: float) -> bool:
        """Is something owed of it? Scores are not waited for long."""
        owed = self.controller.owed.get(player, [])
        late = time.monotonic() - since > SCORES_S
        return any(isinstance(order, Save) or not late for order in owed)

    def _forgo(self, player: str) -> None:
        """Its scores that have not come by now."""
        for order in self.controller.owed.get(player, []):
            assert isinstance(order, Evaluate), "what is to be saved was waited for"
            self.unscored(order, "its machine was taken away")

    def _let_go(self, player: str) -> None:
        """Its state as it is."""
        c = self.controller
        if self._waits_for(player, self.alone[player]):
            return
        self._forgo(player)
        assert c.executor is not None
        self._saving.add(player)
        c.executor.submit(Save(player, c.done[player], at=c.done[player]))

    def took(self, order: Save, raw: bytes) -> bool:
        """The state of one that moves alone; False for a part of a checkpoint."""
        if order.player not in self._saving:
            return False
        c = self.controller
        step, saved = order.at, c.gathering.steps.get(order.player)
        c.failures.counts["preempted"] += 1
        c.bring_back(order.player, raw, step, saved)
        c.warn("W208 moved", f"{order.player} leaves its machine; it goes on elsewhere from step {step}")
        return True

    def gone(self, player: str) -> None:
        """It is on its way back, moved or died."""
        self.alone.pop(player, None)
        self._saving.discard(player)

    # ------------------------------------------------------------------------------------------------------- scores

    def unscored(self, order: Evaluate, why: str) -> None:
        """A score was given up."""
        c = self.controller
        c.folder.event("unscored", order.step, player=order.player, why=why)
        c.warn("W207 scores-missing", f"{order.player} at step {order.step}: {why}")
        count = c.totals.warnings["W207 scores-missing"]
        c.failures.degraded[SCORES] = f"{count} missing; the last: {order.player} at step {order.step} ({why})"


def keep_stack(folder: RunFolder, failure: Exception, step: int) -> dict[str, Any]:
    """Where a player that hung was: a file in the run folder, and what the event says of it."""
    stack = getattr(failure, "stack", "")
    if not isinstance(failure, PlayerDied) or not stack:
        return {}
    name = f"logs/hang-{failure.player}-{step:08d}.txt"
    facts: dict[str, Any] = {"stack": last_frames(stack)}
    try:
        (folder.path / "logs").mkdir(exist_ok=True)
        folder.write(name, f"{failure.player}, step {step}: {failure.cause}\n{stack}\n")
    except OSError as error:
        return {**facts, "stack_lost": error.strerror}
    return {**facts, "stack_file": name}
