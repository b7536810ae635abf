"""A run: attempt after attempt, each from the newest checkpoint, until its end or until `failures`
says so.

    ready players --> strategy.decide --> orders --> executor --> done --> record, score, save -->
    ready players
                                                        |
                                            Inline: this process    Ray: actors

That circle is `loop.Loop`; this file begins it, waits for it, and goes on after a death. A strategy
never sees an executor, an executor never sees a strategy. In lockstep the outcome is a function of
(config, seed) alone, however long orders take and in whatever order they are done.
"""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from raygan.config import Config
from raygan.controller.bucket_copies import storage_of, typed
from raygan.controller.checkpoint import Checkpoint, go_on_from, newest_valid
from raygan.controller.checkpoint_index import open_journal
from raygan.controller.journal import Journal
from raygan.controller.ledger import Ledger
from raygan.controller.listener import Heard, Listener, as_listener
from raygan.controller.listener_guard import Guard
from raygan.controller.loop import Loop
from raygan.controller.notices import Notices
from raygan.controller.orders import Executor
from raygan.controller.recorder import Recorder
from raygan.controller.recovery import Retire, Stop, can_spare, together, underway
from raygan.controller.requests import file_of, is_for
from raygan.controller.run_folder import RunFolder
from raygan.controller.run_log import RunLog
from raygan.controller.state import RunState, held_in
from raygan.controller.totals import ANYBODY, Totals, newest_first
from raygan.errors import CheckpointError, Interrupted, Leaving, NonFiniteError, PlayerDied
from raygan.strategies.base import idle_for_ever
from raygan.strategies.roles import MIXTURE, number_of

STALL_S = 600.0
"""Without a step of anybody, while orders are out."""
BEFORE = {
    **dict.fromkeys(
        ("config", "done", "elapsed", "failures", "latest", "ledger", "plan", "players", "roles"),
        "state",
    ),
    **dict.fromkeys(("scores", "stop_signal", "strategy", "totals"), "state"),
    **dict.fromkeys(("folder", "journal", "warn"), "log"),
}
"""Where listeners of before 0.2 find what they read of a run itself."""


class Controller:
    """Runs one config to its end in one run folder."""

    def __init__(
        self, config: Config, folder: RunFolder, make_executor: Callable[[], Executor],
        listeners: Sequence[Listener | Heard], samples: int = 0, journal: Journal | None = None,
    ) -> None:  # fmt: skip
        journal = journal or open_journal(storage_of(folder.path))
        # a snapshot has the totals of its moment; what a life that was cut short did after it is in
        # its rows
        totals = Totals.read(journal.totals)
        scores = totals.catch_up(newest_first(folder.path / "metrics.jsonl"))
        self.state = RunState(config, totals, samples)
        self.log = RunLog(self.state, folder, journal)
        self.recorder = Recorder(self.state, self.log)
        # they come newest first, and of a step that was scored twice the last one counts
        for row in reversed(scores):
            self.recorder.note_headline(row)
        self.notices = Notices(self.state, self.log)
        self.make_executor = make_executor
        self.executor: Executor | None = None
        self.loop: Loop | None = None
        """Of the attempt that is under way, or was the last."""
        self.listeners = [as_listener(heard) for heard in listeners]
        self.guard = Guard(self.log.warn)

    def run(self, resume: Checkpoint | None = None) -> None:
        """Train to the end; a run whose player died starts again from its last checkpoint, a few
        times.

        Raises PlayerDied and NonFiniteError when `failures` says so, Interrupted after a signal
        (checkpoint saved), and CheckpointError where the last checkpoint cannot be written.
        """
        for name, text in self.state.strategy.notes(self.state.plan):
            self.log.warn(name, text)
        try:
            while True:
                try:
                    self._attempt(resume)
                    return
                except (PlayerDied, NonFiniteError) as failure:
                    # first of all: what still runs of this attempt can commit nothing from now on,
                    # so the checkpoint that is read next stays the newest
                    self.log.next_epoch()
                    resume = self._after(failure)
        finally:
            if self.executor is not None:
                self.executor.close()
                self.executor = None

    def _attempt(self, resume: Checkpoint | None) -> None:
        """From a checkpoint to the end, unless somebody dies on the way."""
        loop, state, heard = self.begin(resume), self.state, time.monotonic()
        while loop.tick():
            try:
                done = loop.executor.wait(timeout_s=0.5)
            except PlayerDied as death:
                if not (back := underway(state, death, self._newest)):
                    raise
                loop.revived(back, death)
                done = []
            # a round may take longer than anybody would wait for a lost order
            heard = time.monotonic() if done else max(heard, loop.executor.last_move())
            for listener in self.listeners:
                with self.guard.around(listener):
                    listener.tick(self)
            for item in done:
                loop.handle(item)
                for listener in self.listeners:
                    with self.guard.around(listener):
                        listener(self, item)
            busy = sorted(set(state.players) - set(state.ledger.idle))
            # the lease finds a process that hangs; this is for an order that was lost on the way,
            # at which nobody works
            if busy and time.monotonic() - heard > STALL_S:
                raise PlayerDied(busy[0], f"no sign of life for {STALL_S:.0f} s", "hang")
        self.recorder.write_rows()
        if state.stop_signal is not None:
            name = signal.Signals(state.stop_signal).name
            text = (
                f"stopped by {name}, checkpoint saved. Next: raygan resume"
                f" {typed(self.log.folder.path)}"
            )
            raise Interrupted(state.stop_signal, text)
        if behind := {p: s for p, s in state.done.items() if s < state.plan.steps}:
            raise idle_for_ever(state.strategy, behind, state.plan.steps)
        self.recorder.ended()

    def begin(self, resume: Checkpoint | None) -> Loop:
        """Players as they are in the checkpoint, or new ones."""
        state, steps, extra = (
            self.state,
            resume.steps if resume else {},
            resume.extra if resume else {},
        )
        # with whoever was on the way back: a restart before the first checkpoint begins all of them
        members = extra.get("members", state.belonging)
        if list(state.config.ids) != members:
            self.log.set_members(members)
        # numbers of those that joined and left are not given again
        state.totals.seen |= set(extra.get("seen", ()))
        at = resume.step if resume else 0
        state.totals.undo({**steps, MIXTURE: at, ANYBODY: at}, otherwise=0)
        self.log.keep_totals()
        # recorded before anybody trains: a kill from now on finds what was undone
        go_on_from(self.log.journal, resume)
        state.ledger = Ledger.begin(state.players, steps, extra)
        state.holds = held_in(resume.parts) if resume else {}
        state.owed.clear()
        state.away.clear()
        state.targets = None
        self.recorder.rows.clear()
        self.notices.begin()
        if self.executor is None:
            self.executor = self.make_executor()
        self.executor.configure(state.config)
        self.executor.start(state.players, resume.parts if resume else {}, self.log.journal.epoch)
        info = self.executor.info()
        parts, epoch = resume.parts if resume else {}, self.log.journal.epoch
        self.log.schedule.begin(epoch, state.config, parts, info)
        self.log.tell_members(status="running", **info)
        self.loop = Loop(self.recorder, self.notices, self.executor, steps)
        return self.loop

    def _newest(self) -> tuple[Checkpoint | None, list[str]]:
        return newest_valid(self.log.journal.storage)

    def _after(self, failure: PlayerDied | NonFiniteError) -> Checkpoint | None:
        """What to go on from; raises the failure where the run is to stop."""
        state, log = self.state, self.log
        player, path = failure.player, log.folder.path
        action = state.failures.decide(failure, can_spare(state, player))
        self.recorder.failed(failure, action)
        decision = together(state, failure, action, self._newest)
        log.warn_checkpoints(decision.problems)
        if isinstance(decision, Stop):
            if decision.problems:
                why = (
                    f"{decision.problems[0]} No other checkpoint in {path} is whole: start a new"
                    " run."
                )
                raise CheckpointError(why)
            failure.advice = state.failures.advice(failure, path)
            raise failure
        if isinstance(decision, Retire):
            self._retire(player, str(failure))
        resume = decision.checkpoint
        # steps of the last swaps: who looks on takes back what was given after them
        step, swapped = (resume.step, resume.extra.get("swapped", {})) if resume else (0, {})
        log.event(
            "restart",
            step,
            player=player,
            attempt=state.failures.counts[failure.kind],
            swapped=swapped,
        )
        who = "the others start" if isinstance(decision, Retire) else "the run starts"
        name = "W208 moved" if isinstance(failure, Leaving) else "W201 player-died"
        log.warn(name, f"{failure}; {who} again from step {step}")
        return resume

    def _retire(self, player: str, why: str) -> None:
        """Take a player out for good, between two attempts."""
        self.state.failures.degraded[player] = why
        self.log.set_members([i for i in self.state.belonging if i != number_of(player)])
        self.state.away.clear()
        at, members = self.state.done.get(player, 0), list(self.state.config.ids)
        self.log.commit("retire", at, player=player, members=members, why=why)

    def asked(self, request: Mapping[str, Any]) -> None:
        """What somebody elsewhere wants of this run: {"verb": "stop", "epoch": ...}, or {"verb":
        "scale", "id": ..., "pairs": ...}.
        """
        if request["verb"] == "stop":
            if is_for(request, self.log.life):
                self.stop(signal.SIGTERM)
        else:
            self.log.folder.write(file_of(request), json.dumps(dict(request)))

    def stop(self, signum: int) -> None:
        """Asked by a signal handler, or by `raygan stop`: finish the rounds under way, save, and
        end.
        """
        self.state.stop_signal = signum

    def __getattr__(self, name: str) -> Any:
        """What listeners of before 0.2 read here: `run.done` is `run.state.done`."""
        if name == "gathering" and self.loop is not None:
            return self.loop.saving.assembly
        if (part := BEFORE.get(name)) is None:
            raise AttributeError(f"a run has no {name!r}: look in run.state, run.log and run.loop")
        return getattr(getattr(self, part), name)
