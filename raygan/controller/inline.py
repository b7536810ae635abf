"""Everything in this process: to read, to debug, to test. In lockstep the bits are those of Ray."""

from __future__ import annotations

import os
import time
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, cast

import torch

from raygan.config import Config
from raygan.controller.evaluator import Evaluator
from raygan.controller.orders import Adopt, Card, Done, Evaluate, Join, Order, Save
from raygan.errors import NonFiniteError
from raygan.gan.bundle import pack, unpack
from raygan.gan.pair import Pair, Trainer
from raygan.gan.types import Board, Player, Report
from raygan.gan.weights import Parcel, Publication
from raygan.strategies.orders import Swap, Train
from raygan.strategies.pack import Pack, why_not
from raygan.strategies.stack import to_batch
from raygan.strategies.strategy import Setup, homes, strategy_of


class InlineBoard(Board):
    """All publications that some reader may still ask for."""

    def __init__(self) -> None:
        self.shelves: dict[str, dict[int, Publication]] = {}
        self.peak_bytes = 0

    def publish(self, publication: Publication) -> None:
        """Keep it."""
        self.shelves.setdefault(publication.player, {})[publication.version] = publication
        self.peak_bytes = max(self.peak_bytes, self.nbytes)

    @property
    def nbytes(self) -> int:
        """Bytes held now."""
        return sum(p.nbytes for shelf in self.shelves.values() for p in shelf.values())

    def forget(self, player: str, before: int) -> None:
        """Drop old versions from all shelves of a player (`gen-03`, `gen-03/slot`); the newest always stays."""
        for name, shelf in self.shelves.items():
            if name == player or name.startswith(player + "/"):
                for version in [v for v in shelf if v < before and v != max(shelf)]:
                    del shelf[version]

    def between(self, players: Sequence[str], after: int, upto: int) -> dict[str, list[Publication]]:
        """Exactly these versions, oldest first."""
        return {n: [p for v, p in sorted(self.shelves.get(n, {}).items()) if after < v <= upto] for n in players}

    def newest(self, players: Sequence[str]) -> dict[str, Publication]:
        """The newest of each that has published."""
        return {n: self.shelves[n][max(self.shelves[n])] for n in players if self.shelves.get(n)}

    def peek(self, players: Sequence[str], have: Mapping[str, int], wait_s: float = 0.0) -> dict[str, Publication]:
        """The newest of each, where it is newer. Nobody publishes while a reader waits here."""
        out = {n: p for n, p in self.newest(players).items() if p.version > have.get(n, -1)}
        if not out:
            time.sleep(wait_s)
        return out

    def progress(self, players: Sequence[str]) -> dict[str, int]:
        """The newest version numbers."""
        return {n: max(self.shelves.get(n, {0: None})) for n in players}


MIN_ROUND = 10
"""Steps of the shortest round that is kept a copy for: below, the copy would cost more than it saves."""


class Packs:
    """The batched models of a process, by the pairs in them."""

    def __init__(self, batched: bool | None) -> None:
        self.batched = batched
        self.packs: dict[tuple[str, ...], Pack | None] = {}

    def of(self, players: Sequence[Player]) -> Pack | None:
        """These players as one model; None where they cannot be."""
        key = tuple(p.name for p in players)
        if key not in self.packs:
            can = len(players) > 1 and why_not(players) is None
            pairs = [cast(Pair, p) for p in players]
            self.packs = {key: Pack(pairs) if can and to_batch(self.batched, pairs[0].d) else None}
        return self.packs[key]


def host_all(
    players: Mapping[str, Player], orders: Sequence[Train], board: Board, rollbacks: int, packs: Packs
) -> list[Report]:
    """Carry out Train orders, in whatever process the players live: as one batched model where all do as many steps and can be
    one, else one after the other; the reports, with the seconds that each took. Raises NonFiniteError.
    """
    here = [players[o.player] for o in orders]
    pack = packs.of(here) if len({o.steps for o in orders}) == 1 else None
    if pack is None:
        return [host(player, order, board, rollbacks) for player, order in zip(here, orders, strict=True)]
    began = time.perf_counter()
    for order in orders:
        if order.forget_before:
            board.forget(order.player, order.forget_before)
    put_back = pack.snapshot() if rollbacks and orders[0].steps >= MIN_ROUND else None
    try:
        reports = pack.train(orders[0].steps, board)
        if put_back is not None:
            pack.check()
    except NonFiniteError:
        if put_back is None:
            raise
        put_back()
        return [host(player, order, board, rollbacks) for player, order in zip(here, orders, strict=True)]
    share = (time.perf_counter() - began) / len(orders)
    return [{**report, "seconds": share} for report in reports]


def host(player: Player, order: Train, board: Board, rollbacks: int) -> Report:
    """Carry out one player's Train order; the report, with the seconds that it took.

    A round that leads to NaN is undone and repeated with other random numbers, at most `rollbacks` times: nothing that is not
    finite leaves this function. Raises NonFiniteError when that does not help.
    """
    began = time.perf_counter()
    if order.forget_before:
        board.forget(order.player, order.forget_before)
    good = player.state() if rollbacks and order.steps >= MIN_ROUND else None
    undone = 0
    while True:
        try:
            report = player.train(order.steps, board)
            if good is not None:
                player.check()
            break
        except NonFiniteError:
            if good is None or undone == rollbacks:
                raise
            undone += 1
            player.restore({**good, "turn": int(str(good.get("turn", 0))) + undone})
    return {**report, "seconds": time.perf_counter() - began, **({"rollbacks": float(undone)} if undone else {})}


def swapper(player: Player) -> Trainer:
    """A player that has networks to swap."""
    assert isinstance(player, Trainer), f"{player.name} has no discriminator of its own to swap"
    return player


class InlineExecutor:
    """One order after the other, first come, first served."""

    def __init__(self, setup: Setup) -> None:
        self.setup = replace(setup, shared={})
        self.board = InlineBoard()
        self.players: dict[str, Player] = {}
        self.evaluator = Evaluator(setup)
        self.packs = Packs(setup.config.resources.batched)
        self.queue: deque[Order] = deque()
        self.parcels: dict[Swap, dict[str, Parcel]] = {}
        self.threads_before = torch.get_num_threads()

    def start(self, players: Sequence[str], states: Mapping[str, bytes], epoch: int = 0) -> None:
        """Build the players here; what was there before is gone."""
        torch.set_num_threads(self.setup.config.resources.num_threads)
        self.setup = replace(self.setup, shared={})
        self.board = InlineBoard()
        self.players.clear()
        self.packs = Packs(self.setup.config.resources.batched)
        self.queue.clear()
        self.parcels.clear()
        self.evaluator.waiting.clear()
        strategy = strategy_of(self.setup.config)
        for name in players:
            self.players[name] = strategy.build(name, self.setup)
            if name in states:
                self.players[name].restore(unpack(states[name]))
        for player in self.players.values():
            player.open(self.board)

    def submit(self, order: Order) -> None:
        """Queue it."""
        self.queue.append(order)

    def wait(self, timeout_s: float) -> list[Done]:
        """Carry out the oldest order."""
        if not self.queue:
            return []
        order = self.queue.popleft()
        began = time.perf_counter()
        result: Any = None
        if isinstance(order, Train):
            return self._train(order)
        if isinstance(order, Swap):
            result = self.offer(order)
        elif isinstance(order, Adopt):
            self.adopt(order.swap)
        elif isinstance(order, Join):
            result = self.join(order)
        else:
            result = self._single(order)
        return [Done(order, result, time.perf_counter() - began)]

    def configure(self, config: Config) -> None:
        """For players that are built from now on."""
        self.setup = replace(self.setup, config=config)

    def join(self, order: Join) -> int:
        """Build, restore where it has a state, open; returns its step."""
        player = strategy_of(self.setup.config).build(order.player, self.setup)
        if order.state is None:
            player.step = order.step  # type: ignore[misc]
        else:
            player.restore(unpack(order.state))
        player.open(self.board)
        self.players[order.player] = player
        return player.step

    def remove(self, player: str) -> None:
        """Forget it, and what it has published."""
        del self.players[player]
        self.queue = deque(o for o in self.queue if getattr(o, "player", None) != player)
        for shelf in [s for s in self.board.shelves if s.partition("/")[0] == player]:
            del self.board.shelves[shelf]

    def set_members(self, judge: str, members: Sequence[str]) -> None:
        """At once."""
        self.players[judge].set_members(members)  # type: ignore[attr-defined]

    def offer(self, swap: Swap) -> dict[str, Card]:
        """First half of a swap: every giver's copy."""
        givers = sorted(set(swap.moves.values()))
        parcels = {p: swapper(self.players[p]).offer(swap.what, swap.carry) for p in givers}
        self.parcels[swap] = parcels
        return {p: Card.of(parcel) for p, parcel in parcels.items()}

    def adopt(self, swap: Swap) -> None:
        """Second half."""
        parcels = self.parcels.pop(swap)
        for player, source in swap.moves.items():
            swapper(self.players[player]).adopt(swap.what, parcels[source])

    def _train(self, order: Train) -> list[Done]:
        """The order, and those of whoever lives with the player."""
        config = self.setup.config
        home = next(h for h in homes(config, list(self.players)) if order.player in h)
        first: dict[str | None, Order] = {}
        for waiting in self.queue:
            first.setdefault(getattr(waiting, "player", None), waiting)
        others = [o for o in first.values() if isinstance(o, Train) and o.player in home]
        self.queue = deque(o for o in self.queue if o not in others)
        orders = sorted([order, *others], key=lambda o: home.index(o.player))
        began = time.perf_counter()
        reports = host_all(self.players, orders, self.board, config.failures.rollbacks, self.packs)
        seconds = time.perf_counter() - began
        return [Done(o, report, seconds) for o, report in zip(orders, reports, strict=True)]

    def _single(self, order: Save | Evaluate) -> Any:
        player = self.players[order.player]
        result: Any
        if isinstance(order, Save):
            result = pack(player.state())
        else:
            assert isinstance(order, Evaluate), f"unknown order {order}"
            result = self.evaluator.evaluate(order.player, order.step, player.generator_vector(), order.members)
        return result

    def close(self) -> None:
        """Give the threads back."""
        torch.set_num_threads(self.threads_before)

    def info(self) -> dict[str, Any]:
        """One process, one place."""
        return {"executor": "inline", "pid": os.getpid(), "device": str(self.setup.device)}
