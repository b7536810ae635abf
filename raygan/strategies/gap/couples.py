"""Who takes whose network at a meeting of all."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence

from raygan.gan.random_streams import derive_seed
from raygan.strategies.meetings import over_the_worst


def matching(players: Sequence[str], seed: int, step: int) -> list[tuple[str, str]]:
    """A random matching, a function of (seed, step); with an odd number one sits out.

    >>> len(matching(["a", "b", "c"], 0, 50))
    1
    """
    order = list(players)
    # no stream that is carried: after a resume, and on any number of processes, the same couples
    random.Random(derive_seed(seed, "matchmaker", "matching", step)).shuffle(order)
    return [(a, b) for a, b in zip(order[::2], order[1::2], strict=False)]


def takes_of(couples: Sequence[tuple[str, str]], players: Sequence[str]) -> dict[str, str]:
    """player -> whose network it takes; itself for one who sits out.

    >>> takes_of([("a", "c")], ["a", "b", "c"])
    {'a': 'c', 'b': 'b', 'c': 'a'}
    """
    takes = {p: p for p in players}
    for a, b in couples:
        takes[a], takes[b] = b, a
    return takes


def overwrite_worst(
    takes: Mapping[str, str], losses: Mapping[str, float], count: int
) -> dict[str, str]:
    """Winner-replace: whoever would take one of the `count` worst networks takes one of the best
    instead.

    >>> overwrite_worst({"a": "b", "b": "a"}, {"a": 0.1, "b": 0.9}, 1)
    {'a': 'a', 'b': 'a'}
    """
    # one without a loss (it has just joined) is taken for the worst
    ranked = sorted(takes, key=lambda p: (losses.get(p, float("inf")), p))
    better = over_the_worst(ranked, count)
    return {player: better.get(source, source) for player, source in takes.items()}
