"""The journal's writer: one at a time, of one epoch. What its records are,
and how they are read, is in history.py.

Whoever makes the file of the next epoch first (exclusive create: the storage decides, no name
server does) is the writer from then on. An older writer that is still alive, behind a partition
say, can only add to its own epoch's file; what it adds after the new epoch was opened is behind the
new one's `prev` and is not part of the journal. It notices before its next write, raises
StaleEpochError and ends (decision 19).
"""

from __future__ import annotations

import contextlib
import json
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import Any

from raygan.controller.history import Entry, Head, Record, file_of, read_head, seal
from raygan.controller.history import files as files_of
from raygan.controller.storage import Landed, Storage
from raygan.controller.totals import absorb
from raygan.errors import StaleEpochError


class Journal:
    """The writer of one epoch."""

    def __init__(
        self, storage: Storage, head: Head, epoch: int, clock: Callable[[], float]
    ) -> None:
        self.storage = storage
        self.epoch = epoch
        self.head = head.sha
        self.seq = head.seq
        self.index = head.index
        self.totals = absorb(head.totals, head.since)
        """Goes with each snapshot; kept up to date by the controller."""
        self.clock = clock
        self._looked = -math.inf

    @classmethod
    def open(
        cls,
        storage: Storage,
        clock: Callable[[], float] = time.time,  # noqa: TID251  shown only
        after: int | None = None,
        found: Sequence[Entry] = (),
    ) -> Journal:
        """Take the next epoch. `after`: only if that is still the newest one. `found`: the index
        where there is no journal.

        Raises StaleEpochError when somebody else has just taken it.
        """
        names = files_of(storage)
        newest = int(names[-1][:-6]) if names else 0
        if after is not None and newest != after:
            raise StaleEpochError(after, newest)
        try:
            # exclusive: of two that take over at once one makes it
            storage.create(file_of(newest + 1))
        except FileExistsError:
            raise StaleEpochError(newest, newest + 1) from None
        # only now: what the writer before us adds after our file is there does not count
        head = read_head(storage)
        journal = cls(storage, head if newest else Head(index=list(found)), newest + 1, clock)
        journal.snapshot("open")
        return journal

    def fence(self) -> None:
        """Raises StaleEpochError when a newer writer has opened the run."""
        if self.storage.exists(file_of(self.epoch + 1)):
            raise StaleEpochError(self.epoch, self.epoch + 1)

    def glance(self) -> None:
        """`fence` for those whom it only saves work, at the storage's pace: a look may cost."""
        now = time.monotonic()
        # in a bucket each look is a request, and rows come by the hundred
        if now - self._looked >= self.storage.look_s:
            with contextlib.suppress(OSError):  # a store that is away tells nothing: a commit will
                self.fence()
            self._looked = now

    def append(self, kind: str, **facts: Any) -> Record:
        """Commit a record: it is on disk when this returns. Raises StaleEpochError, OSError (then
        nothing was committed).
        """
        self.fence()
        try:
            return self._append(kind, facts)
        except Landed as late:
            # a lost reply: what had failed is the journal's last record
            self._count(json.loads(late.raw))
            return self._append(kind, facts)

    def _append(self, kind: str, facts: Record) -> Record:
        base = {
            "seq": self.seq,
            "epoch": self.epoch,
            "kind": kind,
            "time": round(self.clock(), 3),
            "prev": self.head,
        }
        record = seal({**base, **facts})
        line = json.dumps(record, sort_keys=True).encode() + b"\n"
        self.storage.append(file_of(self.epoch), line)
        self._count(record)
        return record

    def _count(self, record: Record) -> None:
        self.head, self.seq = str(record["sha"]), self.seq + 1

    def snapshot(self, kind: str, index: list[Entry] | None = None, **facts: Any) -> None:
        """Commit a record from which the run can go on, with another index where one is given.
        Raises as `append`.
        """
        index = self.index if index is None else index
        self.append(kind, index=[asdict(entry) for entry in index], totals=self.totals, **facts)
        self.index = index

    def next(self) -> Journal:
        """The same writer's next epoch, after a death: what still runs of the old one is fenced
        off.
        """
        return Journal.open(self.storage, self.clock, after=self.epoch)
