"""Where in events.jsonl a record of the journal belongs: the journal's order counts, and no clock,
which may have been set back between two lines.

records ──┐ each is found by its facts; of several alike those that were written at one time
events  ──┴─> what is missing stands behind the event of a record before it, before that of a later
              one, and between these two by its time
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from raygan.service.runs.holding import BACK

Row = Mapping[str, Any]


def woven(events: Sequence[Row], records: Sequence[Row], kinds: Sequence[str]) -> list[Row]:
    """The events in the order that they have, and between them the records of these kinds that
    have none, as they are.
    """
    at = _found(events, records)
    later, latest = [len(events)], len(events)
    # from the end: the first event that must stand behind each record
    for i in reversed(range(len(records))):
        latest = min(latest, at.get(i, latest))
        later.append(latest)
    later.reverse()
    before, place = defaultdict[int, list[Row]](list), 0
    for i, record in enumerate(records):
        if i in at:
            place = max(place, at[i] + 1)
        elif record["kind"] in kinds:
            # a clock may have been set back: times decide within these bounds only
            while place < later[i] and float(events[place]["time"]) <= float(record["time"]):
                place += 1
            before[place].append(record)
    out = list[Row]()
    for place, event in enumerate(events):
        out += [*before[place], event]
    return out + before[len(events)]


def _found(events: Sequence[Row], records: Sequence[Row]) -> dict[int, int]:
    """record -> its event, by their places."""
    told, known = _by_facts(events), _by_facts(records)
    return {
        i: place
        for facts, mine in known.items()
        for i, place in _paired(mine, told.get(facts, []), records, events)
    }


def _by_facts(rows: Iterable[Row]) -> dict[str, list[int]]:
    out = defaultdict[str, list[int]](list)
    for i, row in enumerate(rows):
        out[facts_of(row)].append(i)
    return dict(out)


def facts_of(row: Row) -> str:
    """What a record and its event have in common, and no other but those that repeat it."""
    kind = str(row["kind"])
    if kind in BACK:  # the journal calls both by one name
        return json.dumps(["back", row["step"], row.get("swapped")], sort_keys=True)
    named = {"swap": "moves", "checkpoint": "name" if "name" in row else "folder"}
    return json.dumps([kind, row.get("step"), row.get(named.get(kind, "player"))], sort_keys=True)


def _paired(
    mine: Sequence[int], there: Sequence[int], records: Sequence[Row], events: Sequence[Row]
) -> Iterable[tuple[int, int]]:
    """In order; where some have no event, each event is of the record that was written with it."""
    begin = 0
    for n, place in enumerate(there[: len(mine)]):
        end = len(mine) - (min(len(there), len(mine)) - n - 1)
        time = float(events[place]["time"])
        best = min(range(begin, end), key=lambda i: abs(float(records[mine[i]]["time"]) - time))
        yield mine[best], place
        begin = best + 1
