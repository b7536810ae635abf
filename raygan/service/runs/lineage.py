"""Who has ever trained against whom, exactly, from the journal: swaps, members, resumes, and runs
that go on from others.

events.jsonl tells the same to those who look on. It is neither synced nor hashed, so that nothing
is decided by it.

    generators["pair-03"]      identities of the generator that now sits at
                               pair-03 (and of its ancestors)
    discriminators["pair-03"]  identities of every generator that pair-03's present
                               discriminator has trained against

An identity is RUN-ID/PLAYER-OF-BIRTH, so that it means the same in every run.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from heapq import heappop, heappush
from typing import Any

from raygan.controller.bucket_copies import shown, storage_of
from raygan.controller.checkpoint import Checkpoint, newest_valid
from raygan.controller.history import read_journal
from raygan.controller.jsonl import NOTES
from raygan.errors import CheckpointError
from raygan.service.runs.repair import missing
from raygan.service.runs.run import Run
from raygan.strategies.base import strategy_of
from raygan.strategies.orders import networks_of
from raygan.strategies.roles import Role, Roles, with_verdicts


@dataclass(frozen=True)
class Lineage:
    """Who has trained against whom, as the module's text says."""

    generators: dict[str, frozenset[str]]
    discriminators: dict[str, frozenset[str]]


def lineage(run: Run, checkpoint: Checkpoint | None = None) -> Lineage:
    """Of a checkpoint; None: the run's newest.

    Raises CheckpointError where the journal is damaged.
    """
    if checkpoint is None:
        checkpoint, _ = newest_valid(run.path)
    kept = checkpoint.extra.get("swapped", {}) if checkpoint else {}
    strategy = strategy_of(run.config)
    uid, roles = str(run.info.get("id", run.path)), strategy.roles(run.config)
    return replay(uid, roles, who_met_whom(run), kept, strategy.mingles)


def who_met_whom(run: Run) -> Sequence[Mapping[str, Any]]:
    """What the journal says of who met whom. One of a release whose journal did not say all of it:
    what its events say, and that is told. Raises CheckpointError where the journal is damaged.
    """
    history = read_journal(storage_of(run.path))
    if history.problems:
        raise CheckpointError(
            f"run {shown(run.path)!r}: who met whom is not known for sure: {history.problems[0]}"
            " Take a whole copy."
        )
    if not history.records or any("swapped" not in r for r in history.of("resume")):
        NOTES.warning(
            "%s is of an older release: who met whom is read from its events.jsonl, which nothing"
            " protects",
            run.name,
        )
        return run.events
    if lost := missing(run, history.records):
        NOTES.warning(
            "%s: events.jsonl lacks %s of the journal's records; the journal counts. `raygan runs"
            " --repair %s` writes them again",
            run.name, sum(lost.values()), run.path,
        )  # fmt: skip
    return history.records


def replay(
    uid: str, roles: Roles, events: Iterable[Mapping[str, Any]], kept: Mapping[str, int],
    mingled: bool = False,
) -> Lineage:  # fmt: skip
    """From a journal's records (of older releases: events); `kept`: each player's step at its last
    swap in the checkpoint.

    Whoever has a generator but is no pair is taken to have met everybody, and everybody it: it
    learns from the others. mingled: each network has come from all others'
    (`StrategyComponent.mingles`).
    """
    events = list(events)
    now, roles = list(roles), {**_strangers(events), **roles}
    made = {p: frozenset(() if role.judges else {f"{uid}/{p}"}) for p, role in roles.items()}
    met = dict.fromkeys(roles, frozenset[str]())
    for event in events:
        if event["kind"] == "origin":
            made[event["player"]] |= set(event["generator"])
            met[event["player"]] |= set(event["discriminator"])
    for moves in surviving(events, kept):
        exchange(moves, made, met)
    # PMGAN's judge and a global pair learn from all others. Whom at which step is not kept: taken
    # to have met everybody, they never judge whom they may have met.
    everybody = frozenset().union(*made.values(), *met.values())
    if mingled:
        ancestors = frozenset().union(*made.values())
        made, met = dict.fromkeys(made, ancestors), dict.fromkeys(met, everybody)
    above = frozenset().union(*(made[p] for p, role in roles.items() if _is_above(role)))
    for p, role in roles.items():
        met[p] |= everybody if role.judges or _is_above(role) else made[p] | above
    return Lineage(
        {p: made[p] for p in now if roles[p].scored}, {p: met[p] for p in with_verdicts(now, roles)}
    )


def _is_above(role: Role) -> bool:
    """Has it a generator, and is no pair?"""
    return role.scored and not role.pair


def _strangers(events: Sequence[Mapping[str, Any]]) -> Roles:
    """Members that came, or went with what they had."""
    return {e["player"]: Role() for e in events if e["kind"] in ("join", "leave", "retire")}


def exchange(
    moves: Sequence[Mapping[str, Any]],
    made: dict[str, frozenset[str]],
    met: dict[str, frozenset[str]],
) -> None:
    """One swap, all of its moves at once. Whom a D has met is written down when it or its generator
    leaves, and at the end: a swap costs what it moves, however many pairs there are.
    """
    for p in {name for move in moves for name in (move["player"], move["from"])}:
        met[p] |= made[p]
    for network in networks_of(moves[0]["what"]):
        table = met if network == "D" else made
        # All of a swap happens at once: read first, then written, or a ring of moves would hand
        # one network on to everybody.
        before = {move["from"]: table[move["from"]] for move in moves}
        for move in moves:
            table[move["player"]] = before[move["from"]]


def surviving(
    events: Iterable[Mapping[str, Any]], kept: Mapping[str, int]
) -> list[Sequence[Mapping[str, Any]]]:
    """The moves of each swap that no return to a checkpoint has undone, `kept` being the last; in
    time that grows with the events' number, however often the run has gone back.
    """
    swaps: dict[int, Sequence[Mapping[str, Any]]] = {}
    newest: dict[
        str, list[tuple[int, int]]
    ] = {}  # player -> heap of (-its own step at the swap, the swap's number)

    def undo(kept: Mapping[str, int]) -> None:
        for player, mine in newest.items():
            # A heap a player: a run that went back a thousand times would otherwise look at each
            # of its swaps a thousand times.
            while mine and -mine[0][0] > kept.get(player, -1):
                swaps.pop(heappop(mine)[1], None)

    for number, event in enumerate(events):
        if event["kind"] == "swap":
            swaps[number] = event["moves"]
            for move in event["moves"]:
                heappush(newest.setdefault(move["player"], []), (-move["at"], number))
        elif event["kind"] in ("restart", "resume"):
            undo(event.get("swapped", {}))
    undo(kept)
    return list(swaps.values())
