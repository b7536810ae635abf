"""`raygan runs --repair RUN`: events.jsonl is a view; what the journal has committed and it lacks
is written into it again.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from raygan.controller.bucket_copies import address_of, shown, storage_of, typed
from raygan.controller.files import say, write_within
from raygan.controller.history import read_journal
from raygan.controller.jsonl import Lines, told_by_a_run
from raygan.errors import CheckpointError, ConfigError
from raygan.service.runs.event_order import facts_of, woven
from raygan.service.runs.run import Run
from raygan.service.runs.summary import Keeper

KINDS = ("origin", "swap", "join", "revive", "leave", "retire")
"""Records that have an event of the same kind with the same facts."""
SEALED = ("seq", "epoch", "prev", "sha", "index", "totals")
"""What a record has beside its facts."""


def missing(run: Run, records: Sequence[Mapping[str, Any]]) -> Counter[str]:
    """kind -> how many of the journal's records have no event."""
    return Counter(str(r["kind"]) for r in _without_event(run, records))


def _without_event(run: Run, records: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    wanted = [r for r in records if r["kind"] in KINDS]
    # One by one: there may be millions.
    events = Lines(run.path / "events.jsonl", told_by_a_run).fresh() if wanted else ()
    there = Counter(_key(e) for e in events if e["kind"] in KINDS)
    out = []
    # Counted, not looked up: the same swap may be repeated after a resume, and then has two
    # events.
    for record in wanted:
        if there[key := _key(record)]:
            there[key] -= 1
        else:
            out.append(record)
    return out


def _key(row: Mapping[str, Any]) -> bytes:
    """The facts by which a record and its event are known as one, in 16 bytes."""
    # 16 bytes an event: a long run has millions, whose texts would not fit into memory.
    return hashlib.blake2b(facts_of(row).encode(), digest_size=16).digest()


def repair(run: Run) -> Counter[str]:
    """Write the events that are missing, by their records and in the journal's order; what was
    written, by kind.

    Raises CheckpointError where the journal itself is damaged, ConfigError for a folder that can
    only be read.
    """
    history = read_journal(storage_of(run.path))
    if history.problems:
        raise CheckpointError(
            f"run {shown(run.path)!r}: {history.problems[0]} Its events cannot be made again from"
            " that."
        )
    lost = _without_event(run, history.records)
    if lost and address_of(run.path):
        raise ConfigError(
            f"run {shown(run.path)!r}: events cannot be written again in a bucket. First `raygan"
            f" fetch {typed(run.path)} --to FOLDER`."
        )
    if lost:
        rows = [_as_event(row) for row in woven(run.events, history.records, KINDS)]
        try:
            write_within(
                run.path, "events.jsonl", "".join(json.dumps(row) + "\n" for row in rows).encode()
            )
            Keeper(run.path).write()  # the index was of the events before
        except OSError as error:
            raise ConfigError(
                f"run {shown(run.path)!r}: events.jsonl cannot be written ({say(error)})."
            ) from None
    return Counter(str(r["kind"]) for r in lost)


def _as_event(row: Mapping[str, Any]) -> dict[str, Any]:
    """An event as it is; a record without what only the journal has."""
    if "sha" not in row:
        return dict(row)
    first = {"time": row["time"], "step": row["step"], "kind": row["kind"]}
    return first | {k: v for k, v in row.items() if k not in SEALED}
