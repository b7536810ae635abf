"""The board on Ray: an actor that indexes references, and the two ends that players hold.

    pair --announce(version)--> BoardActor <--which versions?-- supervisor
      ^                             |                              ^
      '--- publications(after, upto), asked by the board ---> object store --- zero-copy ---'

A publication stays in its pair (frozen, at most `max_lead` versions) until the board pulls it by calling a method of the
pair: a RETURNED value belongs to the board, so it outlives the pair's death, and the bytes go straight from object store
to reader. The driver sees neither.
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
    """Knows who has published what, and pulls it when a reader asks. Holds references, never bytes."""

    def __init__(self) -> None:
        self._pairs: dict[str, Any] = {}
        self._versions: dict[str, int] = {}
        self._newest: dict[str, tuple[int, Any]] = {}

    def register(self, pairs: dict[str, Any]) -> None:
        """Handles of all players that publish."""
        self._pairs = pairs

    def announce(self, player: str, version: int) -> None:
        """A player's newest version."""
        self._versions[player] = max(version, self._versions.get(player, 0))

    def progress(self, players: Sequence[str]) -> dict[str, int]:
        """Newest versions; 0 where there is none."""
        return {n: self._versions.get(n, 0) for n in players}

    def between(self, players: Sequence[str], after: int, upto: int) -> dict[str, Any]:
        """One reference a player to its list of publications after < v <= upto."""
        return {n: self._pairs[n].publications.remote(after, upto) for n in players}

    def newest(self, players: Sequence[str]) -> dict[str, Any]:
        """One reference a player to a list with its newest publication; pulled once, however many readers ask."""
        out = {}
        for n in players:
            version, reference = self._newest.get(n, (0, None))
            if self._versions.get(n, 0) > version:
                version, reference = self._versions[n], self._pairs[n].newest.remote()
                self._newest[n] = version, reference
            if reference is not None:
                out[n] = reference
        return out


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
        """What the board pulls in lockstep."""
        with self._lock:
            return super().between([player], after, upto)[player]

    def held_newest(self, player: str) -> list[Publication]:
        """What the board pulls in async."""
        with self._lock:
            return list(super().newest([player]).values())


class Reader:
    """A supervisor's end: asks the board, then gets the bytes from the object store."""

    def __init__(self, board: Any) -> None:
        self._board = board

    def publish(self, publication: Publication) -> None:
        """A supervisor publishes nothing."""
        raise AssertionError("nothing may flow from the global pair to anybody")

    def forget(self, player: str, before: int) -> None:
        """Nothing is held here."""

    def between(self, players: Sequence[str], after: int, upto: int) -> dict[str, list[Publication]]:
        """Exactly these versions of each player."""
        return self._fetch(self._board.between.remote(list(players), after, upto))

    def newest(self, players: Sequence[str]) -> dict[str, Publication]:
        """The newest of each player that has published."""
        return {n: p[-1] for n, p in self._fetch(self._board.newest.remote(list(players))).items() if p}

    def progress(self, players: Sequence[str]) -> dict[str, int]:
        """Newest version numbers."""
        out: dict[str, int] = ray.get(self._board.progress.remote(list(players)), timeout=TIMEOUT_S)
        return out

    def _fetch(self, index: Any) -> dict[str, list[Publication]]:
        references: dict[str, Any] = ray.get(index, timeout=TIMEOUT_S)
        values = ray.get(list(references.values()), timeout=TIMEOUT_S)
        return dict(zip(references, values, strict=True))
