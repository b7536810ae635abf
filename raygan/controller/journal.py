"""The journal: what a run has committed, in order, by one writer at a time.

    journal/00000001.jsonl    epoch 1:  open, swap, checkpoint, swap, ...        one record a line, fsynced, never rewritten
    journal/00000002.jsonl    epoch 2:  open(prev = the last record of epoch 1 that it saw), ...

record = {"seq", "epoch", "kind", "time", ..., "prev": sha of the record before, "sha": SHA-256 of all that}

Whoever makes the file of the next epoch first (exclusive create: the storage decides, no name server does) is the writer from
then on. An older writer that is still alive, behind a partition say, can only add to its own epoch's file; what it adds
after the new epoch was opened is behind the new one's `prev` and is not part of the journal. It notices before its next
write, raises StaleEpochError and ends.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from raygan.controller.storage import Storage
from raygan.errors import StaleEpochError

FOLDER = "journal"
Record = dict[str, Any]


def file_of(epoch: int) -> str:
    """
    >>> file_of(3)
    'journal/00000003.jsonl'
    """
    return f"{FOLDER}/{epoch:08d}.jsonl"


def seal(record: Record) -> Record:
    """The record with its own hash."""
    return {**record, "sha": hashlib.sha256(json.dumps(record, sort_keys=True).encode()).hexdigest()}


@dataclass
class History:
    """What a journal says: the records of all epochs that count, and what is wrong with it."""

    records: list[Record] = field(default_factory=list)
    epoch: int = 0
    """The newest; 0 where there is no journal."""
    problems: list[str] = field(default_factory=list)
    cut: int = 0
    """Records of writers that had been fenced off: not part of the journal, and counted."""

    @property
    def head(self) -> str:
        """Hash of the last record; "" of an empty journal."""
        return str(self.records[-1]["sha"]) if self.records else ""

    def of(self, *kinds: str) -> list[Record]:
        """The records of some kinds."""
        return [r for r in self.records if r["kind"] in kinds]


def read_journal(storage: Storage) -> History:
    """All epochs, each up to where the next one took over. A damaged record ends its epoch, and is told."""
    out = History()
    names = [n for n in storage.list(FOLDER) if n.endswith(".jsonl") and n[:-6].isdigit()]
    for name in names:
        out.epoch = int(name[:-6])
        lines, found = storage.read(f"{FOLDER}/{name}").split(b"\n"), list[Record]()
        for number, line in enumerate(lines):
            record = _parse(line)
            if record is None:
                if line and number < len(lines) - 1:  # half a line at the end is a writer that was killed
                    out.problems.append(f"{FOLDER}/{name}: line {number + 1} is damaged; what follows it is not used.")
                break
            if found and record["prev"] != found[-1]["sha"]:
                out.problems.append(f"{FOLDER}/{name}: line {number + 1} does not follow the line before it.")
                break
            found.append(record)
        if not found:
            continue
        before = [i for i, r in enumerate(out.records) if r["sha"] == found[0]["prev"]]
        if before:
            out.cut += len(out.records) - before[-1] - 1
            del out.records[before[-1] + 1 :]
        elif found[0]["prev"] or out.records:
            out.problems.append(f"{FOLDER}/{name}: the record that it goes on from is missing.")
            out.records.clear()
        out.records += found
    return out


def _parse(line: bytes) -> Record | None:
    """A whole record, or None."""
    try:
        record = json.loads(line)
        sha = record.pop("sha")
    except (ValueError, KeyError, AttributeError, TypeError, RecursionError):
        return None
    whole = seal(record)
    return whole if whole["sha"] == sha else None


class Journal:
    """The writer of one epoch."""

    def __init__(self, storage: Storage, epoch: int, head: str, seq: int, clock: Callable[[], float]) -> None:
        self.storage = storage
        self.epoch = epoch
        self.head = head
        self.seq = seq
        self.clock = clock

    @classmethod
    def open(cls, storage: Storage, clock: Callable[[], float] = time.time, after: int | None = None) -> Journal:  # noqa: TID251  shown only
        """Take the next epoch. `after`: only if that is still the newest one.

        Raises StaleEpochError when somebody else has just taken it.
        """
        newest = read_journal(storage).epoch
        if after is not None and newest != after:
            raise StaleEpochError(after, newest)
        try:
            storage.create(file_of(newest + 1))
        except FileExistsError:
            raise StaleEpochError(newest, newest + 1) from None
        history = read_journal(storage)  # only now: nothing that is added from now on counts
        journal = cls(storage, newest + 1, history.head, len(history.records), clock)
        journal.append("open")
        return journal

    def fence(self) -> None:
        """Raises StaleEpochError when a newer writer has opened the run."""
        if self.storage.exists(file_of(self.epoch + 1)):
            raise StaleEpochError(self.epoch, self.epoch + 1)

    def append(self, kind: str, **facts: Any) -> Record:
        """Commit a record: it is on disk when this returns. Raises StaleEpochError, OSError (then nothing was committed)."""
        self.fence()
        base = {"seq": self.seq, "epoch": self.epoch, "kind": kind, "time": round(self.clock(), 3), "prev": self.head}
        record = seal({**base, **facts})
        self.storage.append(file_of(self.epoch), json.dumps(record, sort_keys=True).encode() + b"\n")
        self.head, self.seq = str(record["sha"]), self.seq + 1
        return record

    def next(self) -> Journal:
        """The same writer's next epoch, after a death: what still runs of the old one is fenced off."""
        return Journal.open(self.storage, self.clock, after=self.epoch)


def committed(records: Sequence[Record]) -> dict[int, Record]:
    """{step: its record} of the checkpoints that count; going on from an earlier one undoes those after it.

    Their `steps` are the exactly-once account (X1): between two of them each player has done just the difference.
    """
    out: dict[int, Record] = {}
    for record in records:
        if record["kind"] == "checkpoint":
            out[record["step"]] = record
        elif record["kind"] == "resume":
            out = {step: r for step, r in out.items() if step <= record["step"]}
    return out
