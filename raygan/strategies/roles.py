"""What a player is to those who count, score and show players; imports nothing, so that verbs that
only look need no torch.

Whoever asks goes by a strategy's `roles(config)`, or by what run.json has kept of it, and never by
a player's name.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

PLAYER = re.compile(r"[a-z]+(-[0-9]+)?")
"""Names of players: files of checkpoints and Prometheus's labels have no others."""


def number_of(player: str) -> int:
    """The number in its name, which nobody else ever gets; PMGAN's class of a generator.

    >>> number_of("pair-03")
    3
    """
    return int(player.rpartition("-")[2])


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
    verdicts: bool = True
    """Is its D one that has learned to tell its samples from real ones?"""


Roles = Mapping[str, Role]
GLOBAL = "global"
"""SGAN's global pair (G0, D0)."""
JUDGE = "judge"
"""PMGAN's discriminator and classifier."""
MIXTURE = "mixture"
"""All generators of a run as one, each with an equal share."""


def roles_told(info: Mapping[str, Any]) -> Roles:
    """What run.json says of them; {} where it says nothing. Raises AttributeError, TypeError for
    what raygan does not write.
    """
    return {p: Role(**role) for p, role in (info.get("roles") or {}).items()}


def role_of(player: str, roles: Roles) -> Role:
    """One of which nothing is said is a pair: of older releases, or joined since."""
    return roles.get(player, Role())


def ordered(players: Iterable[str], roles: Roles) -> list[str]:
    """The main one first, the mixture last.

    >>> ordered(["mixture", "pair-00", "teacher"], {"teacher": Role(main=True)})
    ['teacher', 'pair-00', 'mixture']
    """
    return sorted(players, key=lambda p: (not role_of(p, roles).main, p == MIXTURE, p))


def with_verdicts(players: Iterable[str], roles: Roles) -> list[str]:
    """Players with a D whose verdicts mean something: the judges, and where none judges for them,
    all who have a generator and a D that has learned.

    >>> with_verdicts(["a", "j"], {"j": Role(pair=False, scored=False, judges=True)})
    ['j']
    """
    # a generator of PMGAN has copies of the judge's D: their verdicts are the judge's
    judged = any(role.judges for role in roles.values())
    seen = [(p, role_of(p, roles)) for p in players]
    return [
        p
        for p, role in seen
        if role.verdicts and (role.judges or (role.scored and not (judged and role.pair)))
    ]


def label_of(player: str, roles: Roles) -> str:
    """Its kind in a word, as gauges are labelled ("": the run itself).

    >>> label_of("gen-03", {"j": Role(pair=False, scored=False, judges=True)})
    'generator'
    >>> label_of("pair-03", {}), label_of("", {})
    ('pair', 'run')
    """
    role = role_of(player, roles)
    if player in ("", MIXTURE):
        return player or "run"
    if role.main or role.judges:
        return GLOBAL if role.main else JUDGE
    if not role.pair:
        return "other"
    return "generator" if any(r.judges for r in roles.values()) else "pair"
