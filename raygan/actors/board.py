"""The board on Ray: an actor that knows who has published which version. It never sees their bytes,
and imports no PyTorch.

    pair --announce(version)--> BoardActor <--which versions?-- global pair
      ^                                                             |
      '---- publications(after, upto) --- object store, zero-copy --'

A shelf is a player's name, or `gen-03/slot` for PMGAN's slots: one frozen object, which the next
one replaces as a whole.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from raygan.actors.process import Helper
from raygan.errors import StaleEpochError


class BoardActor(Helper):
    """Knows who publishes, and what the newest version of each shelf is."""

    def __init__(self) -> None:
        super().__init__()
        self._players: dict[str, Any] = {}
        self._versions: dict[str, int] = {}
        self._epoch = 0

    def begin(self, epoch: int) -> None:
        """Another attempt: nobody has published anything yet."""
        self._epoch = epoch
        self._versions.clear()

    def register(self, players: dict[str, Any]) -> None:
        """Handles of all players that publish."""
        self._players = players

    def players(self) -> dict[str, Any]:
        """The handles of all players that publish, for those who read them."""
        return self._players

    def announce(self, player: str, version: int, epoch: int) -> None:
        """A player's newest version. Raises StaleEpochError when it is of an earlier attempt."""
        # announcements are sent without waiting: one of the attempt before may come after `begin`
        if epoch != self._epoch:
            raise StaleEpochError(epoch, self._epoch)
        # a version never goes back: readers count on it
        self._versions[player] = max(version, self._versions.get(player, 0))

    def progress(self, players: Sequence[str]) -> dict[str, int]:
        """Newest versions; 0 where there is none."""
        return {n: self._versions.get(n, 0) for n in players}
