"""Everybody at the beginning of an attempt: who has survived begins anew, who is gone is replaced.

fence      all survivors hear of the new epoch first: what they still do under the old one ends
           at their next look at the board, and is refused by its receivers (decision 19)
begin      board, matchmaker, then players, each at its state of the checkpoint
register   board and matchmaker get the players' handles; only then may anybody publish
open       each publishes what others need before they can begin
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

import ray

from raygan.actors.messenger_worker import patience_s
from raygan.actors.replies import START_TIMEOUT_S, Replies
from raygan.actors.worker_group import BOARD, WorkerGroup
from raygan.controller.orders import Join
from raygan.errors import PlayerDied
from raygan.strategies.base import homes

SETTLE_S = 10.0
"""Seconds (at least) that a survivor may take to end the round that it is in."""


class Startup:
    """Of one run; of the attempt that is under way, or was the last."""

    def __init__(self, workers: WorkerGroup, replies: Replies) -> None:
        self.workers = workers
        self.replies = replies
        self.epoch = 0
        self._late: set[str] = set()
        """Deputies whose processes were made for this attempt."""
        self.mishaps: list[PlayerDied] = []
        """Who was replaced at a start, and nobody was told of yet."""

    def all(self, players: Sequence[str], states: Mapping[str, bytes], epoch: int) -> None:
        """All players at `states`, under `epoch`; whoever did not answer and was replaced is in
        `mishaps`.

        A survivor drops what it was doing, builds its players anew and restores them, so that
        nothing of the old attempt is left in it. Raises PlayerDied, InfeasibleError.
        """
        workers, self.epoch = self.workers, epoch
        found = {home[0]: home for home in homes(workers.config, players)}
        if not workers.room.taken:
            workers.reserve(len(found))
        self._dismiss(players, found)
        for actor in {id(a): a for a in workers.actors.values()}.values():
            actor.fence.remote(epoch)
        # put once: who is asked a second time, in another process, gets the same objects
        self._settle(found, {n: [ray.put(states[n])] for n in players if n in states})

    def open(self, players: Sequence[str]) -> None:
        """All publish what others need before they can begin."""
        opened = [(self.workers.actors[n].open.remote(n), n) for n in players]
        for reference, name in opened:
            self.replies.soon(reference, name)

    def _dismiss(self, players: Sequence[str], found: Mapping[str, list[str]]) -> None:
        """End the dead, the hung, who is no member any more, and joiners with an actor of their own
        whose home is another one's.
        """
        workers = self.workers
        apart = {
            p
            for home in found.values()
            if len({workers.actors.get(p) for p in home}) > 1
            for p in home
        }
        gone = [p for p in workers.actors if p in workers.lost or p not in players or p in apart]
        workers.end_players(gone)
        for name in workers.lost & set(workers.helpers):
            workers.end_helper(name)
        workers.lost.clear()

    def _settle(self, found: Mapping[str, list[str]], states: Mapping[str, list[Any]]) -> None:
        """Everybody stands at the beginning of this epoch; whoever does not answer is replaced,
        once: a second time it is an error of the attempt.
        """
        workers = self.workers
        self._late.clear()
        for last in (False, True):
            silent = self._silent(self._begin_all(found, states), last)
            if not silent:
                break
            for name, error in silent.items():
                cause = "did not answer when the run started again"
                self.mishaps.append(self.replies.hung(name, cause, error.stack))
                if name in workers.helpers:
                    workers.end_helper(name)
                else:
                    workers.end_player(name)
                # its successor is well
                workers.lost.discard(name)
        handles = dict(workers.actors)
        for name in workers.registrars:
            self.replies.of(workers.helpers[name].register.remote(handles), name)
        helpers = (*workers.registrars, *workers.deputies)
        there = workers.actors | {n: workers.helpers[n] for n in helpers}
        workers.places |= {
            n: (str(facts["node"]), int(facts["pid"]))
            for n, facts in self.replies.where(there).items()
        }

    def _begin_all(
        self, found: Mapping[str, list[str]], states: Mapping[str, list[Any]]
    ) -> dict[Any, tuple[str, bool]]:
        """Make who is missing, and ask all to begin; call -> (name, is it new?)."""
        workers, asked = self.workers, dict[Any, tuple[str, bool]]()
        # the global pair begins them: it is their one caller,
        # and waits as long as the slowest starts
        self._late |= {*self._made(workers.deputies)}
        new = self._made(workers.registrars)
        for name in workers.registrars:
            asked[workers.helpers[name].begin.remote(self.epoch)] = name, name in new
        for name, home in found.items():
            fresh = name not in workers.actors
            if fresh:
                workers.actors |= dict.fromkeys(home, workers.make_player(home))
            mine = {n: states[n] for n in home if n in states}
            asked[self._begin(home, mine)] = (
                name,
                fresh or bool(self._late and workers.deputised in home),
            )
        return asked

    def _made(self, names: Sequence[str]) -> list[str]:
        """Helpers that were not there, and are now."""
        workers = self.workers
        new = [name for name in names if name not in workers.helpers]
        for name in new:
            workers.helpers[name] = workers.make_helper(name)
        return new

    def _begin(self, home: Sequence[str], states: Mapping[str, list[Any]]) -> Any:
        workers = self.workers
        helping = workers.deputies if workers.deputised in home else []
        soon = patience_s(workers.config)
        deputies = {
            n: (workers.helpers[n], START_TIMEOUT_S if n in self._late else soon) for n in helping
        }
        board = workers.helpers[BOARD]
        begin = workers.actors[home[0]].begin.remote
        return begin(self.epoch, list(home), workers.config, dict(states), board, deputies)

    def _silent(self, asked: Mapping[Any, tuple[str, bool]], last: bool) -> dict[str, PlayerDied]:
        """Who is dead, or does not answer in time; a new process has longer. `last`: that is an
        error.
        """
        begun, out = time.monotonic(), dict[str, PlayerDied]()
        settles = max(SETTLE_S, self.workers.config.failures.lease_s)
        for reference, (name, fresh) in asked.items():
            patience = START_TIMEOUT_S if fresh or last else settles
            try:
                self.replies.of(reference, name, max(0.1, begun + patience - time.monotonic()))
            except PlayerDied as error:
                if last:
                    raise
                # the global pair answers for its deputies: it is replaced only for itself
                out[error.player if error.player in self.workers.deputies else name] = error
        return out

    # ------------------------------------------------------------------------ while the run goes on

    def join(self, order: Join) -> Any:
        """A joiner's actor, a new one, or that of those who come back with it; a reference to its
        step, once it has opened.
        """
        workers, name = self.workers, order.player
        states = {} if order.state is None else {name: [ray.put(order.state)]}
        beside = [workers.actors[p] for p in order.home if p in workers.actors]
        home = [*order.home] or [name]
        actor = beside[0] if beside else workers.make_player(home, joins=True)
        workers.actors[name] = actor
        # Ray keeps the order of calls to one actor: it opens after it has begun, or entered
        if beside:
            actor.enter.remote([name], workers.config, states)
        else:
            for new in home:
                # the lease is for who is there: a new process imports first
                self.replies.pulse.starting(new, START_TIMEOUT_S)
            self._begin([name], states)
        self.register()
        return actor.open.remote(name, order.step if order.state is None else None)

    def joined(self, player: str) -> None:
        """It is up: note where it lives, and keep another spare ready."""
        facts = self.replies.soon(self.workers.actors[player].where.remote(player), player)
        self.workers.places[player] = str(facts["node"]), int(facts["pid"])
        self.workers.keep_spares()

    def register(self) -> None:
        """Tell who is there now, without waiting."""
        for name in self.workers.registrars:
            self.workers.helpers[name].register.remote(dict(self.workers.actors))
