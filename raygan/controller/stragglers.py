"""Names what uneven machines do to an asynchronous run (docs/warnings has a page for each).

W120 judge-starved   the judge has made less than half as many updates as a generator has steps
W121 far-ahead       a player is more than FAR steps ahead of another one
W122 idle-member     a member of which the others have taken nothing by the end
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

FAR = 200
"""Steps: four times what `max_ahead` allows unless it is set."""


class Uneven:
    """Of one attempt; each is told once. In lockstep none of these can be."""

    def __init__(self) -> None:
        self.told: set[str] = set()

    def trained(
        self, done: Mapping[str, int], credit: Mapping[str, int], judge: tuple[str, float] | None
    ) -> Iterator[tuple[str, str]]:
        """(name, text) of where all stand; credit: steps that joiners were behind as they came;
        judge: its name and its updates.
        """
        # a joiner lacks the steps before it came, and is not behind for that
        at = {p: s + credit.get(p, 0) for p, s in done.items() if judge is None or p != judge[0]}
        if not at:
            return
        first, last = max(at, key=lambda p: at[p]), min(at, key=lambda p: at[p])
        if (ahead := at[first] - at[last]) > FAR and self._first("W121"):
            yield (
                "W121 far-ahead",
                f"{first} is {ahead} steps ahead of {last}, step {at[first]}. Lower max_ahead",
            )
        starved = judge is not None and at[first] - judge[1] > max(FAR, at[first] / 2)
        if judge is not None and starved and self._first("W120"):
            yield (
                "W120 judge-starved",
                f"{judge[0]} has made {judge[1]:.0f} updates while {first} made {at[first]} steps."
                " Lower strategy.max_lag",
            )

    def _first(self, name: str) -> bool:
        first = name not in self.told
        self.told.add(name)
        return first


def idle_members(
    members: Sequence[str], swapped: Mapping[str, int], missed: int, unmet: float
) -> Iterator[tuple[str, str]]:
    """At the end. swapped: each member's last swap; missed: swaps for which nobody was ready;
    unmet: members of which the main player has no copy.
    """
    for player in members if missed else ():
        if not swapped.get(player):
            text = f"{player} has met nobody to swap with; raise strategy.max_wait"
            yield "W122 idle-member", text
    if unmet:
        text = f"{unmet:.0f} of {len(members)} members came too late for the main player to copy"
        yield "W122 idle-member", f"{text}; lower max_ahead"
