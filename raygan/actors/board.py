"""The board on Ray: an actor that knows who has published which version, and the two ends that players hold.

    pair --announce(version)--> BoardActor <--which versions?-- supervisor
      ^                                                             |
      '---- publications(after, upto) --- object store, zero-copy --'

A publication stays in its pair (frozen, at most `max_lead` versions) until a reader pulls it by calling a method of the pair:
a RETURNED value belongs to the reader, so it outlives the pair, and the bytes go from the pair's object store to the reader's.
The board and the driver never see them.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Any

import ray

from raygan.controller.inline import InlineBoard
from raygan.gan.weights import Publication

TIMEOUT_S = 120.0


class BoardActor:
    """Knows who publishes, and what the newest version of each is."""

    def __init__(self) -> None:
        self._pairs: dict[str, Any] = {}
        self._versions: dict[str, int] = {}

    def register(self, pairs: dict[str, Any]) -> None:
        """Handles of all players that publish."""
        self._pairs = pairs

    def pairs(self) -> dict[str, Any]:
        """Those handles, for readers."""
        return self._pairs

    def announce(self, player: str, version: int) -> None:
        """A player's newest version."""
        self._versions[player] = max(version, self._versions.get(player, 0))

    def progress(self, players: Sequence[str]) -> dict[str, int]:
        """Newest versions; 0 where there is none."""
        return {n: self._versions.get(n, 0) for n in players}


class Outbox(InlineBoard):
    """A pair's end: keeps its publications and announces them. Read by the actor's second thread, hence the lock."""

    def __init__(self, board: Any, keep_all: bool) -> None:
        super().__init__()
        self._board = board
        self._keep_all = keep_all
        self._lock = threading.Lock()

    def publish(self, publication: Publication) -> None:
        """Keep it and announce it, without waiting for an answer."""
        with self._lock:
            super().publish(publication)
            if not self._keep_all:
                super().forget(publication.player, publication.version)
        self._board.announce.remote(publication.player, publication.version)

    def forget(self, player: str, before: int) -> None:
        """Drop what no reader will ask for."""
        with self._lock:
            super().forget(player, before)

    def held(self, player: str, after: int, upto: int) -> list[Publication]:
        """What a reader pulls in lockstep."""
        with self._lock:
            return super().between([player], after, upto)[player]

    def held_newest(self, player: str) -> list[Publication]:
        """What a reader pulls in async."""
        with self._lock:
            return list(super().newest([player]).values())


class Reader:
    """A supervisor's end: asks the board for versions, and the pairs for bytes."""

    def __init__(self, board: Any) -> None:
        self._board = board
        self._pairs: dict[str, Any] = {}

    def publish(self, publication: Publication) -> None:
        """A supervisor publishes nothing."""
        raise AssertionError("nothing may flow from the global pair to anybody")

    def forget(self, player: str, before: int) -> None:
        """Nothing is held here."""

    def between(self, players: Sequence[str], after: int, upto: int) -> dict[str, list[Publication]]:
        """Exactly these versions of each player, pulled from all of them at once."""
        return self._get({n: self._pair(n).publications.remote(after, upto) for n in players})

    def newest(self, players: Sequence[str]) -> dict[str, Publication]:
        """The newest of each player that has published."""
        found = self._get({n: self._pair(n).newest.remote() for n in players})
        return {n: publications[-1] for n, publications in found.items() if publications}

    def progress(self, players: Sequence[str]) -> dict[str, int]:
        """Newest version numbers."""
        out: dict[str, int] = ray.get(self._board.progress.remote(list(players)), timeout=TIMEOUT_S)
        return out

    def _pair(self, name: str) -> Any:
        if not self._pairs:
            self._pairs = ray.get(self._board.pairs.remote(), timeout=TIMEOUT_S)
        return self._pairs[name]

    def _get(self, references: dict[str, Any]) -> dict[str, list[Publication]]:
        return dict(zip(references, ray.get(list(references.values()), timeout=TIMEOUT_S), strict=True))
