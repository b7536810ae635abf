"""A recorded run as attempts, each from a checkpoint to the next start, with its record."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from raygan.config import Config, validate
from raygan.controller.async_record import FILE, decoded
from raygan.controller.bucket_copies import shown, storage_of
from raygan.controller.checkpoint import read_checkpoint
from raygan.controller.history import Record, read_journal
from raygan.controller.jsonl import Lines
from raygan.errors import CheckpointError, ConfigError
from raygan.own.names import is_own, label
from raygan.strategies.base import strategy_of

Row = dict[str, Any]


class Unreplayable(ConfigError):
    """There is no verdict, and why."""


@dataclass
class Attempt:
    """From a start to a death, a stop or the end."""

    epoch: int
    begun_from: str
    """Folder of the checkpoint; "": from the beginning."""
    checkpoints: dict[str, dict[str, int]] = field(default_factory=dict)
    """Those that it has committed: folder -> each player's step."""
    swaps: dict[int, Record] = field(default_factory=dict)
    config: Config | None = None
    """None: it was not recorded."""
    parts: dict[str, str] = field(default_factory=dict)
    """SHA-256 of each part that it began from, as it read them."""
    devices: list[str] = field(default_factory=list)
    events: dict[str, list[Row]] = field(default_factory=dict)
    """Of each player, in order; each with its `line`."""

    def flaw(self) -> str:
        """Why it cannot be replayed; "" where it can."""
        if self.config is None:
            return "it was not recorded (`--record schedule`)"
        spec: Mapping[str, Any] = self.config.strategy
        names = [str(of["name"]) for of in (spec, spec.get("over") or spec)]
        if own := [label(name) for name in names if is_own(name)]:
            return f"of an own strategy, {own[0]}, nobody knows where a round may be cut short"
        if strategy_of(self.config).deputies:
            return "what deputies read is in no record (strategy.messenger_shards)"
        if devices := [d for d in self.devices if d != "cpu"]:
            return f"players computed on {devices[0]}, in async by kernels that sum in any order"
        return self._lost_round()

    def _lost_round(self) -> str:
        """Why a round of somebody's cannot be told from the record; "" where all can."""
        for row in (row for rows in self.events.values() for row in rows):
            who = row.get("p")
            if row["k"] == "back":
                return f"{who} came back by itself, and its last round is in no record"
            if row.get("again"):
                return (
                    f"{who} repeated a round from step {row['from']}, and others may have read"
                    " either"
                )
        return ""

    def reads(self) -> Counter[tuple[str, int]]:
        """How often each publication is read, (shelf, version). Raises Unreplayable."""
        out: Counter[tuple[str, int]] = Counter()
        for row in (r for rows in self.events.values() for r in rows if r.get("reads")):
            try:
                out.update(
                    item for n in decoded(row["of"], row["reads"]) for item in n.reads.items()
                )
            except (ValueError, IndexError, KeyError, TypeError) as error:
                raise Unreplayable(f"line {row['line']} of {FILE} is damaged ({error}).") from None
        return out

    def saves(
        self, steps: Mapping[str, int], wanted: Mapping[str, str], begun: Mapping[str, str]
    ) -> dict[str, int]:
        """The event of each player at which its part of a checkpoint was taken; none of one whose
        part is what it began with. Raises Unreplayable.

        steps, wanted, begun: of each player, its step there, and the SHA-256 of its part there and
        of the one that it began from.
        """
        out: dict[str, int] = {}
        for player, step in steps.items():
            rows = self.events.get(player, [])
            given = {(r["at"], r["cut"], n): r["sha"] for n, r in counted(rows, "part")}
            saves = [
                (i, given.get((r["at"], r["cut"], n)))
                for i, (n, r) in counted_at(rows, "save")
                if r["at"] == step and (r["at"], r["cut"], n) in given
            ]
            if here := [i for i, of in saves if of == wanted.get(player)] or [
                i for i, _ in saves[-1:]
            ]:
                out[player] = here[0]
            elif begun.get(player) != wanted.get(player):
                raise Unreplayable(f"{FILE} has no line about {player}'s part at step {step}.")
        return out


def attempts(path: Path) -> list[Attempt]:
    """All of a run's that the journal has, with what the record says of each.

    Raises Unreplayable.
    """
    out = committed(path)
    if not (path / FILE).exists():
        raise Unreplayable(
            f"run {shown(path)} has no {FILE}: it was not recorded. Train with --record schedule."
        )
    add_record({a.epoch: a for a in out}, Lines(path / FILE))
    return out


def committed(path: Path) -> list[Attempt]:
    """What the journal has of each attempt. Raises Unreplayable where it is damaged."""
    out: list[Attempt] = []
    history = read_journal(storage_of(path))
    if history.problems:
        raise Unreplayable(history.problems[0])
    for record in history.records:
        if record["kind"] == "resume":
            out.append(Attempt(record["epoch"], str(record.get("folder") or "")))
        elif record["kind"] == "checkpoint" and out:
            out[-1].checkpoints[record["folder"]] = record["steps"]
        elif record["kind"] == "swap" and out:
            out[-1].swaps[record["seq"]] = record
    return out


def add_record(by_epoch: Mapping[int, Attempt], lines: Lines) -> None:
    """What the record has of each attempt. Raises Unreplayable where it is damaged."""
    current: Attempt | None = None
    for number, row in enumerate(lines.fresh(), 1):
        try:
            if row["k"] == "begin":
                # an epoch that the journal does not know wrote nothing that counts
                current = by_epoch.get(row["epoch"])
                if current is not None:
                    current.config = validate(Config, row["config"])
                    current.parts, current.devices = dict(row["parts"]), list(row["devices"])
            elif current is not None:
                # a swap stands in the record of all who met
                for player in row.get("players") or [row["p"]]:
                    current.events.setdefault(player, []).append({**row, "line": number})
        except (KeyError, TypeError, ValueError) as error:
            raise Unreplayable(f"line {number} of {FILE} is damaged ({error}).") from None
    if lines.damaged:
        raise Unreplayable(f"{lines.damaged} lines of {FILE} are damaged.")


def chained(all_: Sequence[Attempt], folder: str, path: Path) -> list[Attempt]:
    """The attempts that have led to a checkpoint, oldest first; only the newest of them, where what
    is before cannot be replayed and the checkpoint that these began from is still there. Raises
    Unreplayable.
    """
    out: list[Attempt] = []
    while folder:
        attempt = next((a for a in reversed(all_) if folder in a.checkpoints), None)
        why = "it was not recorded (`--record schedule`)" if attempt is None else attempt.flaw()
        if attempt is None or why:
            if out and readable(path, out[0]):
                return out
            raise Unreplayable(f"what led to checkpoint {folder} cannot be replayed: {why}.")
        out.insert(0, attempt)
        folder = attempt.begun_from
    return out


def readable(path: Path, attempt: Attempt) -> bool:
    """Is the checkpoint still there that it began from?"""
    try:
        return bool(start(path, attempt))
    except CheckpointError:
        return False


def start(path: Path, attempt: Attempt) -> dict[str, bytes]:
    """The states that it began from. Raises CheckpointError."""
    if not attempt.begun_from:
        return {}
    return read_checkpoint(path, step_of(attempt.begun_from), None, attempt.begun_from).parts


def step_of(folder: str) -> int:
    """Of a checkpoint's folder: 500 of 00000500-2."""
    return int(folder.partition("-")[0].partition(".")[0])


def counted(rows: Sequence[Row], kind: str) -> Iterator[tuple[int, Row]]:
    """Those of a kind, each with how many of its cut and step came before it."""
    seen: Counter[tuple[int, int]] = Counter()
    for row in (r for r in rows if r["k"] == kind):
        yield seen[row["at"], row["cut"]], row
        seen[row["at"], row["cut"]] += 1


def counted_at(rows: Sequence[Row], kind: str) -> Iterator[tuple[int, tuple[int, Row]]]:
    """The same, with each one's place."""
    places = [i for i, r in enumerate(rows) if r["k"] == kind]
    yield from zip(places, counted(rows, kind), strict=True)
