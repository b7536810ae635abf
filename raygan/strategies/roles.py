"""What a player is to those who count, score and show players; imports nothing, so that verbs that only look need no torch."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Role:
    """What a strategy says of one of its players (`StrategyComponent.roles`)."""

    pair: bool = True
    """Is it one of the `num_pairs` members, which may join and leave?"""
    scored: bool = True
    """Has it a generator, whose samples are scored?"""
    main: bool = False
    """Is its generator what the run is for?"""
    judges: bool = False
    """Are all the others' samples judged by it, in place of a D of their own?"""


GLOBAL = "global"
"""SGAN's global pair (G0, D0)."""
JUDGE = "judge"
"""PMGAN's discriminator and classifier."""
MIXTURE = "mixture"
"""All generators of a run as one, each with an equal share."""
