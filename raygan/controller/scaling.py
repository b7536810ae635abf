"""Members that join and leave a running run: `raygan scale RUN --pairs K`.

    scale.json (a request, written by anybody who reaches the run folder)  --tick-->  join | leave | refused, in events.jsonl

Numbers are never given twice: whoever leaves takes its number along, whoever joins gets the next one. Those who stay never
stop in async; in lockstep members change between two steps of everybody, and the journal says at which.
"""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

from raygan.controller.orders import Join
from raygan.errors import ConfigError
from raygan.strategies.strategy import JUDGE, ROLES, strategy_of

if TYPE_CHECKING:
    from raygan.controller.controller import Controller

REQUEST = "scale.json"
EVERY_S = 0.25


class Scaling:
    """At most one request at a time; the next is looked at when it is done."""

    def __init__(self, controller: Controller) -> None:
        self.controller = controller
        self.request: dict[str, Any] | None = None
        self.leaving: list[str] = []
        self.joining: list[str] = []
        self.starting: set[str] = set()
        self._looked = 0.0

    @property
    def busy(self) -> bool:
        """Is somebody on the way in or out?"""
        return self.request is not None

    @property
    def holds_back(self) -> bool:
        """lockstep: nobody gets orders until all stand at one step and the members have changed."""
        return self.busy and self.controller.plan.tempo == "lockstep" and self._settled()

    def _settled(self) -> bool:
        """Do all members and the judge stand at one step, idle?"""
        c = self.controller
        return len(c.ledger.ready(c.players)) == len(c.players) and len({c.done[p] for p in c.players}) == 1

    def tick(self) -> None:
        """Look for a request; carry out what can be carried out."""
        c = self.controller
        if self.request is None:
            if time.monotonic() - self._looked < EVERY_S or c.stop_signal is not None:
                return
            self._looked = time.monotonic()
            file = c.folder.path / REQUEST
            if not file.exists():
                return
            try:
                self.request = json.loads(file.read_text())
                self._plan(int(self.request["pairs"]))
            except (ValueError, KeyError, TypeError, ConfigError) as error:
                self._answer("refused", why=str(error))
            finally:
                file.unlink(missing_ok=True)
        if self.request is not None and (c.plan.tempo == "async" or self._settled()):
            self._carry_out()

    def _plan(self, pairs: int) -> None:
        c = self.controller
        if not c.strategy.elastic:
            raise ConfigError(
                f"strategy {c.strategy.name}: its members are fixed while it runs. Only pmgan can be scaled."
            )
        if pairs < 1:
            raise ConfigError(f"--pairs {pairs}: at least 1 must stay.")
        if any(c.done[p] >= c.plan.steps for p in c.players):
            raise ConfigError("the run is at its end. `raygan resume RUN --steps +1000` first.")
        ids = list(c.config.ids)
        ever = max([*ids, *(int(n) for n in c.seen_ids)])
        keep = ids[:pairs]
        new = [ever + 1 + i for i in range(pairs - len(ids))]
        target = c.config.model_copy(update={"num_pairs": pairs, "members": tuple(keep + new)})
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
        for player in [p for p in self.leaving if p in c.ledger.idle and not c.asked.get(p)]:
            self.leaving.remove(player)
            left = c.done[player]
            c.set_members([i for i in c.config.ids if not player.endswith(f"-{i:02d}")])
            c.executor.set_members(JUDGE, [p for p in c.players if p not in ROLES])
            c.ledger.left(player)
            c.executor.remove(player)
            c.folder.event("leave", left, player=player, members=list(c.config.ids))
        for player in [p for p in self.joining if p not in self.starting]:
            self.starting.add(player)
            slowest = min(c.done[p] for p in c.players if p not in ROLES)  # so that the run's clock does not go back
            c.executor.submit(Join(player, slowest))
        if not self.leaving and not self.joining and self.request is not None:
            self._answer("scale", pairs=c.config.num_pairs)

    def joined(self, player: str) -> None:
        """Its actor is up and its first slot is written."""
        c = self.controller
        assert c.executor is not None
        self.joining.remove(player)
        self.starting.discard(player)
        number = int(player.rpartition("-")[2])
        c.seen_ids.add(number)
        if c.done[JUDGE] >= c.plan.steps:  # the judge has stopped meanwhile: nobody would answer
            c.ledger.left(player)
            c.executor.remove(player)
            self._answer(
                "refused", why=f"{player} was up after the run's last step. `raygan resume RUN --steps +1000` first."
            )
            return
        c.set_members([*c.config.ids, number])
        c.executor.set_members(JUDGE, [p for p in c.players if p not in ROLES])
        c.folder.event("join", c.done[player], player=player, members=list(c.config.ids))
        if not self.leaving and not self.joining:
            self._answer("scale", pairs=c.config.num_pairs)

    def _answer(self, kind: str, **facts: Any) -> None:
        c, request = self.controller, self.request or {}
        self.request = None
        self.leaving, self.joining = [], []
        c.folder.event(kind, max(c.done.values()), request=request.get("id"), **facts)
