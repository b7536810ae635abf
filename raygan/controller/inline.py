"""Everything in this process: to read, to debug, to test. In lockstep the bits are those of Ray."""

from __future__ import annotations

import os
import time
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import torch

from raygan.config import Config
from raygan.controller.evaluator import Evaluator
from raygan.controller.orders import Adopt, Card, Done, Evaluate, Join, Order, Save
from raygan.controller.schedule import Recording
from raygan.controller.scores import tried
from raygan.controller.worker import Packs, Shelves, host_all, swapper, take_up
from raygan.errors import PlayerDied
from raygan.gan.bundle import pack, unpack
from raygan.gan.device import death_of, described
from raygan.gan.types import Player
from raygan.gan.weights import Parcel
from raygan.strategies.base import Setup, homes, strategy_of, with_data
from raygan.strategies.orders import Swap, Train
from raygan.strategies.partition import own_parts


@contextmanager
def told(player: str) -> Iterator[None]:
    """Raises PlayerDied for what would have ended this player's process: memory, or a device lost."""
    try:
        yield
    except (RuntimeError, MemoryError) as error:
        if (end := death_of(error)) is None:
            raise
        raise PlayerDied(player, end[1], end[0]) from None


class InlineExecutor:
    """One order after the other, first come, first served."""

    def __init__(self, setup: Setup) -> None:
        pairs = dict.fromkeys([*with_data(setup.config), *setup.data.parts])  # also those to come
        own = own_parts(setup.config, pairs, setup.data, setup.data)
        self.setup = replace(setup, shared={}, own=own)
        self.board = Shelves()
        self.players: dict[str, Player] = {}
        self.evaluator = Evaluator(setup)
        self.packs = Packs(setup.config.resources.batched)
        self.recording = Recording.of(setup.config)
        self.queue: deque[Order] = deque()
        self.parcels: dict[Swap, dict[str, Parcel]] = {}
        self.threads_before = torch.get_num_threads()

    def start(self, players: Sequence[str], states: Mapping[str, bytes], epoch: int = 0) -> None:
        """Build the players here; what was there before is gone."""
        torch.set_num_threads(self.setup.config.resources.num_threads)
        self.setup = replace(self.setup, shared={})
        self.board = Shelves()
        self.players.clear()
        self.packs = Packs(self.setup.config.resources.batched)
        self.recording = Recording.of(self.setup.config)
        self.queue.clear()
        self.parcels.clear()
        self.evaluator.waiting.clear()
        strategy = strategy_of(self.setup.config)
        for name in players:
            with told(name):
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
        with told(getattr(order, "player", "a swap")):
            return self._carried_out(order)

    def _carried_out(self, order: Order) -> list[Done]:
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
        self.players.pop(player, None)  # not there yet, where it dies on its way back
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
            take_up(self.players[player], swap, parcels[source])

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
        reports = host_all(
            self.players, orders, self.board, config.failures.rollbacks, self.packs, self.recording
        )
        seconds = time.perf_counter() - began
        rounds = self.recording.take() if self.recording else [None] * len(orders)
        return [
            Done(o, report, seconds, as_it_went)
            for o, report, as_it_went in zip(orders, reports, rounds, strict=True)
        ]

    def _single(self, order: Save | Evaluate) -> Any:
        player = self.players[order.player]
        result: Any
        if isinstance(order, Save):
            result = pack(player.state())
        else:
            assert isinstance(order, Evaluate), f"unknown order {order}"
            vector = player.generator_vector()
            result = tried(
                lambda: self.evaluator.evaluate(order.player, order.step, vector, order.members)
            )
        return result

    def mishaps(self) -> list[PlayerDied]:
        """None: whatever breaks here breaks everything."""
        return []

    def leaving(self) -> dict[str, str]:
        """Nobody: there is no other place."""
        return {}

    def close(self) -> None:
        """Give the threads back."""
        torch.set_num_threads(self.threads_before)

    def info(self) -> dict[str, Any]:
        """One process, one place."""
        return {"executor": "inline", "pid": os.getpid(), "device": described(self.setup.device)}
