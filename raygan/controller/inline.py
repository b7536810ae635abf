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
from raygan.controller.scores import tried
from raygan.controller.worker import Shelves, Worker
from raygan.errors import PlayerDied
from raygan.gan.device import death_of, described
from raygan.gan.types import Player
from raygan.strategies.base import Setup, homes, strategy_of, with_data
from raygan.strategies.orders import Swap, Train
from raygan.strategies.partition import own_parts


@contextmanager
def as_player_died(player: str) -> Iterator[None]:
    """Raises PlayerDied for what would have ended this player's process: memory, a lost device."""
    try:
        yield
    except (RuntimeError, MemoryError) as error:
        if (end := death_of(error)) is None:
            raise
        raise PlayerDied(player, end[1], end[0]) from None


class InlineExecutor:
    """One order after the other, first come, first served. What an actor's process does is the same
    `Worker`'s; `offer` and `adopt` are methods so that a subclass can look, or die, in between.
    """

    def __init__(self, setup: Setup) -> None:
        # also of those to come
        pairs = dict.fromkeys([*with_data(setup.config), *setup.data.parts])
        own = own_parts(setup.config, pairs, setup.data, setup.data)
        self.setup = replace(setup, shared={}, own=own)
        self.board = Shelves()
        self.worker = Worker(self.setup, self.board)
        self.evaluator = Evaluator(self.setup)
        self.queue: deque[Order] = deque()
        self.threads_before = torch.get_num_threads()

    @property
    def players(self) -> dict[str, Player]:
        """The players of this process, by name."""
        return self.worker.players

    def start(self, players: Sequence[str], states: Mapping[str, bytes], epoch: int = 0) -> None:
        """Build the players here; what was there before is gone."""
        torch.set_num_threads(self.setup.config.resources.num_threads)
        # layers that players share would be trained ones else
        self.setup = replace(self.setup, shared={})
        self.board = Shelves()
        self.worker = Worker(self.setup, self.board)
        self.queue.clear()
        self.evaluator.waiting.clear()
        for name in players:
            with as_player_died(name):
                self.worker.build(name, states.get(name))
        # all are there before anybody publishes: who opens may read what others have opened with
        for name in players:
            self.worker.open(name)

    def submit(self, order: Order) -> None:
        """Queue the order; `wait` carries it out."""
        self.queue.append(order)

    def wait(self, timeout_s: float) -> list[Done]:
        """Carry out the oldest order."""
        if not self.queue:
            return []
        order = self.queue.popleft()
        with as_player_died(getattr(order, "player", "a swap")):
            if isinstance(order, Train):
                return self._train(order)
            began = time.perf_counter()
            result = self._carried_out(order)
            return [Done(order, result, time.perf_counter() - began)]

    def _carried_out(self, order: Order) -> Any:
        match order:
            case Swap():
                return self.offer(order)
            case Adopt(swap):
                self.adopt(swap)
                return None
            case Join(player, step, state):
                self.worker.build(player, state)
                return self.worker.open(player, step if state is None else None)
            case Save(player):
                return self.worker.state(player)
        assert isinstance(order, Evaluate), f"unknown order {order}"
        vector = self.players[order.player].generator_vector()
        return tried(
            lambda: self.evaluator.evaluate(order.player, order.step, vector, order.members)
        )

    def last_move(self) -> float:
        """Whoever is asked is at it."""
        return time.monotonic()

    def configure(self, config: Config, listeners: Sequence[str] = ()) -> None:
        """For players that are built from now on; listeners hear it at once."""
        self.worker.setup = self.setup = replace(self.setup, config=config)
        self.evaluator.attend(with_data(config))
        for name in listeners:
            members = strategy_of(config).locals(config)
            # only a player that counts on members is a listener, and that one has it
            self.players[name].set_members(members)  # type: ignore[attr-defined]

    def no_room(self, players: int) -> str | None:
        """All have their place here."""
        return None

    def remove(self, player: str) -> None:
        """Forget it, and what it has published."""
        # it is not there yet where it dies on its way back
        self.players.pop(player, None)
        self.queue = deque(o for o in self.queue if getattr(o, "player", None) != player)
        for shelf in [s for s in self.board.shelves if s.partition("/")[0] == player]:
            del self.board.shelves[shelf]

    def offer(self, swap: Swap) -> dict[str, Card]:
        """First half of a swap: every giver's copy."""
        givers = sorted(set(swap.moves.values()))
        parcels = self.worker.offer(givers, swap, stay=givers)
        return {p: Card.of(parcel) for p, parcel in parcels.items()}

    def adopt(self, swap: Swap) -> None:
        """The second half of a swap: each takes what was handed over."""
        self.worker.adopt(list(swap.moves), swap, {})

    def _train(self, order: Train) -> list[Done]:
        """The order, and those of whoever lives with the player."""
        home = next(h for h in homes(self.setup.config, list(self.players)) if order.player in h)
        first: dict[str | None, Order] = {}
        for waiting in self.queue:
            first.setdefault(getattr(waiting, "player", None), waiting)
        # only where it is the next that the other one is to do:
        # each player's orders keep their order
        others = [o for o in first.values() if isinstance(o, Train) and o.player in home]
        self.queue = deque(o for o in self.queue if o not in others)
        orders = sorted([order, *others], key=lambda o: home.index(o.player))
        began = time.perf_counter()
        done = self.worker.train(orders)
        seconds = time.perf_counter() - began
        return [
            Done(o, report, seconds, as_it_went)
            for o, (report, as_it_went) in zip(orders, done, strict=True)
        ]

    def mishaps(self) -> list[PlayerDied]:
        """None: whatever breaks here breaks everything."""
        return []

    def leaving(self) -> dict[str, str]:
        """Nobody: there is no other place."""
        return {}

    def close(self) -> None:
        """Give torch the number of threads back that it had."""
        torch.set_num_threads(self.threads_before)

    def info(self) -> dict[str, Any]:
        """This process and its device, for run.json."""
        return {"executor": "inline", "pid": os.getpid(), "device": described(self.setup.device)}
