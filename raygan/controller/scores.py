"""A score that fails is tried once more and then given up, whoever carries it out: watching never
stops training.
"""

from __future__ import annotations

from collections.abc import Callable

from raygan.controller.orders import Scored
from raygan.errors import error_line

TRIES = 2


def tried(score: Callable[[], Scored]) -> Scored:
    """The score, or why it is missing."""
    for attempt in range(TRIES):
        try:
            return score()
        except (
            Exception
        ) as error:  # of any metric, also one that users bring: none of them is worth a run
            why = error_line(error)
            if attempt + 1 == TRIES:
                return Scored([], missing=why)
    raise AssertionError("the last try returns")
