"""Looks at what comes back from players and evaluators, and names what goes wrong (docs/warnings
has a page for each).

W101 collapsed-generator       a generator's samples lie close together, or near few held-out points
                               (not so few where D says so too), at two evaluations in a row
W103 saturated-discriminator   D tells real from fake without a mistake for a while: G gets no
                               gradient
W110 site-left-out             a federated site's words did not count for a while: not finite, far
                               from the others', or no gradients of its own logits
W104 same-modes                two members sit on the same few modes, at two evaluations in a row
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence

from raygan.controller.orders import Scored

COLLAPSED = 0.1
"""Spread below which a generator has collapsed; in units of the data's."""
FEW = 0.4
"""Share of the held-out points near its samples, below which it has."""
NOT_SO_MANY = 0.7
"""The same, where D says so too."""
MISSED = 0.5
"""Share of the held-out samples that D takes for more real than all of a batch of G's, above which
it says so.
"""
SATURATED = 0.995
"""Accuracy of D."""
PATIENCE = 3
"""Rows in a row."""
STEPS_KEPT = 16
"""Steps of which a member's score may still come."""
ALIKE = 0.95
"""Cosine of two members' shares at the modes."""


class Watchdog:
    """Remembers just enough to tell."""

    def __init__(self, members: Sequence[str], one_mode_each: bool) -> None:
        self.members = members
        self.one_mode_each = one_mode_each
        self.saturated: dict[str, int] = {}
        self.occupied: dict[int, dict[str, list[float]]] = {}
        self.narrow: set[str] = set()
        self.missed: dict[str, float] = {}
        """What each player's D said last (`d_missed`)."""
        self.doubted: set[str] = set()
        """Sites that were told of."""
        self.alike: set[tuple[str, str]] = set()

    def trained(
        self, player: str, step: int, report: Mapping[str, float]
    ) -> Iterator[tuple[str, str]]:
        """(name, text) of what a player's row shows."""
        yield from self._doubted(player, step, report)
        if "d_missed" in report:
            self.missed[player] = report["d_missed"]
        if "d_accuracy" not in report:  # a critic's D is neither right nor wrong
            return
        self.saturated[player] = (
            self.saturated.get(player, 0) + 1 if report["d_accuracy"] >= SATURATED else 0
        )
        if self.saturated[player] == PATIENCE:
            yield (
                "W103 saturated-discriminator",
                (
                    f"{player}: D is right on {report['d_accuracy']:.1%} of a batch for {PATIENCE}"
                    f" rows, step {step}"
                ),
            )

    def _doubted(
        self, player: str, step: int, report: Mapping[str, float]
    ) -> Iterator[tuple[str, str]]:
        """Whose words a federated run's centre has left out, once each."""
        for key in report:
            kind, _, site = key.partition("/")
            if kind == "left_out" and report[key] > 0 and site not in self.doubted:
                self.doubted.add(site)
                yield (
                    "W110 site-left-out",
                    (
                        f"{site}: its words were left out by {player} before step {step}: not"
                        " finite, far larger than the others', or no gradients of its own logits"
                    ),
                )

    def scored(self, player: str, step: int, scored: Scored) -> Iterator[tuple[str, str]]:
        """(name, text) of what a generator's samples show; of a global one, that it collapsed."""
        if (found := collapse(scored, self.missed.get(player, 0.0))) and not self.one_mode_each:
            # twice in a row: an untrained generator is narrow too
            if player in self.narrow:
                yield "W101 collapsed-generator", f"{player}: {found}, step {step}"
            self.narrow.add(player)
        else:
            self.narrow.discard(player)
        if not scored.occupied or player not in self.members:
            return
        here = self.occupied.setdefault(step, {})
        here[player] = scored.occupied
        # of a step at which a score is missing, nobody will come to complete it
        for old in sorted(self.occupied)[:-STEPS_KEPT]:
            del self.occupied[old]
        if len(here) == len(self.members):
            del self.occupied[step]
            if len(self.members) <= len(scored.occupied) or not self.one_mode_each:
                yield from self._same(step, here)

    def _same(self, step: int, here: Mapping[str, list[float]]) -> Iterator[tuple[str, str]]:
        """Pairs of members that both cover at most half of the modes, and the same ones."""
        few = {p: v for p, v in here.items() if 0 < sum(x > 0.02 for x in v) <= len(v) / 2}
        now = {(a, b) for a in few for b in few if a < b and cosine(few[a], few[b]) > ALIKE}
        # twice in a row, too
        for a, b in sorted(now & self.alike):
            yield "W104 same-modes", f"{a} and {b} sit on the same modes, step {step}"
        self.alike = now


def collapse(scored: Scored, missed: float = 0.0) -> str:
    """In what a generator has collapsed; "" for one that has not. `missed`: `d_missed`."""
    if scored.spread < COLLAPSED:
        return f"its samples spread {scored.spread:.1%} of the data's"
    near = f"its samples come near {scored.near:.0%} of the held-out data only"
    if scored.near < NOT_SO_MANY and missed > MISSED:
        return f"{near}, and D takes {missed:.0%} of it for more real than any of them"
    return near if scored.near < FEW else ""


def cosine(a: Sequence[float], b: Sequence[float]) -> float:
    """
    >>> cosine([1, 0], [1, 0]), cosine([1, 0], [0, 2])
    (1.0, 0.0)
    """
    return sum(x * y for x, y in zip(a, b, strict=True)) / (math.hypot(*a) * math.hypot(*b))
