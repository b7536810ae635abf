"""Who is dead or hung, what Ray says why, and how a process is ended that does not listen."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ray
from ray.exceptions import OutOfMemoryError, RayError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from raygan.actors.hang_stacks import envoy, stack_there

ASK_S, LOOK_S = 1.0, 0.1
"""Between two questions to each actor, and between two looks for their answers."""
OURS = re.compile(rb"(Board|MessengerWorker|Evaluator|Matchmaker|Player)Actor")
"""Titles of our actors' processes."""


@dataclass
class _Sign:
    """What is known of one actor; times by the monotonic clock."""

    answered: float
    moved: float
    actor: Any = None
    """None: it is being started."""
    asked: Any = None
    """The question that is under way."""
    beats: int | None = None


class Pulse:
    """Asks every actor once a second how far it is; one that does not answer, or is busy and gets
    nowhere, is hung.

    places: where it notes who lives where, (node, process).
    """

    def __init__(self, lease_s: float, places: dict[str, tuple[str, int]]) -> None:
        self.lease_s = lease_s
        self._places = places
        self.begin()

    def begin(self) -> None:
        """Another attempt: nothing is known of anybody."""
        self._signs: dict[str, _Sign] = {}
        self._at = self._looked = 0.0
        self.noticed: dict[str, Any] = {}
        """player -> its actor, whose process was told to end (SIGTERM)."""
        self._envoys: dict[str, Any] = {}
        """Who has got nowhere for half the lease -> whom to ask where it is; None: on this node."""

    def starting(self, name: str, within_s: float) -> None:
        """It is not there yet: its first answer may take so long."""
        by = time.monotonic() + max(0.0, within_s - self.lease_s)
        self._signs[name] = _Sign(answered=by, moved=by)

    def alive(self, player: str) -> None:
        """The player has just reported: its lease begins anew."""
        now = time.monotonic()
        sign = self._signs.setdefault(player, _Sign(now, now))
        sign.answered = sign.moved = now

    def last_move(self, busy: Collection[str]) -> float:
        """When one of these got on last, by the monotonic clock."""
        return max((self._signs[p].moved for p in busy if p in self._signs), default=0.0)

    def ages(self) -> dict[str, float]:
        """Seconds since each player's last answer."""
        now = time.monotonic()
        return {p: now - sign.answered for p, sign in self._signs.items()}

    def beat(self, actors: Mapping[str, Any], busy: Collection[str]) -> str | None:
        """Ask once a second, and look for answers more often; who is hung, if anybody: one that is
        silent before one that waits for it. Raises RayActorError of one that is dead, whether it
        owes anything or not.
        """
        now = time.monotonic()
        asks = now - self._at >= ASK_S
        # the loop may turn far more often than this, and each look is a call over all actors
        if not asks and now - self._looked < LOOK_S:
            return None
        self._looked = now
        self._hear(actors, now)
        if not asks:
            return None
        self._at = now
        # what an earlier actor of this name was asked says nothing of its successor
        self._signs = {
            p: sign
            for p, sign in self._signs.items()
            if sign.actor is None or sign.actor is actors.get(p)
        }
        for player, actor in actors.items():
            sign = self._signs.setdefault(player, _Sign(now, now))
            sign.actor = actor
            # who owes nothing stands still with right
            if player not in busy:
                sign.moved = now
            # one question at a time: a stopped process would collect them
            if sign.asked is None:
                sign.asked = actor.where.remote(player)
        # sent ahead: on another node an actor takes a while to come up, and the stack is wanted
        # before the hung process is ended
        slow = self._slow(actors, busy, now - self.lease_s / 2)
        self._envoys = {
            p: self._envoys.get(p) or envoy(self._places[p]) for p in slow if p in self._places
        }
        return next(iter(self._slow(actors, busy, now - self.lease_s)), None)

    def _slow(self, actors: Collection[str], busy: Collection[str], since: float) -> list[str]:
        """Who has not answered since then; then those who are busy and have got no further."""
        silent = [p for p in actors if self._signs[p].answered < since]
        return [
            *silent,
            *(p for p in actors if p in busy and self._signs[p].moved < since and p not in silent),
        ]

    def stack(self, name: str) -> str:
        """Where it is, frame by frame, or one line that says why nobody knows."""
        return stack_there(self._places.get(name), self._envoys.get(name))

    def _hear(self, actors: Mapping[str, Any], now: float) -> None:
        """What was asked before and is answered by now; who is well has answered long ago, so that
        few are looked at.
        """
        under_way = {
            s.asked: p
            for p, s in self._signs.items()
            if s.asked is not None and s.actor is actors.get(p)
        }
        ready = (
            ray.wait(list(under_way), num_returns=len(under_way), timeout=0)[0] if under_way else []
        )
        for asked in ready:
            player = under_way[asked]
            sign = self._signs[player]
            sign.asked = None
            facts = ray.get(asked)
            sign.answered = now
            self._places[player] = str(facts["node"]), int(facts["pid"])
            if facts.get("notice"):
                self.noticed[player] = sign.actor
            # beats, not steps: the judge's step is its slowest generator's, and may rightly stand
            # still (decision 24)
            if facts["beats"] != sign.beats:
                sign.beats, sign.moved = int(facts["beats"]), now


def end_process(node: str, pid: int) -> None:
    """SIGKILL to an actor's process that may be stopped: Ray asks a process to end itself, which
    such a one never does.
    """

    def kill() -> None:
        with contextlib.suppress(OSError):
            # else the number is somebody else's by now
            if OURS.search(Path(f"/proc/{pid}/cmdline").read_bytes()):
                os.kill(pid, signal.SIGKILL)

    if node == ray.get_runtime_context().get_node_id():
        kill()
        return
    there = NodeAffinitySchedulingStrategy(node, soft=False)
    # the node may be gone, and the process with it
    with contextlib.suppress(RayError):
        ray.get(
            ray.remote(kill).options(num_cpus=0, scheduling_strategy=there).remote(), timeout=5.0
        )


def death_kind(error: Exception) -> str:
    """oom, node, preempted, or plain death."""
    text = str(error)
    if (
        isinstance(error, OutOfMemoryError)
        or "NODE_OUT_OF_MEMORY" in text
        or "running low on memory" in text
    ):
        # a plain death's text also speaks of out-of-memory killers, as of something that might have
        # been
        return "oom"
    if getattr(error, "preempted", False):
        return "preempted"
    return (
        "node"
        if any(mark in text for mark in ("node has died", "marked dead", "node was terminated"))
        else "death"
    )


def lost_node(error: Exception) -> str | None:
    """Whose loss was the death of the actor, where it was that."""
    named = re.search(r"Node Id: ([0-9a-f]+)", str(error)) if death_kind(error) == "node" else None
    return named and named[1]


def death_cause(error: Exception) -> str:
    """Ray's account of a death, in one line; an out-of-memory kill by its name."""
    text = " ".join(str(error).split())
    if death_kind(error) == "oom":
        return "killed by the node: out of memory; lower num_pairs or network widths"
    for mark in ("Worker exit detail:", "cause:", "because"):
        if mark in text:
            return text.partition(mark)[2].strip()[:160].rstrip(".")
    return text[:160].rstrip(".")
