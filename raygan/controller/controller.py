"""The loop of a run.

    ready players --> strategy.decide --> orders --> executor --> done --> record, score, save --> ready players
                                                        |
                                            Inline: this process    Ray: actors

A strategy never sees an executor, an executor never sees a strategy. In lockstep the outcome is a function of (config,
seed) alone, however long orders take and in whatever order they are done.
"""

from __future__ import annotations

import contextlib
import json
import math
import signal
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any

from raygan.config import Config, full_dump
from raygan.controller.checkpoint import Checkpoint, go_on_from, newest_valid, open_journal
from raygan.controller.failures import Failures
from raygan.controller.gathering import Gathering
from raygan.controller.journal import Journal
from raygan.controller.ledger import Ledger
from raygan.controller.notices import Notices, keep_stack
from raygan.controller.orders import Adopt, Card, Done, Evaluate, Executor, Join, Save, Scored
from raygan.controller.pending import Pending
from raygan.controller.run_folder import REQUEST, RunFolder
from raygan.controller.saving import Saving, best_step
from raygan.controller.scaling import Scaling, number_of
from raygan.controller.storage import LocalStorage
from raygan.controller.totals import Totals, newest_first
from raygan.controller.watchdog import Watchdog
from raygan.errors import (
    CheckpointError,
    ConfigError,
    Interrupted,
    Leaving,
    NonFiniteError,
    PlayerDied,
    StaleEpochError,
)
from raygan.metrics.ranking import better, headline
from raygan.strategies.orders import Order, Swap, Train
from raygan.strategies.strategy import Plan, checked, idle_for_ever, is_critic, strategy_of

Listener = Callable[["Controller", Done], None]
STALL_S = 600.0


class Controller:
    """Runs one config to its end in one run folder."""

    def __init__(
        self,
        config: Config,
        folder: RunFolder,
        make_executor: Callable[[], Executor],
        listeners: list[Listener],
        samples: int = 0,
        journal: Journal | None = None,
    ) -> None:
        self.config = config
        self.folder = folder
        self.journal = journal or open_journal(LocalStorage(folder.path))
        folder.fence = self.journal.fence
        folder.telemetry.trouble = self.not_written
        self.make_executor = make_executor
        self.listeners = listeners
        self.strategy = strategy_of(config)
        self.plan = Plan.of(config, samples)
        self.players = self.strategy.players(config)
        self.roles = self.strategy.roles(self.config)
        self.generators = tuple(p for p in self.players if self.roles[p].pair)
        self.executor: Executor | None = None
        self.ledger = Ledger.begin(self.players, {}, {})
        self.saving = Saving(self, {})
        self.owed: dict[str, list[Save | Evaluate]] = {}
        """Scores and saves that are still to come, by player."""
        self.scaling = Scaling(self)
        self.notices = Notices(self)
        self.totals = Totals.read(self.journal.totals)
        """Of all lives of the run; this one counts on."""
        for row in self.totals.catch_up(newest_first(folder.path / "metrics.jsonl")):
            self._note_headline(row)
        self.totals.seen |= set(config.ids)
        self.failures = Failures(config.failures, self.totals.failures, self.totals.degraded)
        for player in self.players:
            self.totals.busy.setdefault(player, 0.0)
        self.latest: dict[str, dict[str, float]] = {}
        self.scores: dict[str, dict[str, Any]] = {}
        self.watchdog = Watchdog(
            self.strategy.locals(config),
            lambda p: is_critic(self.config.of(p)),
            one_mode_each=any(r.judges for r in self.roles.values()),
        )
        self.pending_rows: dict[str, Pending] = {}
        self.holds: dict[str, str] = {}
        """player -> birth name of the network that it was given by its last swap, for those who look on."""
        self.stop_signal: int | None = None
        self.targets: dict[str, int] | None = None
        self.began = time.perf_counter()

    # ------------------------------------------------------------------------------------------------- the run

    def run(self, resume: Checkpoint | None = None) -> None:
        """Train to the end; a run whose player died starts again from its last checkpoint, a few times.

        Raises PlayerDied and NonFiniteError when `failures` says so, Interrupted after a signal (checkpoint saved), and
        CheckpointError where the last checkpoint cannot be written.
        """
        for name, text in self.strategy.notes(self.plan):
            self.warn(name, text)
        try:
            while True:
                try:
                    self._attempt(resume)
                    return
                except (PlayerDied, NonFiniteError) as failure:
                    self._next_epoch()
                    resume = self._after(failure)
        finally:
            if self.executor is not None:
                self.executor.close()
                self.executor = None

    def _next_epoch(self) -> None:
        """What is left of this attempt can commit nothing any more."""
        self.journal = self.journal.next()
        self.folder.fence = self.journal.fence

    def _after(self, failure: PlayerDied | NonFiniteError) -> Checkpoint | None:
        """What to go on from; raises the failure where the run is to stop."""
        player, kind = failure.player, failure.kind
        action = self.failures.decide(failure, self.can_spare(player))
        self._tell_failure(failure, action)
        if action == "stop":
            failure.advice = self.failures.advice(failure, self.folder.path)
            raise failure
        resume, problems = newest_valid(self.journal.storage)
        self.warn_checkpoints(problems)
        if resume is None and problems:
            raise CheckpointError(f"{problems[0]} No other checkpoint in {self.folder.path} is whole: start a new run.")
        if action == "without":
            resume = self._retire(player, str(failure), resume)
        step, swapped = (resume.step, resume.extra.get("swapped", {})) if resume else (0, {})
        self.folder.event("restart", step, player=player, attempt=self.failures.counts[kind], swapped=swapped)
        who = "the others start" if action == "without" else "the run starts"
        name = "W208 moved" if isinstance(failure, Leaving) else "W201 player-died"
        self.warn(name, f"{failure}; {who} again from step {step}")
        return resume

    def _tell_failure(self, failure: PlayerDied | NonFiniteError, action: str) -> None:
        cause = failure.cause if isinstance(failure, PlayerDied) else failure.what
        step = self.done.get(failure.player, max(self.done.values(), default=0))
        facts = {"cause": cause, "why": failure.kind, "action": action, **keep_stack(self.folder, failure, step)}
        self.folder.event("death", step, player=failure.player, **facts)

    def can_spare(self, player: str) -> bool:
        """Is there a run without this player?"""
        if not self.strategy.elastic or player not in self.strategy.locals(self.config) or self.config.num_pairs == 1:
            return False
        left = tuple(i for i in self.config.ids if i != number_of(player))
        spec = self.strategy.pinned(self.config.strategy, self.config)
        try:
            strategy_of(self.config.model_copy(update={"members": left, "num_pairs": len(left), "strategy": spec}))
        except ConfigError:
            return False
        return True

    def _retire(self, player: str, why: str, resume: Checkpoint | None) -> Checkpoint | None:
        """Take a player out for good."""
        self.failures.degraded[player] = why
        self.set_members([i for i in self.config.ids if i != number_of(player)])
        at = self.ledger.done.get(player, 0)
        self.commit("retire", at, player=player, members=list(self.config.ids), why=why)
        if resume is None:
            return None
        extra = {**resume.extra, "members": [i for i in resume.extra["members"] if i != number_of(player)]}
        return replace(resume, parts={p: raw for p, raw in resume.parts.items() if p != player}, extra=extra)

    def _revive(self, death: PlayerDied) -> bool:
        """async: bring one player back from its part of the last checkpoint while the others go on; False where that can't be."""
        player = death.player
        if not self.may_return(player, death.kind):
            return False
        checkpoint, problems = newest_valid(self.journal.storage)
        self.warn_checkpoints(problems)
        if checkpoint is None and problems:
            return False  # nor can it be begun anew: what it was is lost
        self._tell_failure(death, self.failures.decide(death, can_spare=True))
        raw = checkpoint.parts.get(player) if checkpoint else None
        step = checkpoint.steps[player] if checkpoint and raw is not None else 0
        self.pending_rows.pop(player, None)
        self.bring_back(player, raw, step, None if raw is None else step)
        self.warn("W201 player-died", f"{death}; it comes back from step {step} while the others go on")
        return True

    def may_return(self, player: str, kind: str) -> bool:
        """May it be taken out and come back alone, while the others go on? Not where others share its process."""
        return (
            self.config.resources.pairs_per_actor == 1 and self.plan.tempo == "async" and self.stop_signal is None
            and not self.notices.together and self.can_spare(player) and self.strategy.comes_back_alone(player)
            and getattr(self.config.failures, kind) == "restart"
            and not self.failures.spent(kind, self.failures.counts[kind] + 1)
        )  # fmt: skip

    def bring_back(self, player: str, raw: bytes | None, step: int, saved: int | None) -> None:
        """async: a player leaves and joins again at `step`; `saved`: its step in the newest checkpoint, if it is there."""
        assert self.executor is not None
        self.owed.pop(player, None)
        self.executor.remove(player)
        self.scaling.drop(player)
        self.scaling.reviving.add(player)
        self.notices.gone(player)
        self.saving.lost(player, saved)
        self.executor.submit(Join(player, step, raw))

    def _attempt(self, resume: Checkpoint | None) -> None:
        if resume is not None and "members" in resume.extra:
            if list(self.config.ids) != resume.extra["members"]:
                self.set_members(resume.extra["members"])
            self.totals.seen |= set(resume.extra["seen"])
        self.keep_totals()
        go_on_from(self.journal, resume)
        self.ledger = Ledger.begin(self.players, resume.steps if resume else {}, resume.extra if resume else {})
        self.scaling = Scaling(self)
        self.owed.clear()
        self.saving = Saving(self, resume.steps if resume else {})
        self.pending_rows.clear()
        self.notices.begin()
        self.targets = None
        if self.executor is None:
            self.executor = self.make_executor()
        self.executor.configure(self.config)
        self.executor.start(self.players, resume.parts if resume else {}, self.journal.epoch)
        info = self.executor.info()
        self.folder.status(status="running", roster=self.players, roles=self.roles_told, **info)
        heard = time.monotonic()
        while self.tick():
            try:
                done = self.executor.wait(timeout_s=0.5)
            except PlayerDied as death:
                if not self._revive(death):
                    raise
                done = []
            heard = time.monotonic() if done else heard
            for listener in self.listeners:
                if look := getattr(listener, "tick", None):
                    look(self)
            for item in done:
                self.handle(item)
            busy = sorted(set(self.players) - set(self.ledger.idle))
            if busy and time.monotonic() - heard > STALL_S:
                raise PlayerDied(busy[0], f"no sign of life for {STALL_S:.0f} s", "hang")
        self.record_rows()
        if self.stop_signal is None and (behind := {p: s for p, s in self.done.items() if s < self.plan.steps}):
            raise idle_for_ever(self.strategy, behind, self.plan.steps)
        if self.stop_signal is not None:
            name = signal.Signals(self.stop_signal).name
            where = self.folder.path
            raise Interrupted(self.stop_signal, f"stopped by {name}, checkpoint saved. Next: raygan resume {where}")

    def tick(self) -> bool:
        """Give out orders; False when there is nothing left to wait for, and the last checkpoint is what the players are."""
        assert self.executor is not None, "tick() is called while an executor runs"
        self.notices.tick()
        self.scaling.tick()
        ready = self.ledger.ready(self.players)
        stops, halts = self.stop_signal is not None, self.notices.halts
        if (stops or halts) and self.targets is None and len(ready) == len(self.players):
            self.targets = self.strategy.stop_targets(self.done, self.plan) if stops else self.notices.targets()
        ready = self.notices.ready(ready)
        if self.scaling.holds_back:
            pass  # lockstep: members change between two steps of everybody
        elif not stops and not halts:
            self._submit(self.scaling.limit(self.strategy.decide(ready, self.ledger.progress, self.plan)))
        elif self.targets is None:  # rounds are under way; whoever they wait for goes on answering
            asked = [p for p in ready if p in self.strategy.answers(self.config)] if self.plan.tempo == "async" else []
            self._submit(self.strategy.decide(asked, self.ledger.progress, self.plan) if asked else [])
        elif not self._at_targets():
            orders = self.strategy.decide(ready, self.ledger.progress, self.plan)
            self._submit([o for o in map(self._up_to_target, orders) if not isinstance(o, Train) or o.steps > 0])
        busy = len(self.ledger.idle) < len(self.players) or self.scaling.busy or self.notices.busy
        return busy or self.notices.move() or any(self.owed.values()) or self.saving.last()

    def _at_targets(self) -> bool:
        return self.targets is not None and all(self.done[p] == t for p, t in self.targets.items())

    def _up_to_target(self, order: Order) -> Order:
        assert self.targets is not None
        if isinstance(order, Swap):
            return order
        return replace(order, steps=min(order.steps, self.targets[order.player] - self.done[order.player]))

    def _submit(self, orders: Sequence[Order]) -> None:
        assert self.executor is not None
        for order in checked(self.strategy, orders, self.players):
            self.ledger.submitted(order)
            if isinstance(order, Train) and order.missed:
                self.folder.event("skip", self.done[order.player], player=order.player, why="nobody to swap with")
                self.totals.skipped += 1
            self.executor.submit(order)

    # ----------------------------------------------------------------------------------------------- what came back

    def handle(self, item: Done) -> None:
        """Record one order that was carried out."""
        order = item.order
        self.ledger.carried_out(item)
        if isinstance(order, Swap):
            self._offered(order, item.result)
        elif isinstance(order, Adopt):
            self.totals.swaps += 1
        elif isinstance(order, Join):
            self.scaling.joined(order.player)
        elif isinstance(order, Train):
            self._trained(order, item.result)
        elif isinstance(order, Save):
            if not self.notices.took(order, item.result):
                self.saving.taken(order, item.result)
        else:
            self._scored(order, item.result)
        if isinstance(order, Save | Evaluate) and order in self.owed.get(order.player, []):
            self.owed[order.player].remove(order)
        for listener in self.listeners:
            listener(self, item)

    def _trained(self, order: Train, report: Mapping[str, float]) -> None:
        player, step = order.player, self.done[order.player]
        self.totals.busy[player] += report["seconds"]
        before = self.latest.get(player, {}).get("bad_steps", 0.0)
        self.latest[player] = dict(report)
        pending = self.pending_rows.setdefault(player, Pending(step - order.steps))
        pending.add(order.steps, report)
        if step >= self.plan.next_stop(pending.begin) or step >= self.plan.steps:
            self._record(player)
        if undone := report.get("rollbacks"):
            self.warn(
                "W106 rolled-back",
                f"{player}: NaN before step {step}; repeated {undone:.0f} times from step {step - order.steps}",
            )
        if (bad := report.get("bad_steps", 0.0)) > before:
            self.warn("W102 non-finite-loss", f"{player}: {bad - before:.0f} steps skipped before step {step}")
        for p in self._complete_at(player, step):
            if self.plan.evaluates_at(step) and self.roles[p].scored:
                self.ask(Evaluate(p, step, self.generators))
            if self.plan.saves_at(step) and not (
                self.free and self.gathering.fresh(p, step, self.plan.checkpoint_every)
            ):
                self.ask(Save(p, step, at=step))
        if (
            self.free
        ):  # not only when it has come to the cut's step: what the others have done till then would be at risk
            for cut in self.gathering.awaiting(player):
                self.ask(Save(player, cut, at=step))

    def _complete_at(self, player: str, step: int) -> list[str]:
        """Who is as it will be at `step`, now that `player` has done it: pairs that share weights only when all have."""
        group = next((g for g in self.strategy.together(self.config) if player in g), [player])
        return group if all(self.done[p] >= step for p in group) else []

    def record_rows(self) -> None:
        """A row for each player that has done something since its last one."""
        for player in sorted(self.pending_rows):
            self._record(player)

    def _record(self, player: str) -> None:
        """One row for a player's rounds since the last one; short rounds (PMGAN's single steps) share a row."""
        pending = self.pending_rows.pop(player)
        report, step = pending.report(), pending.begin + pending.steps
        self.folder.metric(kind="train", player=player, step=step, steps=pending.steps, elapsed=self.elapsed, **report)
        for name, text in self.watchdog.trained(player, step, report):
            self.warn(name, text)
        if self.roles[player].main and "lag" in report:
            self.folder.event("pull", step, player=player, of=self.strategy.locals(self.config), lag=report["lag"])
        elif self.roles[player].judges:
            beta, age = (
                {k.partition("/")[2]: round(v, 5) for k, v in report.items() if k.startswith(part)}
                for part in ("beta/", "age/")
            )
            spread = report.get("slot_spread", 0.0)
            self.folder.event("slot", step, players=list(beta), beta=beta, age=age, spread=spread)

    def commit(self, kind: str, step: int, **facts: Any) -> None:
        """A record of the journal, which alone counts, and then the same as an event, for those who look on."""
        self.journal.append(kind, step=step, **facts)
        self.folder.event(kind, step, **facts)

    def _offered(self, swap: Swap, cards: Mapping[str, Card]) -> None:
        """Everybody has handed over: this record is the swap's one commit point."""
        assert self.executor is not None
        taken = swap.moves
        moves: list[dict[str, Any]] = [
            {"player": p, "from": s, "what": swap.what, "identity": cards[s].identity, "at": self.done[p],
             "fingerprint": cards[s].fingerprint, "bytes": cards[s].nbytes}
            for p, s in taken.items()
        ]  # fmt: skip
        self.holds |= {m["player"]: m["identity"] for m in moves}
        sitting = [p for p in swap.players if p not in taken]
        self.commit("swap", swap.step, players=list(swap.players), carry=swap.carry, moves=moves, sitting=sitting)
        self.executor.submit(Adopt(swap))

    @property
    def free(self) -> bool:
        """May a checkpoint hold players at any steps? In async, where nobody holds what another one had at some step."""
        return self.plan.tempo == "async" and not self.strategy.swaps

    def ask(self, order: Evaluate | Save) -> None:
        """For a score, or for a part of a checkpoint."""
        assert self.executor is not None
        self.owed.setdefault(order.player, []).append(order)
        if isinstance(order, Save):
            self.gathering.asked(order, self.players, self.ledger.extra())
        self.executor.submit(order)

    def _scored(self, order: Evaluate, scored: Scored) -> None:
        if scored.missing:
            self.notices.unscored(order, scored.missing)
            return
        for metric, why in scored.failed.items():
            self.warn("W209 metric-failed", f"{metric} at step {order.step}: {why}")
        for row in scored.rows:
            self.scores[row["player"]] = row
            self._note_headline(row)
            self.folder.metric(elapsed=self.elapsed, **row)
        for name, text in self.watchdog.scored(order.player, order.step, scored):
            self.warn(name, text)
        self.folder.samples(order.step, scored.samples)

    def _note_headline(self, row: Mapping[str, Any]) -> None:
        """Keep each step's best headline score, for `best_steps`."""
        metric = headline(row)
        if metric is not None and math.isfinite(value := float(row[metric])):
            kept = self.totals.best.get(row["step"])
            if kept is None or better(metric, value, kept[1]):
                self.totals.best[row["step"]] = metric, value

    def best_steps(self, steps: Sequence[int]) -> list[int]:
        """Which of the checkpoints of these steps has the best score so far; [] where the best is not to be kept."""
        best = best_step(steps, self.totals.best) if self.config.checkpoint.keep_best else None
        return [] if best is None else [best]

    # ----------------------------------------------------------------------------------------------------- telling

    def set_members(self, ids: Sequence[int]) -> None:
        """Another set of members, from now on; kept in config.json, so that resuming builds the same players."""
        spec = self.strategy.pinned(self.config.strategy, self.config)
        self.config = self.config.model_copy(update={"num_pairs": len(ids), "members": tuple(ids), "strategy": spec})
        self.strategy = strategy_of(self.config)
        self.players = self.strategy.players(self.config)
        self.roles = {**self.roles, **self.strategy.roles(self.config)}  # also of those that left: rows are owed
        self.generators = tuple(p for p in self.players if self.roles[p].pair)
        self.watchdog.members = self.strategy.locals(self.config)
        for player in self.players:
            self.totals.busy.setdefault(player, 0.0)
        self.folder.write("config.json", json.dumps(full_dump(self.config), indent=1) + "\n")
        self.folder.status(roster=self.players, roles=self.roles_told)

    @property
    def roles_told(self) -> dict[str, dict[str, bool]]:
        """Each player's role, as the run folder keeps it for those who look on."""
        return {p: asdict(role) for p, role in self.roles.items()}

    @property
    def done(self) -> dict[str, int]:
        """Steps of each player."""
        return self.ledger.done

    @property
    def elapsed(self) -> float:
        """Seconds that the run has taken in all its lives, rounded to ms."""
        return round(self.totals.elapsed + time.perf_counter() - self.began, 3)

    @property
    def gathering(self) -> Gathering:
        """Checkpoints on their way."""
        return self.saving.gathering

    def told(self) -> dict[str, Any]:
        """What run.json says of all lives of the run."""
        t = self.totals
        busy = {p: round(s, 3) for p, s in t.busy.items()}
        return {"elapsed": self.elapsed, "busy_seconds": busy, "swaps": t.swaps, "skipped_swaps": t.skipped,
                "warnings": t.warnings}  # fmt: skip

    def end(self, status: str) -> None:
        """The last record of this life: what the run has spent goes on from here. Nothing depends on it."""
        self.keep_totals()
        with contextlib.suppress(OSError, StaleEpochError):
            self.journal.snapshot("end", status=status)

    def keep_totals(self) -> None:
        """They go with the journal's next snapshot."""
        self.totals.failures = dict(self.failures.counts)
        self.journal.totals = self.totals.dump(self.elapsed)

    def warn(self, name: str, text: str) -> None:
        """A named warning: counted, in the journal, shown once a kind and listed at the end."""
        self.totals.warnings[name] = self.totals.warnings.get(name, 0) + 1
        self.folder.event("warning", max(self.done.values(), default=0), name=name, text=text)

    def not_written(self, name: str, error: OSError) -> None:
        """A file that the run does not rest on found no room for the first time. Training goes on."""
        self.warn("W203 file-not-written", f"{name}: {error.strerror}; the run goes on, and writes it when it can")

    def warn_checkpoints(self, problems: Sequence[str]) -> None:
        """Checkpoints that could not be used, and were passed over."""
        for problem in problems:
            self.warn("W202 damaged-checkpoint", f"{problem} An older one is used.")

    def asked(self, request: Mapping[str, Any]) -> None:
        """What somebody elsewhere wants of this run: {"verb": "stop"}, or {"verb": "scale", "id": ..., "pairs": ...}."""
        if request["verb"] == "stop":
            self.stop(signal.SIGTERM)
        else:
            self.folder.write(REQUEST, json.dumps(dict(request)))

    def stop(self, signum: int) -> None:
        """Asked by a signal handler, or by `raygan stop`: finish the rounds under way, save, and end."""
        self.stop_signal = signum
