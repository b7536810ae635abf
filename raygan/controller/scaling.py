"""Members that join and leave a running run: `raygan scale RUN --pairs K`.

    scale.json (a request, written by anybody who reaches the run folder)  --tick-->  join | leave | refused, in events.jsonl

Numbers are never given twice: whoever leaves takes its number along, whoever joins gets the next one. Those who stay never
stop in async; in lockstep members change between two steps of everybody, and the journal says at which.

A player that died in async comes back by the same door: it has left, the others go on, and it joins again under its own
number, from its part of the last checkpoint.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from raygan.controller.files import remove_within
from raygan.controller.lines import read_json
from raygan.controller.orders import Join
from raygan.controller.run_folder import REQUEST, STOP
from raygan.errors import ConfigError
from raygan.strategies.orders import Order, Train
from raygan.strategies.partition import component_of
from raygan.strategies.strategy import strategy_of

if TYPE_CHECKING:
    from raygan.controller.controller import Controller

EVERY_S = 0.25


class Scaling:
    """At most one request at a time; the next is looked at when it is done."""

    def __init__(self, controller: Controller) -> None:
        self.controller = controller
        self.request: dict[str, Any] | None = None
        self.meeting: int | None = None
        """lockstep: the step at which everybody stops, so that members can change there."""
        self.leaving: list[str] = []
        self.joining: list[str] = []
        self.starting: set[str] = set()
        self.reviving: set[str] = set()
        """Died, and on the way back."""
        self._looked = 0.0

    @property
    def busy(self) -> bool:
        """Is somebody on the way in, out, or back?"""
        return self.request is not None or bool(self.reviving)

    @property
    def holds_back(self) -> bool:
        """lockstep: nobody gets orders until all stand at one step and the members have changed."""
        return self.request is not None and self.controller.plan.tempo == "lockstep" and self._settled()

    def limit(self, orders: Sequence[Order]) -> list[Order]:
        """The orders, with nobody going past the meeting."""
        if self.meeting is None:
            return list(orders)
        c, out = self.controller, list[Order]()
        for order in orders:
            if isinstance(order, Train):
                order = replace(order, steps=min(order.steps, self.meeting - c.done[order.player]))
                if order.steps <= 0:
                    continue
            out.append(order)
        return out

    def _settled(self) -> bool:
        """Do all members, the judge and the global pair stand at one step, idle?"""
        c = self.controller
        return len(c.ledger.ready(c.players)) == len(c.players) and len({c.done[p] for p in c.players}) == 1

    def tick(self) -> None:
        """Look for a request; carry out what can be carried out."""
        c = self.controller
        if c.stop_signal is None and time.monotonic() - self._looked >= EVERY_S:
            self._looked = time.monotonic()
            self._look()
        if self.request is not None and (c.plan.tempo == "async" or self._settled()):
            self._carry_out()

    def _look(self) -> None:
        """For what was asked."""
        c = self.controller
        if (c.folder.path / STOP).exists():
            remove_within(c.folder.path, STOP)
            c.asked({"verb": "stop"})
        file = c.folder.path / REQUEST
        if self.request is None and c.stop_signal is None and file.exists():
            try:
                self.request = read_json(c.folder.path, REQUEST)
                if c.plan.tempo == "lockstep":
                    self.meeting = c.ledger.furthest
                self._plan(int(self.request["pairs"]))
            except (ValueError, KeyError, TypeError, ConfigError) as error:
                self._answer("refused", why=str(error))
            finally:
                remove_within(c.folder.path, REQUEST)

    def _plan(self, pairs: int) -> None:
        c = self.controller
        if not c.strategy.elastic:
            raise ConfigError(
                f"strategy {c.strategy.name} with shared weights: its members are fixed while it runs. Set share_weights to false."
            )
        if pairs < 1:
            raise ConfigError(f"--pairs {pairs}: at least 1 must stay.")
        if any(c.done[p] >= c.plan.steps for p in c.players) or (self.meeting or 0) >= c.plan.steps:
            raise ConfigError("the run is at its end. `raygan resume RUN --steps +1000` first.")
        ids = list(c.config.ids)
        ever = max([*ids, *(int(n) for n in c.totals.seen)])
        keep = ids[:pairs]
        new = [ever + 1 + i for i in range(pairs - len(ids))]
        if new and component_of(c.config).partition != "shared":
            raise ConfigError(f"--pairs {pairs}: data.partition gives no part to a pair that joins. Start a new run.")
        spec = c.strategy.pinned(c.config.strategy, c.config)
        target = c.config.model_copy(update={"num_pairs": pairs, "members": tuple(keep + new), "strategy": spec})
        before, after = (
            c.strategy.players(c.config),
            strategy_of(target).players(target),
        )  # strategy_of checks the classes
        self.leaving = [p for p in before if p not in after]
        self.joining = [p for p in after if p not in before]
        if not self.leaving and not self.joining:
            self._answer("scale", pairs=pairs, why="nothing to do")

    def _carry_out(self) -> None:
        c = self.controller
        assert c.executor is not None
        for player in [p for p in self.leaving if p in c.ledger.idle and not c.owed.get(p)]:
            self.leaving.remove(player)
            left = c.done[player]
            self.drop(player)
            c.executor.remove(player)
            c.commit("leave", left, player=player, members=list(c.config.ids))
            c.saving.left(player)
        for player in [p for p in self.joining if p not in self.starting]:
            self.starting.add(player)
            slowest = min(c.done[p] for p in c.generators)  # so that the run's clock does not go back
            c.executor.submit(Join(player, slowest))
        if not self.leaving and not self.joining and self.request is not None:
            self._answer("scale", pairs=c.config.num_pairs)

    def drop(self, player: str) -> None:
        """Out of the members: nobody counts on it any more."""
        c = self.controller
        assert c.executor is not None
        number = number_of(player)
        c.set_members([i for i in c.config.ids if i != number])
        self._tell()
        c.ledger.left(player)

    def joined(self, player: str) -> None:
        """Its actor is up, and what others need of it is published."""
        c = self.controller
        assert c.executor is not None
        back = player in self.reviving
        if back:
            self.reviving.remove(player)
        else:
            self.joining.remove(player)
            self.starting.discard(player)
        number = number_of(player)
        c.totals.seen.add(number)
        if not back and self._too_late():  # those who listen have stopped meanwhile: nobody would answer
            c.ledger.left(player)
            c.executor.remove(player)
            self._answer(
                "refused", why=f"{player} was up after the run's last step. `raygan resume RUN --steps +1000` first."
            )
            return
        c.set_members(sorted([*c.config.ids, number]))
        self._tell()
        kind, at = "revive" if back else "join", c.done[player]
        c.commit(kind, at, player=player, members=list(c.config.ids))
        c.saving.joined(player, at)
        if self.request is not None and not self.leaving and not self.joining:
            self._answer("scale", pairs=c.config.num_pairs)

    def _too_late(self) -> bool:
        c = self.controller
        listeners = c.strategy.audience(c.config) or c.strategy.locals(c.config)
        return all(c.done[p] >= c.plan.steps for p in listeners)

    def _tell(self) -> None:
        c = self.controller
        assert c.executor is not None
        c.executor.configure(c.config)
        for listener in c.strategy.audience(c.config):
            c.executor.set_members(listener, c.strategy.locals(c.config))

    def _answer(self, kind: str, **facts: Any) -> None:
        c, request = self.controller, self.request or {}
        self.request = self.meeting = None
        self.leaving, self.joining = [], []
        c.folder.event(kind, max(c.done.values()), request=request.get("id"), **facts)


def number_of(player: str) -> int:
    """
    >>> number_of("pair-03")
    3
    """
    return int(player.rpartition("-")[2])
