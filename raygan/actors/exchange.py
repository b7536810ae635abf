"""What each player holds of the board (see board.py): its own publications, and the way to those of others.

A publication stays in its pair (frozen, at most `max_lead` versions) until a reader pulls it by calling a method of the pair:
a RETURNED value belongs to the reader, so it outlives the pair, and the bytes go from the pair's object store to the reader's.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from typing import Any

import ray
from ray.exceptions import RayActorError

from raygan.controller.inline import InlineBoard
from raygan.errors import StaleEpochError
from raygan.gan.weights import Publication

TIMEOUT_S = 120.0


class Exchange(InlineBoard):
    """A player's two ends: it keeps what it publishes and announces it, and pulls what others have published.

    What it keeps is read by the actor's second thread, hence the lock.
    """

    def __init__(self, board: Any, keep_all: bool, epoch: int = 0) -> None:
        super().__init__()
        self._board = board
        self._epoch = self._newest_epoch = epoch
        self._keep_all = keep_all
        self._lock = threading.Lock()
        self._players: dict[str, Any] = {}
        self._asked: dict[str, Any] = {}

    def close(self, epoch: int) -> None:
        """A newer attempt has begun."""
        self._newest_epoch = max(epoch, self._newest_epoch)

    def check(self, epoch: int | None = None) -> None:
        """Raises StaleEpochError when this, or a call of `epoch`, belongs to an attempt that is over."""
        if self._newest_epoch != self._epoch or (epoch is not None and epoch != self._epoch):
            raise StaleEpochError(self._epoch if epoch is None else epoch, max(self._newest_epoch, self._epoch))

    # ------------------------------------------------------------------------------------------ what is kept here

    def publish(self, publication: Publication) -> None:
        """Keep it, in the place of the one before where no reader asks for old ones; announce it without waiting."""
        self.check()
        with self._lock:
            super().publish(publication)
            if not self._keep_all:
                super().forget(publication.player, publication.version)
        self._board.announce.remote(publication.player, publication.version, self._epoch)

    def forget(self, player: str, before: int) -> None:
        """Drop what no reader will ask for."""
        with self._lock:
            super().forget(player, before)

    def held(self, shelf: str, after: int, upto: int) -> list[Publication]:
        """What a reader pulls in lockstep."""
        with self._lock:
            return super().between([shelf], after, upto)[shelf]

    def held_newest(self, shelf: str, after: int = -1) -> list[Publication]:
        """What a reader pulls in async; nothing when it is not newer than version `after`."""
        with self._lock:
            return [p for p in super().newest([shelf]).values() if p.version > after]

    # ---------------------------------------------------------------------------------------- what others have kept

    def between(self, players: Sequence[str], after: int, upto: int) -> dict[str, list[Publication]]:
        """Exactly these versions of each shelf, pulled from all of them at once."""
        self.check()
        return self._get({n: self._owner(n).publications.remote(n, after, upto) for n in players})

    def newest(self, players: Sequence[str]) -> dict[str, Publication]:
        """The newest of each shelf that has one."""
        self.check()
        asked = {n: owner.newest.remote(n) for n in players if (owner := self._owner(n)) is not None}
        found = {n: self._try(n, reference) for n, reference in asked.items()}
        return {n: publications[-1] for n, publications in found.items() if publications}

    def peek(self, players: Sequence[str], have: Mapping[str, int]) -> dict[str, Publication]:
        """What has arrived by now; asks again for what has not, and never waits."""
        self.check()
        out: dict[str, Publication] = {}
        here, _ = (
            ray.wait(list(self._asked.values()), num_returns=len(self._asked), timeout=0) if self._asked else ([], [])
        )
        for name in players:
            reference = self._asked.get(name)
            if reference in here:
                found = self._try(name, reference)
                if found and found[-1].version > have.get(name, -1):
                    out[name] = found[-1]
                reference = None
            if reference is None:
                after = out[name].version if name in out else have.get(name, -1)
                if (owner := self._owner(name)) is not None:
                    self._asked[name] = owner.newest.remote(name, after)
                else:
                    self._asked.pop(name, None)
        return out

    def progress(self, players: Sequence[str]) -> dict[str, int]:
        """Newest version numbers."""
        out: dict[str, int] = ray.get(self._board.progress.remote(list(players)), timeout=TIMEOUT_S)
        return out

    def _owner(self, shelf: str) -> Any:
        """Its actor; None where nobody of that name is there at the moment (async: it died, and may come back)."""
        name = shelf.partition("/")[0]
        if name not in self._players:
            self._players = ray.get(self._board.players.remote(), timeout=TIMEOUT_S)
        return self._players.get(name)

    def _try(self, shelf: str, reference: Any) -> list[Publication]:
        """What came; nothing from an actor that is dead."""
        try:
            found: list[Publication] = ray.get(reference, timeout=TIMEOUT_S)
        except RayActorError:
            self._players.pop(shelf.partition("/")[0], None)
            return []
        return found

    def _get(self, references: dict[str, Any]) -> dict[str, list[Publication]]:
        return dict(zip(references, ray.get(list(references.values()), timeout=TIMEOUT_S), strict=True))
