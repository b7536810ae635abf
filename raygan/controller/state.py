"""What a run is by now: facts, and questions about them. Nothing here acts, and nothing here knows
who asks.

config, members  -->  strategy, plan, players, roles      (`set_members` replaces them together)
orders done      -->  ledger: who has done what, who is idle
all lives        -->  totals, failures
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any

from raygan.config import Config
from raygan.controller.failures import Failures
from raygan.controller.ledger import Ledger
from raygan.controller.orders import Evaluate, Save
from raygan.controller.totals import Totals
from raygan.errors import ConfigError
from raygan.strategies.base import Plan, homes, strategy_of
from raygan.strategies.orders import Order, Train


class RunState:
    """Of one run, through all attempts of this process."""

    def __init__(self, config: Config, totals: Totals, samples: int = 0) -> None:
        self.plan = Plan.of(config, samples)
        self.totals = totals
        """Of all lives of the run; this one counts on."""
        self.totals.seen |= set(config.ids)
        self.failures = Failures(config.failures, totals.failures, totals.degraded)
        self._take(config)
        self.roles = dict(self.strategy.roles(config))
        self.ledger = Ledger.begin(self.players, {}, {})
        self.owed: dict[str, list[Save | Evaluate]] = {}
        """Scores and saves that are still to come, by player."""
        self.leaving: dict[str, str] = {}
        """player -> notice: on account of these all go back to one more checkpoint, and on from it.
        """
        self.away: set[str] = set()
        """Players that died or moved, and are on the way back; no members meanwhile."""
        self.latest: dict[str, dict[str, float]] = {}
        self.scores: dict[str, dict[str, Any]] = {}
        self.holds: dict[str, str] = {}
        """player -> birth name of the network that its last swap gave it, for those who look on."""
        self.stop_signal: int | None = None
        self.targets: dict[str, int] | None = None
        """Where each player halts, once the run is to come to a halt."""
        self.began = time.perf_counter()

    def _take(self, config: Config) -> None:
        self.config = config
        self.strategy = strategy_of(config)
        self.players = self.strategy.players(config)
        for player in self.players:
            self.totals.busy.setdefault(player, 0.0)

    def set_members(self, ids: Sequence[int]) -> None:
        """Another set of members, from now on."""
        spec = self.strategy.pinned(self.config.strategy, self.config)
        changes = {"num_pairs": len(ids), "members": tuple(ids), "strategy": spec}
        self._take(self.config.model_copy(update=changes))
        self.roles |= self.strategy.roles(self.config)  # also of those that left: rows are owed

    # ---------------------------------------------------------------------------------- questions

    @property
    def generators(self) -> tuple[str, ...]:
        """Players that are a pair: the mixture's members."""
        return tuple(p for p in self.players if self.roles[p].pair)

    @property
    def belonging(self) -> list[int]:
        """Numbers of all members, and of those on the way back."""
        return sorted({*self.config.ids, *map(number_of, self.away)})

    @property
    def done(self) -> dict[str, int]:
        """Steps of each player."""
        return self.ledger.done

    @property
    def furthest(self) -> int:
        """The step that the furthest player has done; 0 before there is one."""
        return max(self.done.values(), default=0)

    @property
    def elapsed(self) -> float:
        """Seconds that the run has taken in all its lives, rounded to ms."""
        return round(self.totals.elapsed + time.perf_counter() - self.began, 3)

    @property
    def free(self) -> bool:
        """May a checkpoint hold players at any steps? In async, where nobody holds what another one
        had at some step.
        """
        return self.plan.tempo == "async" and not self.strategy.swaps

    @property
    def settled(self) -> bool:
        """Do all players, whatever their role, stand at one step, idle?"""
        return (
            len(self.ready) == len(self.players) and len({self.done[p] for p in self.players}) == 1
        )

    @property
    def ready(self) -> list[str]:
        """Players that are idle, in their fixed order."""
        return self.ledger.ready(self.players)

    @property
    def at_targets(self) -> bool:
        """Has everybody come to where it halts?"""
        return self.targets is not None and all(self.done[p] == t for p, t in self.targets.items())

    def up_to_targets(self, orders: Sequence[Order]) -> list[Order]:
        """The orders, with nobody going past its target; swaps as they are."""
        out = list[Order]()
        for order in orders:
            if isinstance(order, Train):
                assert self.targets is not None
                left = self.targets[order.player] - self.done[order.player]
                if left <= 0:
                    continue
                order = replace(order, steps=min(order.steps, left))
            out.append(order)
        return out

    def complete_at(self, player: str, step: int) -> list[str]:
        """Who is as it will be at `step`, now that `player` has done it: pairs that share weights
        only when all have.
        """
        group = next((g for g in self.strategy.together(self.config) if player in g), [player])
        return group if all(self.done[p] >= step for p in group) else []

    def can_spare(self, *players: str) -> bool:
        """Is there a run without these players?"""
        config, strategy = self.config, self.strategy
        if not strategy.elastic or not set(players) <= {*strategy.locals(config), *self.away}:
            return False
        left = tuple(i for i in config.ids if i not in map(number_of, players))
        if not left:
            return False
        spec = strategy.pinned(config.strategy, config)
        changes = {"members": left, "num_pairs": len(left), "strategy": spec}
        try:
            strategy_of(config.model_copy(update=changes))
        except ConfigError:
            return False
        return True

    def has_own_process(self, player: str) -> bool:
        """Does nobody live with it, as players are placed at a start?"""
        return [player] in homes(self.config, self.players)

    def may_return(self, players: Sequence[str], kind: str) -> bool:
        """May those of one process be taken out and come back, while the others go on?"""
        return (
            self.plan.tempo == "async"
            and self.stop_signal is None and not self.leaving and self.can_spare(*players)
            and all(self.strategy.comes_back_alone(player) for player in players)
            and getattr(self.config.failures, kind) == "restart"
            and not self.failures.spent(kind, self.failures.counts[kind] + 1)
        )  # fmt: skip

    # ------------------------------------------------------------------------------------ telling

    @property
    def roles_told(self) -> dict[str, dict[str, bool]]:
        """Each player's role, as the run folder keeps it for those who look on."""
        return {p: asdict(role) for p, role in self.roles.items()}

    def told(self) -> dict[str, Any]:
        """What run.json says of all lives of the run."""
        t = self.totals
        busy, waited = ({p: round(s, 3) for p, s in of.items()} for of in (t.busy, t.waited))
        return {
            "elapsed": self.elapsed, "busy_seconds": busy, "swaps": t.swaps, "skipped_swaps": t.skipped,
            "warnings": t.warnings, **({"waited_seconds": waited} if waited else {}),
        }  # fmt: skip

    def dump(self) -> Mapping[str, Any]:
        """What the journal's next snapshot keeps of all lives."""
        self.totals.failures = dict(self.failures.counts)
        return self.totals.dump(self.elapsed)


def number_of(player: str) -> int:
    """
    >>> number_of("pair-03")
    3
    """
    return int(player.rpartition("-")[2])
