"""The Ray shell of a player: holds it, forwards to it, holds no logic.

One thread trains; while it does, that of "ctl" answers what can be answered at once, and those of
"feed" hold open what others ask for and is not there yet.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Sequence
from typing import Any

import ray
import torch

from raygan.actors.device import pick_device
from raygan.actors.messenger_worker import RemoteDeputy
from raygan.actors.process import Process, actor_class, heed_sigterm, keep_freed_memory
from raygan.actors.publications import ASK_S, Exchange
from raygan.config import Config
from raygan.controller.orders import Card
from raygan.controller.schedule import Recording, Round
from raygan.controller.worker import Packs, host_all, swapper, take_up
from raygan.data.base import Samples
from raygan.gan.bundle import pack, unpack
from raygan.gan.device import described
from raygan.gan.types import Player
from raygan.gan.weights import Parcel, Publication, Vector
from raygan.strategies.base import Setup, strategy_of
from raygan.strategies.orders import Swap, Train
from raygan.strategies.partition import own_parts


class PlayerActor(Process):
    """One player in a process of its own; or several that share weights."""

    def __init__(self, run: str, label: str, data: list[Any]) -> None:
        super().__init__()
        keep_freed_memory()
        self._label = f"{run}/{label}"
        self._samples: Samples = ray.get(data[0])  # a reference in a list: resolved here, zero-copy
        self._own: dict[str, Samples] = {}
        self._device = "cpu"
        self._players: dict[str, Player] = {}
        self._begun = threading.Event()
        self._notice = heed_sigterm()

    def __repr__(self) -> str:
        return self._label  # the prefix of its log lines

    def rehearse(self, config: Config) -> None:
        """Build a player and drop it: a spare has imported then what it will need."""
        strategy = strategy_of(config)
        strategy.build(
            strategy.locals(config)[0], Setup(config, self._samples, pick_device(config))
        )

    def begin(
        self, epoch: int, names: list[str], config: Config, states: dict[str, list[Any]], board: Any, deputies: dict[str, Any]
    ) -> None:  # fmt: skip
        """Build these players, each at its packed state where there is one; nothing of an earlier
        epoch is left.

        deputies: name -> actor that works for the one of them that has some.
        """
        torch.set_num_threads(config.resources.num_threads)
        helping = [
            RemoteDeputy(name, actor, epoch, config, board) for name, actor in deputies.items()
        ]
        players = self._built(names, config, states, helping)
        self._packs = Packs(config.resources.batched)
        self._board = Exchange(board, config.pace == "lockstep", epoch)
        self._rollbacks = config.failures.rollbacks
        self._recording = Recording.of(config)
        self._adopted: dict[str, int] = {}
        self._kept: dict[Swap, dict[str, Parcel]] = {}
        self._players = players  # last: from now on it answers
        self._begun.set()

    def _built(
        self,
        names: list[str],
        config: Config,
        states: dict[str, list[Any]],
        helping: Sequence[RemoteDeputy] = (),
    ) -> dict[str, Player]:
        strategy = strategy_of(config)
        new = [n for n in names if strategy.needs_data(n) and n not in self._own]
        self._own |= own_parts(config, new, self._samples)
        device = pick_device(config)
        self._device = described(device)
        setup = Setup(config, self._samples, device, deputies=helping, own=self._own)
        players = {name: strategy.build(name, setup) for name in names}
        for name, state in states.items():
            players[name].restore(unpack(ray.get(state[0])))
        return players

    def enter(self, names: list[str], config: Config, states: dict[str, list[Any]]) -> None:
        """More of them, beside those that live here already."""
        self._players = self._players | self._built(names, config, states)

    @ray.method(concurrency_group="ctl")
    def fence(self, epoch: int) -> None:
        """A newer epoch has begun: whatever still trains here ends at its next look at the board."""
        if self._players:
            self._board.close(epoch)

    def open(self, name: str, step: int | None = None) -> int:
        """Publish what others need before they can begin; `step`: where a joiner begins to count.
        Returns the step.
        """
        if step is not None:
            self._players[name].step = step  # type: ignore[misc]
        self._players[name].open(self._board)
        return self._players[name].step

    def offer(self, stay: list[str], go: list[list[str]], swap: Swap, epoch: int) -> Any:
        """First half of a swap, for all givers that live here: {name: Card} for the journal; and
        for each other actor that takes from here {name: network}, an object of its own which only
        that actor will fetch. Networks that `stay` are kept.
        """
        self._board.check(epoch)
        names = sorted({*stay, *(n for together in go for n in together)})
        parcels = {n: swapper(self._players[n]).offer(swap.what, swap.carry) for n in names}
        self._kept[swap] = {n: parcels[n] for n in stay}
        cards = {n: Card.of(p) for n, p in parcels.items()}
        return (cards, *({n: parcels[n] for n in together} for together in go)) if go else cards

    def adopt(self, names: list[str], swap: Swap, epoch: int, *came: dict[str, Parcel]) -> None:
        """Second half, for all takers that live here, once per swap however often it is called.
        Raises StaleEpochError for a swap of an earlier attempt.
        """
        self._board.check(epoch)
        parcels = self._kept.pop(swap, {}) | {
            n: parcel for networks in came for n, parcel in networks.items()
        }
        for name in names:
            if self._adopted.get(name) != swap.step:
                take_up(self._players[name], swap, parcels[swap.moves[name]])
                self._adopted[name] = swap.step

    def train(self, orders: list[Train]) -> list[tuple[dict[str, float], Round | None]]:
        """Carry out orders, at once where that can be; the loop over steps is here, in the actor."""
        recording = self._recording
        reports = host_all(
            self._players, orders, self._board, self._rollbacks, self._packs, recording
        )
        rounds = recording.take() if recording else [None] * len(orders)
        return list(zip(reports, rounds, strict=True))

    def leave(self, name: str) -> None:
        """One of several is no member any more."""
        del self._players[name]

    def save(self, name: str) -> bytes:
        """The packed state."""
        return pack(self._players[name].state())

    def generator(self, name: str) -> Vector:
        """The generator to sample from."""
        return self._players[name].generator_vector()

    @ray.method(concurrency_group="ctl")
    def publications(
        self, shelves: list[str], after: int, upto: int
    ) -> dict[str, list[Publication]]:
        """Of each of these shelves here, the frozen publications after < version <= upto."""
        return self._board.held(shelves, after, upto)

    @ray.method(concurrency_group="ctl")
    def newest(self, shelves: list[str]) -> dict[str, Publication]:
        """Of each of these shelves here, the newest publication, where there is one."""
        return (
            self._board.held_newest(shelves) if self._players else {}
        )  # a joiner is known to readers before it has begun

    @ray.method(concurrency_group="feed")
    def next(self, shelf: str, after: int) -> list[Publication]:
        """The same, as soon as there is one (at most exchange.ASK_S later)."""
        return self._board.next(shelf, after) if self._begun.wait(ASK_S) else []

    @ray.method(concurrency_group="ctl")
    def set_members(self, name: str, members: list[str]) -> None:
        """PMGAN's judge: whose slots count; also while it trains."""
        self._players[name].set_members(members)  # type: ignore[attr-defined]

    @ray.method(concurrency_group="ctl")
    def where(self, name: str) -> dict[str, Any]:
        """Node, process, device: for run.json and for tests."""
        context, player = ray.get_runtime_context(), self._players.get(name)
        return {
            "pid": os.getpid(),
            "node": context.get_node_id(),
            "gpus": ray.get_gpu_ids(),
            "device": self._device,
            "notice": self._notice.is_set(),
            "step": player.step if player else 0,
            "beats": sum(
                p.beats for p in self._players.values()
            ),  # who lives with others waits for its turn
        }


def player_class(readers: int = 1, cls: type[Process] = PlayerActor) -> Any:
    """The Ray class, with its threads; `readers`: those that wait for what it publishes at once, a
    thread each. No more than that: one that does nothing takes .2 % of a core.
    """
    return actor_class(cls, feed=readers)
