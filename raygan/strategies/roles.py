"""What a player is to those who count, score and show players; imports nothing of ours: who only looks needs no torch."""

import re
from dataclasses import dataclass

PLAYER = re.compile(r"[a-z]+(-[0-9]+)?")
"""Names of players: files of checkpoints and Prometheus's labels have no others."""


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
