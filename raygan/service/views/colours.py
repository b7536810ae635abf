"""Whose colour is whose: the same player has the same one in every picture, and none is told from
another by red against green.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from raygan.strategies.roles import MIXTURE, Roles, role_of

REAL, MAIN, MIXED, JUDGING, OTHER = "#8a8a8a", "#c8102e", "#00796b", "#9a6a00", "#7f5539"
PAIRS = ("#0072b2", "#8a8a3a", "#332288", "#c2699f", "#5c3c00", "#3a86ff", "#882255", "#cc6677")
"""A pair's colour is by its number: the same in every picture, with others shown or not."""


def colour(player: str, roles: Roles) -> Any:
    """A player's colour, in every picture."""
    role = role_of(player, roles)
    if player == MIXTURE:
        return MIXED
    if role.main or role.judges:
        return MAIN if role.main else JUDGING
    return shade(player, [p for p, r in roles.items() if r.pair]) if role.pair else OTHER


def shade(name: str, among: Sequence[str]) -> Any:
    """One of so many alike."""
    return PAIRS[among.index(name) % len(PAIRS)] if name in among else OTHER
