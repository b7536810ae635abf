"""The journal: what a run has committed, in order, by one writer at a time (journal.py).

    journal/00000001.jsonl    epoch 1:  open, swap, checkpoint, swap, ...
    journal/00000002.jsonl    epoch 2:  open(prev = the last record of epoch 1 that it saw), ...
                              one record a line, fsynced, never rewritten

record = {"seq", "epoch", "kind", "time", ..., "prev": sha of the record before, "sha": SHA-256 of
all that}

Records of the kinds open, resume, checkpoint and end are snapshots: they carry the index of all
checkpoints that count, and the run's totals. So whoever goes on reads the journal's head only
(`read_head`: the last 64 kB (`WINDOW`), and more where no snapshot lies in these), which costs the
same at any length; what lies before is an archive, kept by the chain of hashes.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from raygan.controller.storage import Storage

FOLDER = "journal"
WINDOW = 1 << 16
"""Bytes at a journal's end that are read and checked at least."""
Record = dict[str, Any]


@dataclass(frozen=True)
class Entry:
    """A committed checkpoint, as the journal's index has it."""

    step: int
    folder: str
    """Its name in `checkpoints/`: each commit has one of its own."""
    manifest: str
    """SHA-256 of its manifest; "" where only the manifest itself can tell (a run without a
    journal).
    """
    promised: bool = True
    """It must be there; False: superseded, and removed sooner or later."""


def file_of(epoch: int) -> str:
    """
    >>> file_of(3)
    'journal/00000003.jsonl'
    """
    return f"{FOLDER}/{epoch:08d}.jsonl"


def seal(record: Record) -> Record:
    """The record with its own hash."""
    return {
        **record,
        "sha": hashlib.sha256(json.dumps(record, sort_keys=True).encode()).hexdigest(),
    }


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


@dataclass
class Head:
    """What a journal's end says: all that going on from it takes."""

    epoch: int = 0
    """The newest; 0 where there is no journal."""
    sha: str = ""
    """Of the last record."""
    seq: int = 0
    """Records so far."""
    index: list[Entry] = field(default_factory=list)
    """The checkpoints that count, oldest first."""
    totals: dict[str, Any] = field(default_factory=dict)
    """What the last snapshot says that the run has done and spent (`controller.totals`)."""
    since: list[Record] = field(default_factory=list)
    """The records after that snapshot."""
    problems: list[str] = field(default_factory=list)


def read_journal(storage: Storage) -> History:
    """All epochs, each up to where the next one took over. A damaged record ends its epoch, and is
    told.
    """
    out = History()
    for name in files(storage):
        out.epoch = int(name[:-6])
        # an epoch is read as far as it is whole: what follows a damaged line hangs on nothing
        found, problem = _records(storage.read(f"{FOLDER}/{name}"), f"{FOLDER}/{name}")
        if problem:
            out.problems.append(problem)
        if not found:
            continue
        prev, last = found[0]["prev"], len(out.records) - 1
        if (
            before := next((i for i in range(last, -1, -1) if out.records[i]["sha"] == prev), None)
        ) is not None:
            # a fenced writer has added these behind the record that the next epoch saw last: they
            # were never part of the journal
            out.cut += last - before
            del out.records[before + 1 :]
        elif found[0]["prev"] or out.records:
            out.problems.append(f"{FOLDER}/{name}: the record that it goes on from is missing.")
            out.records.clear()
        out.records += found
    return out


def files(storage: Storage) -> list[str]:
    return [n for n in storage.list(FOLDER) if n.endswith(".jsonl") and n[:-6].isdigit()]


def _records(raw: bytes, name: str) -> tuple[list[Record], str]:
    """The records of consecutive lines, up to the first that is damaged, and what is wrong with
    that one.
    """
    lines, found = raw.split(b"\n"), list[Record]()
    for number, line in enumerate(lines):
        record = _parse(line)
        if record is None:
            # half a line at the end is a writer that was killed
            if line and number < len(lines) - 1:
                return found, f"{name}: line {number + 1} is damaged; what follows it is not used."
            break
        if found and record["prev"] != found[-1]["sha"]:
            return found, f"{name}: line {number + 1} does not follow the line before it."
        found.append(record)
    return found, ""


def read_head(storage: Storage) -> Head:
    """The journal's end, back to its last snapshot. Where that is damaged, or was written before
    there were snapshots, all of it is read.
    """
    names = files(storage)
    if not names:
        return Head()
    # an epoch whose writer was killed before its first record leaves an empty file
    for name in reversed(names):
        found = _tail(storage, f"{FOLDER}/{name}")
        if found is None:
            break
        if found:
            return _head_of(found, int(names[-1][:-6]), [])
    history = read_journal(storage)
    return _head_of(history.records, history.epoch, history.problems)


def _head_of(records: Sequence[Record], epoch: int, problems: list[str]) -> Head:
    last = max((i for i, record in enumerate(records) if "index" in record), default=None)
    index, totals, since = list[Entry](), dict[str, Any](), records
    if last is not None:
        index, totals = [Entry(**e) for e in records[last]["index"]], records[last]["totals"]
        since = records[last + 1 :]
    elif found := committed(records):
        # of before there were snapshots: which were to be kept nobody knows
        index = [*(replace(e, promised=False) for e in found[:-1]), found[-1]]
    sha, seq = (str(records[-1]["sha"]), int(records[-1]["seq"]) + 1) if records else ("", 0)
    return Head(epoch, sha, seq, index, totals, list(since), problems)


def _tail(storage: Storage, name: str) -> list[Record] | None:
    """Records at a file's end, a snapshot among them; [] where it holds none at all; None where
    they cannot be had alone.
    """
    # a checkpoint costs 3 ms after 40,000 swaps as after 1,000; reading it all took .3 s (decision
    # 50)
    size = WINDOW
    while True:
        raw = storage.tail(name, size)
        whole = len(raw) < size
        # the first line of a window is cut, unless the window holds the whole file
        lines = raw if whole else raw.partition(b"\n")[2]
        found, problem = _records(lines, name)
        if problem:
            return None
        if any("index" in record for record in found) or (whole and not found):
            return found
        if whole:
            return None
        size *= 4


def _parse(line: bytes) -> Record | None:
    """A whole record, or None."""
    try:
        record = json.loads(line)
        sha = record.pop("sha")
    except (ValueError, KeyError, AttributeError, TypeError, RecursionError):
        return None
    whole = seal(record)
    return whole if whole["sha"] == sha else None


def committed(records: Sequence[Record]) -> list[Entry]:
    """The index that a whole journal adds up to; going on from an earlier checkpoint undoes those
    after it.
    """
    out: list[Entry] = []
    for record in records:
        if record["kind"] == "checkpoint":
            # older ones had no names of their own
            folder = record.get("folder", f"{record['step']:08d}")
            out = [e for e in out if e.folder != folder]
            out.append(Entry(record["step"], folder, str(record.get("manifest", ""))))
        elif record["kind"] == "resume":
            out = undo(out, record["step"], record.get("folder"))
    return out


def undo(index: Sequence[Entry], step: int, folder: str | None) -> list[Entry]:
    """What is left of an index when a run goes on from one of its checkpoints ("": from none of
    them; None: from the one of `step`, as journals say that are older than names).
    """
    if folder is None:
        return [e for e in index if e.step <= step]
    names = [e.folder for e in index]
    return list(index[: names.index(folder) + 1]) if folder in names else []
