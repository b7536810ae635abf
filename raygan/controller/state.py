"""What a run is by now: facts, and questions about them. Nothing here acts, and nothing here knows
who asks.

config, members  -->  strategy, plan, players, roles      (`set_members` replaces them together)
orders done      -->  ledger: who has done what, who is idle
all lives        -->  totals, failures
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Mapping, Sequence
from typing import Any

from raygan.config import Config
from raygan.controller.failures import Failures
from raygan.controller.ledger import Ledger
from raygan.controller.orders import Evaluate, Save
from raygan.controller.totals import Totals
from raygan.errors import CheckpointError
from raygan.gan.bundle import unpack_plain
from raygan.strategies.base import Plan, StrategyComponent, generating, strategy_of
from raygan.strategies.roles import number_of


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
        self._take(with_members(self.config, self.strategy, ids))
        # roles of those that have left stay: rows of theirs are owed
        self.roles |= self.strategy.roles(self.config)

    # ---------------------------------------------------------------------------------- questions

    @property
    def generators(self) -> tuple[str, ...]:
        """Pairs that have one: the mixture's members."""
        return tuple(generating(self.config))

    @property
    def belonging(self) -> list[int]:
        """Numbers of all members, and of those on the way back."""
        return sorted({*self.config.ids, *map(number_of, self.away)})

    @property
    def done(self) -> dict[str, int]:
        """How many steps each player has done."""
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

    # ------------------------------------------------------------------------------------ telling

    def told(self) -> dict[str, Any]:
        """What run.json says of all lives of the run."""
        t = self.totals
        busy, waited = ({p: round(s, 3) for p, s in of.items()} for of in (t.busy, t.waited))
        return {
            "elapsed": self.elapsed, "busy_seconds": busy, "swaps": t.swaps,
            "skipped_swaps": t.skipped, "warnings": t.warnings,
            **({"waited_seconds": waited} if waited else {}),
        }  # fmt: skip


def with_members(config: Config, strategy: StrategyComponent, ids: Sequence[int]) -> Config:
    """The run's config with these members; what its strategy counts from them stays as it is."""
    spec = strategy.pinned(config.strategy, config)
    changes = {"num_pairs": len(ids), "members": tuple(ids), "strategy": spec}
    return config.model_copy(update=changes)


def held_in(parts: Mapping[str, bytes]) -> dict[str, str]:
    """player -> birth name of the network that its last swap gave it, as packed states say; of a
    pair that came as a whole that of both.
    """
    out = {}
    for player, raw in parts.items():
        # for those who look on: what cannot be read is found by whoever trains on from it
        with contextlib.suppress(CheckpointError):
            plain = unpack_plain(raw)
            born = {str(plain.get(f"identity.{network}", player)) for network in "DG"} - {player}
            if born:
                out[player] = min(born)
    return out
