"""A player's round as it went: what is told with it, and recorded (`async_record`)."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Round:
    """One player's, as it went."""

    begin: int
    end: int
    beats: int
    of: tuple[str, ...] = ()
    """Shelves that it read."""
    reads: str = ""
    """Its notes (`encoded`)."""
    pack: tuple[str, ...] = ()
    """Pairs that were trained as one batched model."""
    again: bool = False
    """It was undone and repeated."""
