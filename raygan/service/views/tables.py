"""Numbers and tables as text, the lives of a run, and what to do about a warning; imports nothing
of ours.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

REMEDIES = {
    "W101": "raise num_pairs, use a loss with a gradient penalty, or lower pair.lr_g",
    "W103": "lower pair.lr_d, raise pair.input_noise, or set pair.feature_matching",
    "W104": "raise strategy.diversity (pmgan), or lower num_pairs",
    "W105": "lower strategy.swap_every (population: exploit_every; fedavg: every), or raise steps",
    "W106": "lower pair.lr_g and pair.lr_d, or set pair.clip_grad_d",
    "W102": "lower pair.lr_g and pair.lr_d, or set pair.clip_grad_d",
    "W107": "set resources.pairs_per_actor to 1",
    "W108": "look at the data file; leave out what does not vary, and copies",
    "W120": "lower strategy.max_lag and max_ahead",
    "W121": "lower max_ahead",
    "W122": "raise strategy.max_wait, or lower max_ahead",
    "W109": (
        "nothing, or stretch the schedule: raygan train --resume RUN --steps N"
        " --pair.schedule.steps N"
    ),
    "W110": "look at that site's data and process; without it the others' shares count for more",
    "W111": "use strategy federated with combine odds, or data.partition shards",
    "W201": "see events.jsonl for the cause",
    "W203": "make room on the disk, or see to the mount",
    "W206": "nothing, or resume where the run was begun (--strict refuses)",
    "W202": "the run went on from an older one",
    "W207": (
        "`raygan evaluate RUN` scores the last checkpoint; a metric failed, or took too much memory"
    ),
    "W209": "mend your metric; the run and its other scores are whole",
    "W210": "mend your listener; the run is whole",
    "W211": "see to the tracker; what it lacks is in the run folder",
    "W208": "nothing to do: a machine gave notice, its players go on elsewhere",
}


def fate(name: str) -> str:
    """What to do about a named warning."""
    number = name.partition(" ")[0]
    return f"{REMEDIES.get(number, 'see events.jsonl')} (docs/warnings/{number}.md)"


def waiting_line(info: Mapping[str, Any]) -> str:
    """Who waited longest for slower ones (async); "" where nobody did.

    >>> waiting_line({"waited_seconds": {"gen-00": 3.0, "judge": 1.2}})
    'waiting 4 s for slower players; most: gen-00 (3 s)'
    """
    waited = info.get("waited_seconds") or {}
    if not (total := sum(waited.values())) >= 0.5:
        return ""
    most = max(waited, key=lambda p: waited[p])
    return f"waiting {total:.0f} s for slower players; most: {most} ({waited[most]:.0f} s)"


def format_number(value: object) -> str:
    """Four significant digits at most.

    >>> format_number(8.0), format_number(0.0123456), format_number(None)
    ('8', '0.01235', '')
    """
    if isinstance(value, int | float):
        return f"{value:.4g}"
    return "" if value is None else str(value)


def lives(info: Mapping[str, Any]) -> list[list[str]]:
    """A row for each life of a run that was gone on with, under LIFE; [] for one that had one life
    only.
    """
    found = info.get("lives")
    if not isinstance(found, list) or len(found) < 2:
        return []
    return [
        [str(number), *_life(one)]
        for number, one in enumerate(found, 1)
        if isinstance(one, Mapping)
    ]


LIFE = ("life", "begun", "from step", "after", "raygan", "torch", "commit", "machine")


def _life(one: Mapping[str, Any]) -> list[str]:
    when, after, versions = one.get("when"), one.get("after") or {}, one.get("versions") or {}
    begun = (
        time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(when))
        if isinstance(when, int | float)
        else ""
    )
    elapsed = after.get("elapsed")
    ended = (
        f"{after.get('status')}{'' if elapsed is None else f', {elapsed:.0f} s in all'}"
        if after
        else ""
    )
    machine = one.get("machine") or {}
    return [
        begun, str(one.get("step", 0)), ended, str(versions.get("raygan", "")),
        str(versions.get("torch", "")), str(one.get("git") or "")[:7],
        f"{machine.get('cpus', '')} CPUs, {machine.get('processor', '')}" if machine else "",
    ]  # fmt: skip


def text_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Columns padded with spaces, the first to the left."""
    widths = [max(len(r[i]) for r in [header, *rows]) for i in range(len(header))]
    lines = []
    for row in [header, *rows]:
        first = row[0].ljust(widths[0])
        lines.append(
            "  ".join(
                [first, *(c.rjust(w) for c, w in zip(row[1:], widths[1:], strict=True))]
            ).rstrip()
        )
    return "\n".join(lines)
