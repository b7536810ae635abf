"""What each player holds of the board (see board.py): its own publications, and the way to those of
others.

A publication stays in its pair (frozen, at most `max_lead` versions) until a reader pulls it by
calling a method of the pair: a RETURNED value belongs to the reader, so it outlives the pair, and
the bytes go from the pair's object store to the reader's.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping, Sequence
from typing import Any

import ray
from ray.exceptions import RayActorError

from raygan.actors.process import answer, answers, by_actor
from raygan.controller.worker import Shelves
from raygan.errors import StaleEpochError
from raygan.gan.weights import Publication

ASK_S = 2.0
"""Seconds that a question for something newer stays open at its owner; then it is asked again. A
reader that has died holds the owner's thread no longer than that.
"""
GONE_S = 0.02
"""Seconds until an owner that was found dead is asked for again."""


class LockedShelves:
    """What an actor keeps for its readers: shelves behind a lock, since they are read by the
    actor's other threads while one trains; each publication wakes those who wait for it.
    """

    def __init__(self) -> None:
        self._shelves = Shelves()
        self._changed = threading.Condition()
        self._closed = False

    def publish(self, publication: Publication, alone: bool) -> None:
        """Keep it; `alone`: in the place of the one before, where no reader asks for old ones."""
        with self._changed:
            self._shelves.publish(publication)
            if alone:
                self._shelves.forget(publication.player, publication.version)
            self._changed.notify_all()

    def forget(self, player: str, before: int) -> None:
        """Drop what no reader will ask for."""
        with self._changed:
            self._shelves.forget(player, before)

    def between(
        self, shelves: Sequence[str], after: int, upto: int
    ) -> dict[str, list[Publication]]:
        """What a reader pulls in lockstep."""
        with self._changed:
            return self._shelves.between(shelves, after, upto)

    def newest(self, shelves: Sequence[str]) -> dict[str, Publication]:
        """What a reader pulls in async."""
        with self._changed:
            return self._shelves.newest(shelves)

    def next(self, shelf: str, after: int) -> list[Publication]:
        """What is newer than version `after`, as soon as there is something: a question that stays
        open, at most ASK_S, and costs nothing meanwhile (decision 38).
        """
        with self._changed:
            self._changed.wait_for(lambda: self._closed or self._newer(shelf, after), ASK_S)
            return self._newer(shelf, after)

    def _newer(self, shelf: str, after: int) -> list[Publication]:
        return [p for p in self._shelves.newest([shelf]).values() if p.version > after]

    def close(self) -> None:
        """Nothing more is to come: whoever waits is answered with what there is."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()


class Exchange:
    """A player's board on Ray: what it publishes it keeps and announces, what others have published
    it pulls from their actors.
    """

    def __init__(self, board: Any, keep_all: bool, epoch: int = 0) -> None:
        self.kept = LockedShelves()
        self._board = board
        self._epoch = self._newest_epoch = epoch
        self._keep_all = keep_all
        self._players: dict[str, Any] = {}
        """Actors of those that publish, as the board knew them last."""
        self._asked: dict[str, Any] = {}
        """Shelf -> the question that is open at its owner."""

    def close(self, epoch: int) -> None:
        """A newer attempt may have begun."""
        self._newest_epoch = max(epoch, self._newest_epoch)
        if self._newest_epoch != self._epoch:
            self.kept.close()

    def check(self, epoch: int | None = None) -> None:
        """Raises StaleEpochError when this, or a call of `epoch`, belongs to an attempt that is
        over.
        """
        if self._newest_epoch != self._epoch or (epoch is not None and epoch != self._epoch):
            raise StaleEpochError(
                self._epoch if epoch is None else epoch, max(self._newest_epoch, self._epoch)
            )

    # ------------------------------------------------------------------------------ what is its own

    def publish(self, publication: Publication) -> None:
        """Keep it, in the place of the one before where no reader asks for old ones. Those that a
        reader counts (async; not the slots, which are asked for) are announced, without waiting.
        """
        # what still trains for an attempt that is over ends here, at its next look at the board
        self.check()
        self.kept.publish(publication, alone=not self._keep_all)
        # the epoch goes along, since the call may come after the next attempt's `begin`
        if not self._keep_all and "/" not in publication.player:
            self._board.announce.remote(publication.player, publication.version, self._epoch)

    def forget(self, player: str, before: int) -> None:
        """Drop what no reader will ask for."""
        self.kept.forget(player, before)

    # ------------------------------------------------------------------------ what others have kept

    def between(
        self, players: Sequence[str], after: int, upto: int
    ) -> dict[str, list[Publication]]:
        """Exactly these versions of each shelf, from all owners at once, one call an owner."""
        self.check()
        # one call an owner, however many live there: .6 ms each,
        # a toy iteration takes 10 (decision 2)
        owners = by_actor(players, self._owner)
        found = answers(
            {
                here[0]: owner.publications.remote(here, after, upto)
                for owner, here in owners.items()
            }
        )
        return {shelf: versions for of_one in found.values() for shelf, versions in of_one.items()}

    def newest(self, players: Sequence[str]) -> dict[str, Publication]:
        """The newest of each shelf that has one."""
        self.check()
        owners = by_actor(players, self._owner)
        asked = {
            here[0]: owner.newest.remote(here)
            for owner, here in owners.items()
            if owner is not None
        }
        found = [self._try(first, reference) for first, reference in asked.items()]
        return {
            shelf: publication
            for of_one in found
            if of_one
            for shelf, publication in of_one.items()
        }

    def peek(
        self, players: Sequence[str], have: Mapping[str, int], wait_s: float = 0.0
    ) -> dict[str, Publication]:
        """What has arrived by now, or within `wait_s`. One question to each owner is open at any
        time (see `next`), so what is published comes without being asked for again.
        """
        self.check()
        for name in players:
            if name not in self._asked:
                self._ask(name, have.get(name, -1))
        mine = {self._asked[n]: n for n in players if n in self._asked}
        if not mine:
            time.sleep(min(wait_s, GONE_S))
            return {}
        here, _ = ray.wait(list(mine), num_returns=1, timeout=wait_s)
        # `num_returns=1` tells of one; of the others ask again, without waiting
        if here and len(mine) > 1:
            here, _ = ray.wait(list(mine), num_returns=len(mine), timeout=0)
        out: dict[str, Publication] = {}
        for reference in here:
            name = mine[reference]
            del self._asked[name]
            found = self._try(name, reference)
            if found and found[-1].version > have.get(name, -1):
                out[name] = found[-1]
            self._ask(name, out[name].version if name in out else have.get(name, -1))
        return out

    def _ask(self, shelf: str, after: int) -> None:
        """For what comes after this version, if its owner is there."""
        if (owner := self._owner(shelf)) is not None:
            self._asked[shelf] = owner.next.remote(shelf, after)

    def progress(self, players: Sequence[str]) -> dict[str, int]:
        """The newest version of each player, as the board knows it; 0 where there is none."""
        out: dict[str, int] = answer("board", self._board.progress.remote(list(players)))
        return out

    def _owner(self, shelf: str) -> Any:
        """Its actor; None where nobody of that name is there at the moment (async: it died, and may
        come back).
        """
        name = shelf.partition("/")[0]
        if name not in self._players:
            self._players = answer("board", self._board.players.remote())
        return self._players.get(name)

    def _try(self, shelf: str, reference: Any) -> Any:
        """What came; None from an actor that is dead."""
        try:
            return answer(shelf, reference)
        except RayActorError:
            # all that lived in it, or each of them would be asked, and waited for, once more
            gone = self._players.get(shelf.partition("/")[0])
            self._players = {n: actor for n, actor in self._players.items() if actor != gone}
            time.sleep(GONE_S)
            return None
