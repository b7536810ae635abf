"""Checkpoints on their way: parts come in player by player; one is whole once everybody who is still a member has given its own."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from raygan.controller.checkpoint import Checkpoint
from raygan.controller.orders import Save


@dataclass
class _Cut:
    """One that is not whole yet."""

    missing: set[str]
    parts: dict[str, tuple[int, bytes]] = field(default_factory=dict)
    """player -> (its step, its packed state)"""
    extra: dict[str, dict[str, Any]] = field(default_factory=dict)


class Gathering:
    """Of one attempt of a run."""

    def __init__(self) -> None:
        self.saved_step = -1
        """Of the newest that is whole."""
        self.away: dict[str, tuple[int, bytes]] = {}
        """Players that are on the way back: their step and part of the last checkpoint, which stands for them meanwhile."""
        self._cuts: dict[int, _Cut] = {}
        self._never_whole: set[int] = set()

    def asked(self, order: Save, players: Collection[str], extra: Mapping[str, Mapping[str, Any]]) -> None:
        """One of `players` will give its part. extra: key -> player -> what the checkpoint keeps of it beside."""
        cut = self._cuts.setdefault(order.step, _Cut(set(players)))
        for key, values in extra.items():
            kept = cut.extra.setdefault(key, {})
            if order.player in values:
                kept[order.player] = values[order.player]

    def lose(self, player: str) -> list[int]:
        """It will not give what it owes: the steps of the checkpoints that will never be whole."""
        lost = [step for step, cut in self._cuts.items() if player in cut.missing]
        self._never_whole.update(lost)
        return lost

    def take(self, order: Save, raw: bytes, players: Collection[str]) -> Checkpoint | None:
        """A part; the checkpoint, once it is whole. Who has left `players` meanwhile owes nothing."""
        if order.step < self.saved_step or order.step in self._never_whole:
            return None  # of somebody who was away when the others saved: a newer checkpoint is there
        cut = self._cuts[order.step]
        cut.parts[order.player] = order.at, raw
        cut.missing.discard(order.player)
        if not cut.missing.isdisjoint(players):
            return None
        del self._cuts[order.step]
        self.saved_step = order.step
        parts = {p: part for p, part in cut.parts.items() if p in players} | self.away
        return Checkpoint(
            order.step, {p: raw for p, (_, raw) in parts.items()}, {p: at for p, (at, _) in parts.items()}, cut.extra
        )
