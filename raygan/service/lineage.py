"""Who has ever trained against whom, exactly, from the journal: swaps, members, resumes, and runs that go on from others.

events.jsonl tells the same to those who look on. It is neither synced nor hashed, so that nothing is decided by it.

    generators["pair-03"]      identities of the generator that now sits at pair-03 (and of its ancestors)
    discriminators["pair-03"]  identities of every generator that pair-03's present discriminator has trained against

An identity is RUN-ID/PLAYER-OF-BIRTH, so that it means the same in every run.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from raygan.controller.checkpoint import Checkpoint, newest_valid
from raygan.controller.journal import read_journal
from raygan.controller.lines import NOTES
from raygan.controller.storage import LocalStorage
from raygan.errors import CheckpointError
from raygan.service.repair import missing
from raygan.service.run import Run
from raygan.strategies.roles import GLOBAL, JUDGE
from raygan.strategies.strategy import strategy_of


@dataclass(frozen=True)
class Lineage:
    """See above."""

    generators: dict[str, frozenset[str]]
    discriminators: dict[str, frozenset[str]]


def lineage(run: Run, checkpoint: Checkpoint | None = None) -> Lineage:
    """Of a checkpoint; None: the run's newest. Raises CheckpointError where the journal is damaged."""
    if checkpoint is None:
        checkpoint, _ = newest_valid(run.path)
    kept = checkpoint.extra.get("swapped", {}) if checkpoint else {}
    players = strategy_of(run.config).players(run.config)
    return replay(str(run.info.get("id", run.path)), players, told(run), kept)


def told(run: Run) -> Sequence[Mapping[str, Any]]:
    """What the journal says of who met whom. One of a release whose journal did not say all of it: what its events say, and that
    is told. Raises CheckpointError where the journal is damaged.
    """
    history = read_journal(LocalStorage(run.path))
    if history.problems:
        raise CheckpointError(
            f"run {str(run.path)!r}: who met whom is not known for sure: {history.problems[0]} Take a whole copy."
        )
    if not history.records or any("swapped" not in r for r in history.of("resume")):
        NOTES.warning(
            "%s is of an older release: who met whom is read from its events.jsonl, which nothing protects", run.name
        )
        return run.events
    if lost := missing(run, history.records):
        NOTES.warning(
            "%s: events.jsonl lacks %s of the journal's records; the journal counts. `raygan runs --repair %s` writes them again",
            run.name, sum(lost.values()), run.path,
        )  # fmt: skip
    return history.records


def replay(uid: str, players: Sequence[str], events: Sequence[Mapping[str, Any]], kept: Mapping[str, int]) -> Lineage:
    """From a journal's records (of older releases: events); `kept`: each player's step at its last swap in the checkpoint."""
    came = [e["player"] for e in events if e["kind"] == "join"]  # and may have left again, with what it had
    went = [e["player"] for e in events if e["kind"] in ("leave", "retire")]
    now, players = players, list(dict.fromkeys([*players, *came, *went]))
    locals_ = [p for p in players if p not in (GLOBAL, JUDGE)]
    made = {p: {f"{uid}/{p}"} for p in players if p != JUDGE}
    met: dict[str, set[str]] = {p: set() for p in players}
    swaps: list[Mapping[str, Any]] = []
    for event in events:
        if event["kind"] == "origin":
            made[event["player"]] |= set(event["generator"])
            met[event["player"]] |= set(event["discriminator"])
        elif event["kind"] == "swap":
            swaps.append(event)
        elif event["kind"] in ("restart", "resume"):  # what came after that checkpoint is undone
            swaps = [s for s in swaps if happened(s, event.get("swapped", {}))]
    if JUDGE in players:
        met[JUDGE] = set().union(*(made[p] for p in locals_))
        met = {JUDGE: met[JUDGE], **({GLOBAL: set()} if GLOBAL in players else {})}
    else:
        for swap in (s for s in swaps if happened(s, kept)):
            for p in locals_:
                met[p] |= made[p]
            table = met if swap["moves"][0]["what"] == "D" else made
            before = {p: set(table[p]) for p in locals_}
            for move in swap["moves"]:
                table[move["player"]] = before[move["from"]]
        for p in locals_:
            met[p] |= made[p]
    if GLOBAL in players:  # G0 has trained against copies of every D, D0 against every G
        everybody = set().union(*made.values(), *met.values())
        for p in met:
            met[p] |= made[GLOBAL]
        met[GLOBAL] |= everybody | made[GLOBAL]
    return Lineage(
        {p: frozenset(v) for p, v in made.items() if p in now}, {p: frozenset(v) for p, v in met.items() if p in now}
    )


def happened(swap: Mapping[str, Any], kept: Mapping[str, int]) -> bool:
    """Is this swap on the checkpoint's side of the cut?"""
    return all(move["at"] <= kept.get(move["player"], -1) for move in swap["moves"])
