"""Which checkpoints of a run count: those that the journal's index names; without a journal, all
that lie there. `checkpoint.py` writes and reads them.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection
from pathlib import Path

from raygan.controller.bucket_copies import storage_of
from raygan.controller.history import Entry, file_of, read_head
from raygan.controller.journal import Journal
from raygan.controller.retention import kept_of
from raygan.controller.storage import Storage

FOLDER = "checkpoints"
NAME = re.compile(r"([0-9]{8,})(?:-([0-9]+))?(?:\.[0-9a-f]{12})?")
"""Step, its number where that was taken, and in a bucket the attempt."""


def listed(where: Path | Storage) -> tuple[list[Entry], list[str]]:
    """(all checkpoints that count, oldest first, what is wrong with the journal that says so).

    Without a journal whatever lies there counts: runs of older releases, and a journal that is
    lost, which is told.
    """
    storage = as_storage(where)
    head = read_head(storage)
    lost = [
        f"{file_of(e)}: it was there, and is gone."
        for e in [_epoch_told(storage)]
        if e > head.epoch
    ]
    return (head.index if head.epoch else by_manifest(storage)), head.problems + lost


def by_manifest(storage: Storage) -> list[Entry]:
    """Whatever lies there, for want of a journal."""
    found = sorted(
        (int(m[1]), int(m[2] or 1), m[0]) for n in storage.list(FOLDER) if (m := NAME.fullmatch(n))
    )
    return [Entry(step, name, "") for step, _, name in found]


def _epoch_told(storage: Storage) -> int:
    """The journal's epoch that run.json tells of; 0 where it tells nothing."""
    try:
        return int(json.loads(storage.read("run.json")).get("epoch") or 0)
    except (OSError, ValueError, TypeError, AttributeError):
        return 0


def open_journal(storage: Storage) -> Journal:
    """Take over a run, or begin one; where its journal is lost, the new one begins with what lies
    there. Raises StaleEpochError.
    """
    return Journal.open(storage, found=by_manifest(storage))


def list_checkpoints(where: Path | Storage) -> dict[int, Entry]:
    """{step: what the index has of it} of all that were committed and are still there,
    oldest first.
    """
    storage = as_storage(where)
    there = storage.list(FOLDER)
    out: dict[int, Entry] = {}
    for entry in listed(storage)[0]:
        if entry.folder in there:
            # of two of one step the later one counts, and stands last
            out.pop(entry.step, None)
            out[entry.step] = entry
    return out


def retain(storage: Storage, keep: int, best: Collection[int] = ()) -> list[int]:
    """Remove all but the newest `keep` that are really there, and the best; returns the steps that
    were removed.
    """
    there = storage.list(FOLDER)
    entries = [e for e in listed(storage)[0] if e.folder in there]
    kept = kept_of(entries, keep, best)
    gone = [e for e in entries if e.folder not in kept]
    for entry in gone:
        storage.remove(f"{FOLDER}/{entry.folder}")
    return [e.step for e in gone]


def as_storage(where: Path | Storage) -> Storage:
    """The storage of a run folder; a storage as it is."""
    return storage_of(where) if isinstance(where, Path) else where
