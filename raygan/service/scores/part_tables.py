"""Coverage of each part and of each class, as text: from an evaluation, or as the run's last scores
have told it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from raygan.data.record import printable
from raygan.metrics.by_part import least_covered
from raygan.service.views.tables import text_table

COVERED = "by part: share of its held-out samples that have a generated one near (coverage)"
BY_CLASS = "by class: the same of each class; held out: its samples"
Counts = Mapping[str, Mapping[str, Sequence[int]]]
"""Part -> class -> (held-out samples, covered ones)."""


def part_table(shares: Mapping[str, Mapping[str, float]]) -> list[str]:
    """A row a part, a column a generator: the share of its held-out samples that are covered."""
    players, parts = list(shares), list(dict.fromkeys(p for of in shares.values() for p in of))
    rows = [[part, *(cell(shares[p].get(part)) for p in players)] for part in parts]
    return ["", text_table(["part", *players], rows), COVERED] if parts else []


def reach_table(classes: Mapping[str, Counts], made: Sequence[str]) -> list[str]:
    """A row a class of a part, a column a generator, and what is covered least by those that are
    `made`; [] where nobody knows classes.
    """
    players, held = list(classes), dict[tuple[str, str], int]()
    for counts in classes.values():
        for part, of in counts.items():
            held |= {(part, name): numbers[0] for name, numbers in of.items()}
    if not held:
        return []

    def share(player: str, part: str, name: str) -> str:
        numbers = classes[player].get(part, {}).get(name)
        return cell(numbers[1] / numbers[0] if numbers else None)

    rows = [
        [part, printable(name), f"{n:,}", *(share(p, part, name) for p in players)]
        for (part, name), n in held.items()
    ]
    told = [line for player in made if (line := worst_line(player, classes[player]))]
    return ["", text_table(["part", "class", "held out", *players], rows), BY_CLASS, *told]


def worst_line(player: str, counts: Counts) -> str:
    """
    >>> worst_line("global", {"pair-00": {"cat": (6, 5), "dog": (4, 1)}})
    'least covered by global: class dog of pair-00, 1 of 4 held-out samples'
    """
    if (worst := least_covered(counts)) is None or worst.covered == worst.held_out:
        return ""
    return (
        f"least covered by {player}: class {printable(worst.name)} of {worst.part},"
        f" {worst.covered:,} of {worst.held_out:,} held-out samples"
    )


def cell(share: float | None) -> str:
    """
    >>> cell(0.5), cell(None)
    ('0.500', '')
    """
    return "" if share is None else f"{share:.3f}"


def told_by(events: Mapping[str, Mapping[str, Any]], who: Sequence[str]) -> list[str]:
    """Whose part's class is covered least, as the last scores of these have told."""
    shown = [(p, events[p]["classes"]) for p in dict.fromkeys(who) if p in events]
    return list(filter(None, (worst_line(*one) for one in shown)))


def last_tables(events: Mapping[str, Mapping[str, Any]], who: Sequence[str]) -> list[str]:
    """Both tables of these generators' last scores."""
    shown = {p: events[p] for p in dict.fromkeys(who) if p in events}
    return [
        *part_table({p: told["coverage"] for p, told in shown.items()}),
        *reach_table({p: told["classes"] for p, told in shown.items()}, list(shown)),
    ]
