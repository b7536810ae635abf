"""What a process does that players live in, whoever runs it: an actor, or all of a run inline.

Worker      the players of one process through one attempt; knows no Ray, so it is tested at once
host_all    a call's Train orders, as one batched model where that can be
Shelves     what they have published
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import cast

from raygan.controller.async_record import Noted, Recording
from raygan.controller.rounds import Round
from raygan.errors import NonFiniteError
from raygan.gan.bundle import pack, unpack
from raygan.gan.pair import Pair
from raygan.gan.parcels import Parcel
from raygan.gan.trainer import Trainer
from raygan.gan.types import Board, Player, Report
from raygan.gan.weights import Publication
from raygan.strategies.base import Setup, strategy_of
from raygan.strategies.batching.alike import why_not
from raygan.strategies.batching.fits import to_batch
from raygan.strategies.batching.pack import Pack
from raygan.strategies.orders import Swap, Train


class Shelves(Board):
    """All publications that some reader may still ask for: the board of a process by itself, and
    what an actor keeps.
    """

    def __init__(self) -> None:
        self.shelves: dict[str, dict[int, Publication]] = {}

    def publish(self, publication: Publication) -> None:
        """Keep a publication on its player's shelf."""
        self.shelves.setdefault(publication.player, {})[publication.version] = publication

    def forget(self, player: str, before: int) -> None:
        """Drop old versions from all shelves of a player (`gen-03`, `gen-03/slot`); the newest
        always stays.
        """
        for name, shelf in self.shelves.items():
            if shelf and (name == player or name.startswith(player + "/")):
                newest = max(shelf)
                for version in [v for v in shelf if v < before and v != newest]:
                    del shelf[version]

    def between(
        self, players: Sequence[str], after: int, upto: int
    ) -> dict[str, list[Publication]]:
        """Exactly these versions, oldest first."""
        return {
            n: [p for v, p in sorted(self.shelves.get(n, {}).items()) if after < v <= upto]
            for n in players
        }

    def newest(self, players: Sequence[str]) -> dict[str, Publication]:
        """The newest of each that has published."""
        return {n: self.shelves[n][max(self.shelves[n])] for n in players if self.shelves.get(n)}

    def peek(
        self, players: Sequence[str], have: Mapping[str, int], wait_s: float = 0.0
    ) -> dict[str, Publication]:
        """The newest of each, where it is newer. Nobody publishes while a reader waits here."""
        out = {n: p for n, p in self.newest(players).items() if p.version > have.get(n, -1)}
        if not out:
            time.sleep(wait_s)
        return out

    def progress(self, players: Sequence[str]) -> dict[str, int]:
        """The newest version on each player's shelf; 0 where it is empty."""
        return {n: max(self.shelves.get(n, {0: None})) for n in players}


MIN_ROUND = 10
"""Steps of the shortest round that is kept a copy for: below, the copy would cost more than it
saves.
"""


class Packs:
    """The batched models of a process, by the pairs in them."""

    def __init__(self, batched: bool | None) -> None:
        self.batched = batched
        self.packs: dict[tuple[Player, ...], Pack | None] = {}

    def of(self, players: Sequence[Player]) -> Pack | None:
        """These players as one model; None where they cannot be."""
        # not their names: one that died comes back as another object
        key = tuple(players)
        if key not in self.packs:
            can = len(players) > 1 and why_not(players) is None
            pairs = [cast(Pair, p) for p in players]
            self.packs = {key: Pack(pairs) if can and to_batch(self.batched, pairs[0].d) else None}
        return self.packs[key]


class Worker:
    """The players of one process, through one attempt; the next attempt gets another worker, so
    that nothing of this one is left.
    """

    def __init__(self, setup: Setup, board: Board) -> None:
        """board: how its players publish, and read what others have."""
        self.setup = setup
        self.board = board
        self.players: dict[str, Player] = {}
        self.packs = Packs(setup.config.resources.batched)
        self.recording = Recording.of(setup.config)
        self.kept: dict[Swap, dict[str, Parcel]] = {}
        """Networks of swaps under way that stay in this process."""
        self._adopted: dict[str, Swap] = {}
        """player -> the swap whose network it took last; not its step: in async two may have it."""

    def build(self, name: str, state: bytes | None = None) -> None:
        """Make a player, at its packed state where there is one."""
        player = strategy_of(self.setup.config).build(name, self.setup)
        if state is not None:
            player.restore(unpack(state))
        self.players[name] = player

    def open(self, name: str, step: int | None = None) -> int:
        """Publish what others need before they can begin; `step`: where a joiner begins to count.
        Returns the step.
        """
        player = self.players[name]
        if step is not None:
            # to all others a player's step can only be read
            player.step = step  # type: ignore[misc]
        player.open(self.board)
        return player.step

    def train(self, orders: Sequence[Train]) -> list[tuple[Report, Round | None]]:
        """A call's orders, of different players that live here; their reports, and of a run that is
        recorded how each round went.
        """
        rollbacks, recording = self.setup.config.failures.rollbacks, self.recording
        reports = host_all(self.players, orders, self.board, rollbacks, self.packs, recording)
        rounds = recording.take() if recording else [None] * len(orders)
        return list(zip(reports, rounds, strict=True))

    def offer(self, names: Sequence[str], swap: Swap, stay: Sequence[str]) -> dict[str, Parcel]:
        """First half of a swap: a copy of each one's network; those that `stay` are kept for
        `adopt`. Nobody has changed yet: the journal's record comes in between (decision 12).
        """
        parcels = {n: swapper(self.players[n]).offer(swap.what, swap.carry) for n in names}
        self.kept[swap] = {n: parcels[n] for n in stay}
        return parcels

    def adopt(self, names: Sequence[str], swap: Swap, came: Mapping[str, Parcel]) -> None:
        """Second half, with what was kept and what came from elsewhere; once a swap for each taker,
        however often it is called.
        """
        parcels = self.kept.pop(swap, {}) | dict(came)
        for name in names:
            if self._adopted.get(name) != swap:
                take_up(self.players[name], swap, parcels[swap.moves[name]])
                self._adopted[name] = swap

    def state(self, name: str) -> bytes:
        """A player's state, packed for a checkpoint."""
        return pack(self.players[name].state())


def host_all(
    players: Mapping[str, Player],
    orders: Sequence[Train],
    board: Board,
    rollbacks: int,
    packs: Packs,
    recording: Recording | None = None,
) -> list[Report]:
    """Carry out Train orders, in whatever process the players live: as one batched model where all
    do as many steps and can be one, else one after the other; the reports, with the seconds that
    each took. Raises NonFiniteError.
    """
    here = [players[o.player] for o in orders]
    pack = packs.of(here) if len({o.steps for o in orders}) == 1 else None
    if pack is None:
        return [
            host(player, order, board, rollbacks, recording)
            for player, order in zip(here, orders, strict=True)
        ]
    began = time.perf_counter()
    for order in orders:
        forget(order, board)
    # of short rounds the copy would cost more than a repeat saves (MIN_ROUND)
    put_back = pack.snapshot() if rollbacks and orders[0].steps >= MIN_ROUND else None
    try:
        reports = pack.train(orders[0].steps, board)
        if put_back is not None:
            pack.check()
    except NonFiniteError:
        if put_back is None:
            raise
        put_back()
        return [
            host(player, order, board, rollbacks, recording, again=True)
            for player, order in zip(here, orders, strict=True)
        ]
    if recording is not None:
        recording.packed(here, orders[0].steps)
    share = (time.perf_counter() - began) / len(orders)
    return [{**report, "seconds": share} for report in reports]


def forget(order: Train, board: Board) -> None:
    """Drop what nobody reads any more, as the order says."""
    if order.forget_before:
        board.forget(order.player, order.forget_before)


def host(
    player: Player,
    order: Train,
    board: Board,
    rollbacks: int,
    recording: Recording | None = None,
    again: bool = False,
) -> Report:
    """Carry out one player's Train order; the report, with the seconds that it took.

    A round that leads to NaN is undone and repeated with other random numbers, at most `rollbacks`
    times: nothing that is not finite leaves this function. Raises NonFiniteError when that does not
    help.
    """
    began = time.perf_counter()
    forget(order, board)
    noted = None if recording is None else Noted(board, player, recording)
    shelves = noted or board
    good = player.state() if rollbacks and player.can_undo and order.steps >= MIN_ROUND else None
    undone = 0
    while True:
        try:
            report = player.train(order.steps, shelves)
            if good is not None:
                player.check()
            break
        except NonFiniteError:
            if good is None or undone == rollbacks:
                raise
            undone += 1
            # another turn has other random numbers: the same ones would lead to the same NaN
            # (decision 23)
            player.undo({**good, "turn": int(str(good.get("turn", 0))) + undone}, shelves)
    if noted is not None:
        noted.recording.read(noted, again or undone > 0)
    return {
        **report,
        "seconds": time.perf_counter() - began,
        **({"rollbacks": float(undone)} if undone else {}),
    }


def take_up(player: Player, swap: Swap, parcel: Parcel) -> None:
    """The second half of a swap for one player."""
    trainer = swapper(player)
    trainer.adopt(swap.what, parcel)
    if settings := swap.settings_of(player.name):
        trainer.go_on_with(settings)


def swapper(player: Player) -> Trainer:
    """A player that has networks to swap."""
    assert isinstance(player, Trainer), f"{player.name} has no discriminator of its own to swap"
    return player
