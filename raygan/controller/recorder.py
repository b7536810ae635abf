"""What came back, as rows, events, scores and named warnings.

trained(order, report)  -->  pending row  -->  row of metrics.jsonl, at a checkpoint, an evaluation
                             or the end
scored(order, scored)   -->  rows of metrics.jsonl, samples, the best score of each step
offered(swap, cards)    -->  the swap's record in the journal
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from raygan.controller.hang_stacks import keep_stack
from raygan.controller.ledger import OWN, steps_done
from raygan.controller.orders import Card, Evaluate, Scored
from raygan.controller.run_log import RunLog
from raygan.controller.state import RunState
from raygan.controller.stragglers import Uneven, idle_members
from raygan.controller.watchdog import Watchdog
from raygan.errors import NonFiniteError, PlayerDied
from raygan.metrics.ranking import headline
from raygan.strategies.orders import Order, Swap, Train


class Recorder:
    """Records what one run has done."""

    def __init__(self, state: RunState, log: RunLog) -> None:
        self.state = state
        self.log = log
        self.rows: dict[str, PendingRow] = {}
        """Rounds that have no row yet, by player."""
        self.uneven = Uneven()
        self.watchdog = Watchdog(
            state.generators,
            one_mode_each=any(r.judges for r in state.roles.values()),
        )

    def asked(self, orders: Sequence[Order]) -> Sequence[Order]:
        """The same orders; who found nobody to swap with is counted."""
        for order in orders:
            if isinstance(order, Train) and order.missed:
                at = self.state.done[order.player]
                self.log.event("skip", at, player=order.player, why="nobody to swap with")
                self.state.totals.skipped += 1
        return orders

    def trained(self, order: Train, report: Mapping[str, float]) -> None:
        """Count a player's round, and keep its numbers for the next row."""
        state, player = self.state, order.player
        step = state.done[player]
        # the ledger knows of waits between rounds, the player of those within
        if held := state.ledger.held_s.pop(player, 0.0):
            report = {**report, "held_s": held}
        state.totals.busy[player] += report["seconds"]
        if waited := held + report.get("wait_s", 0.0):
            state.totals.waited[player] = state.totals.waited.get(player, 0.0) + waited
        # a counter of all its steps: only what is new is told
        before = state.latest.get(player, {}).get("bad_steps", 0.0)
        state.latest[player] = dict(report)
        done = steps_done(order.steps, report)
        row = self.rows.setdefault(player, PendingRow(step - done))
        row.add(done, report)
        if step >= state.plan.next_stop(row.begin) or step >= state.plan.steps:
            self.write_row(player)
        if undone := report.get("rollbacks"):
            again = f"repeated {undone:.0f} times from step {step - done}"
            self.log.warn("W106 rolled-back", f"{player}: NaN before step {step}; {again}")
        if (bad := report.get("bad_steps", 0.0)) > before:
            skipped = f"{bad - before:.0f} steps skipped before step {step}"
            self.log.warn("W102 non-finite-loss", f"{player}: {skipped}")

    def write_rows(self) -> None:
        """A row for each player that has done something since its last one."""
        for player in sorted(self.rows):
            self.write_row(player)

    def write_row(self, player: str) -> None:
        """One row for a player's rounds since the last one; short rounds (PMGAN's single steps)
        share a row.
        """
        pending = self.rows.pop(player)
        report, step = pending.report(), pending.begin + pending.steps
        self.log.folder.metric(
            kind="train",
            player=player,
            step=step,
            steps=pending.steps,
            elapsed=self.state.elapsed,
            **report,
        )
        for name, text in self.watchdog.trained(player, step, report):
            self.log.warn(name, text)
        self._apart()
        self._flow(player, step, report)

    def _apart(self) -> None:
        """async: is anybody far ahead, or starved?"""
        state = self.state
        if state.plan.tempo == "lockstep" or state.strategy.isolated:
            return
        judge = next((p for p in state.done if state.roles[p].judges), None)
        made = state.latest.get(judge, {}).get("updates", 0.0) if judge else 0.0
        told = (judge, made) if judge else None
        for name, text in self.uneven.trained(state.done, state.ledger.credit, told):
            self.log.warn(name, text)

    def ended(self) -> None:
        """async: has anybody been there for nothing?"""
        state = self.state
        if state.plan.tempo == "lockstep":
            return
        unmet = max((r.get("unmet", 0.0) for r in state.latest.values()), default=0.0)
        missed = state.totals.skipped if state.strategy.swaps else 0
        members = state.strategy.locals(state.config)
        for name, text in idle_members(members, state.ledger.swapped, missed, unmet):
            self.log.warn(name, text)

    def _flow(self, player: str, step: int, report: Mapping[str, float]) -> None:
        """What moved between players, for pictures: who was pulled, whose slots were read."""
        role = self.state.roles[player]
        if role.main and "lag" in report:
            of = self.state.strategy.locals(self.state.config)
            self.log.event("pull", step, player=player, of=of, lag=report["lag"])
        elif role.judges:
            beta, age = (
                {k.partition("/")[2]: round(v, 5) for k, v in report.items() if k.startswith(part)}
                for part in ("beta/", "age/")
            )
            spread = report.get("slot_spread", 0.0)
            self.log.event("slot", step, players=list(beta), beta=beta, age=age, spread=spread)

    def offered(self, swap: Swap, cards: Mapping[str, Card]) -> None:
        """Everybody has handed over: this record is the swap's one commit point."""
        done, taken = self.state.done, swap.moves
        moves: list[dict[str, Any]] = [
            {
                "player": p, "from": s, "what": swap.what, "identity": cards[s].identity,
                "at": done[p], "fingerprint": cards[s].fingerprint, "bytes": cards[s].nbytes,
            }
            for p, s in taken.items()
        ]  # fmt: skip
        for move in moves:
            if settings := swap.settings_of(move["player"]):
                move["settings"] = dict(settings)
        # told to those who look on; the lineage is read from the record
        self.state.holds |= {m["player"]: m["identity"] for m in moves}
        sitting = [p for p in swap.players if p not in taken]
        self.log.commit(
            "swap",
            swap.step,
            players=list(swap.players),
            carry=swap.carry,
            moves=moves,
            sitting=sitting,
        )
        self.log.schedule.swapped(swap.players, self.log.journal.seq - 1)

    def scored(self, order: Evaluate, scored: Scored) -> None:
        """What was measured of a generator."""
        for metric, why in scored.failed.items():
            self.log.warn("W209 metric-failed", f"{metric} at step {order.step}: {why}")
        for row in scored.rows:
            self.state.scores[row["player"]] = row
            self.note_headline(row)
            self.log.folder.metric(elapsed=self.state.elapsed, **row)
        for player, told in scored.by_part.items():
            self.log.event("by_part", order.step, player=player, **told)
        self.watchdog.members = self.state.generators
        for name, text in self.watchdog.scored(order.player, order.step, scored):
            self.log.warn(name, text)
        self.log.folder.samples(order.step, scored.samples)

    def failed(self, failure: PlayerDied | NonFiniteError, action: str) -> None:
        """What struck whom, and what is done about it."""
        cause = failure.cause if isinstance(failure, PlayerDied) else failure.what
        step = self.state.done.get(failure.player, self.state.furthest)
        facts = {"cause": cause, "why": failure.kind, "action": action}
        facts |= keep_stack(self.log.folder, failure, step)
        self.log.event("death", step, player=failure.player, **facts)

    def note_headline(self, row: Mapping[str, Any]) -> None:
        """Keep its headline score, by which the best checkpoint is kept."""
        metric = headline(row)
        if metric is None or not math.isfinite(value := float(row[metric])):
            return
        self.state.totals.scored(row["player"], row["step"], (metric, value))


class PendingRow:
    """Reports of a player's rounds that will share a row: means over steps, sums of seconds, the
    last of each counter.
    """

    def __init__(self, begin: int) -> None:
        self.begin = begin
        self.steps = 0
        self._sums: dict[str, float] = {}
        self._weights: dict[str, float] = {}
        self._last: dict[str, float] = {}

    def add(self, steps: int, report: Mapping[str, float]) -> None:
        """Count a report of so many steps in."""
        self.steps += steps
        for key, value in report.items():
            if key in LAST or key.startswith(OWN):
                self._last[key] = value
            elif key != "steps_done":
                weight = 1.0 if key in SUMMED else float(steps)
                self._sums[key] = self._sums.get(key, 0.0) + value * weight
                self._weights[key] = self._weights.get(key, 0.0) + weight

    def report(self) -> dict[str, float]:
        """The numbers of the row: means over steps, sums of what is SUMMED."""
        means = {
            k: s if k in SUMMED else s / self._weights[k]
            for k, s in self._sums.items()
            if self._weights[k]  # a mean over no step is none
        }
        return {**means, **self._last}


LAST = ("bad_steps", "updates", "unmet")
"""Counters: a row has their last value, as of what players say of themselves."""
SUMMED = ("seconds", "wait_s", "held_s")
"""All else is a mean over steps. `wait_s`: within a round, for an answer; `held_s`: before it, for
slower players.
"""
