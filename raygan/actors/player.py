"""The Ray shell of a process's players: it checks the epoch and forwards to a `Worker`, which knows
no Ray and has the logic.

One thread trains; while it does, that of "ctl" answers what can be answered at once, and those of
"feed" hold open what others ask for and is not there yet.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Mapping, Sequence
from typing import Any

import ray
import torch

from raygan.actors.device import pick_device
from raygan.actors.messenger_worker import RemoteDeputy
from raygan.actors.process import Process, actor_class, heed_sigterm, keep_freed_memory
from raygan.actors.publications import ASK_S, Exchange
from raygan.config import Config
from raygan.controller.orders import Card
from raygan.controller.rounds import Round
from raygan.controller.worker import Worker
from raygan.data.base import Samples
from raygan.gan.device import described
from raygan.gan.parcels import Parcel
from raygan.gan.weights import Publication, Vector
from raygan.metrics.fidelity import Met
from raygan.strategies.base import Setup, strategy_of
from raygan.strategies.orders import Swap, Train
from raygan.strategies.partition import own_parts

SCORES = "scores"
"""The thread that `answer` is called in."""


class PlayerActor(Process):
    """One player in a process of its own; or several that share weights."""

    def __init__(self, run: str, label: str, data: list[Any]) -> None:
        super().__init__()
        keep_freed_memory()
        self._label = f"{run}/{label}"
        # a reference in a list travels as it is, and is resolved here, zero-copy
        self._samples: Samples = ray.get(data[0])
        self._own: dict[str, Samples] = {}
        self._device = "cpu"
        self._worker: Worker | None = None
        self._begun = threading.Event()
        self._notice = heed_sigterm()

    def __repr__(self) -> str:
        # Ray puts it before each of its log lines
        return self._label

    def rehearse(self, config: Config) -> None:
        """Build a player and drop it: a spare has imported then what it will need."""
        strategy = strategy_of(config)
        setup = Setup(config, self._samples, pick_device(config))
        strategy.build(strategy.locals(config)[0], setup)

    def begin(
        self, epoch: int, names: list[str], config: Config, states: dict[str, list[Any]],
        board: Any, deputies: dict[str, Any]
    ) -> None:  # fmt: skip
        """Build these players, each at its packed state where there is one; nothing of an earlier
        epoch is left.

        deputies: name -> (actor that works for the one of them that has some, seconds that it may
        take to begin).
        """
        # a run's bits depend on the number of threads: it is the config's, not the machine's
        torch.set_num_threads(config.resources.num_threads)
        helping = [
            RemoteDeputy(name, actor, epoch, config, board, begins_s)
            for name, (actor, begins_s) in deputies.items()
        ]
        exchange = Exchange(board, config.pace == "lockstep", epoch)
        worker = Worker(self._setup(names, config, helping), exchange)
        build(worker, names, states)
        # only now, whole: until then the other threads answer with what was there before, which
        # `fence` has closed
        self._board, self._worker = exchange, worker
        self._begun.set()

    def _setup(
        self, names: list[str], config: Config, helping: Sequence[RemoteDeputy] = ()
    ) -> Setup:
        strategy = strategy_of(config)
        new = [n for n in names if strategy.needs_data(n) and n not in self._own]
        # a part that was read stays: another attempt in this process does not read it again
        self._own |= own_parts(config, new, self._samples)
        device = pick_device(config, len(names))
        self._device = described(device)
        return Setup(config, self._samples, device, deputies=helping, own=self._own)

    def enter(self, names: list[str], config: Config, states: dict[str, list[Any]]) -> None:
        """More of them, beside those that live here already."""
        self._here.setup = self._setup(names, config)
        build(self._here, names, states)

    @property
    def _here(self) -> Worker:
        assert self._worker is not None, "an actor is begun before it is asked for anything"
        return self._worker

    @ray.method(concurrency_group="ctl")
    def fence(self, epoch: int) -> None:
        """A newer epoch has begun: what still trains here ends at its next look at the board."""
        # a spare, or one that is being begun, has nothing to end
        if self._worker is not None:
            self._board.close(epoch)

    def open(self, name: str, step: int | None = None) -> int:
        """See `Worker.open`."""
        return self._here.open(name, step)

    def offer(self, stay: list[str], go: list[list[str]], swap: Swap, epoch: int) -> Any:
        """First half of a swap, for all givers that live here: {name: Card} for the journal; and
        for each other actor that takes from here {name: network}, an object of its own which only
        that actor will fetch. Networks that `stay` are kept.
        """
        self._board.check(epoch)
        names = sorted({*stay, *(n for together in go for n in together)})
        parcels = self._here.offer(names, swap, stay)
        cards = {n: Card.of(p) for n, p in parcels.items()}
        return (cards, *({n: parcels[n] for n in together} for together in go)) if go else cards

    def adopt(self, names: list[str], swap: Swap, epoch: int, *came: dict[str, Parcel]) -> None:
        """Second half, for all takers that live here, once per swap however often it is called.
        Raises StaleEpochError for a swap of an earlier attempt.
        """
        self._board.check(epoch)
        self._here.adopt(names, swap, {n: p for networks in came for n, p in networks.items()})

    def train(self, orders: list[Train]) -> list[tuple[dict[str, float], Round | None]]:
        """Carry out orders, at once where that can be; the loop over steps is in the actor."""
        return self._here.train(orders)

    def leave(self, name: str) -> None:
        """One of several is no member any more."""
        del self._here.players[name]

    def save(self, name: str) -> bytes:
        """A player's state, packed for a checkpoint."""
        return self._here.state(name)

    def generator(self, name: str) -> Vector:
        """The generator to sample from."""
        return self._here.players[name].generator_vector()

    @ray.method(concurrency_group="ctl")
    def publications(
        self, shelves: list[str], after: int, upto: int
    ) -> dict[str, list[Publication]]:
        """Of each of these shelves here, the frozen publications after < version <= upto."""
        return self._board.kept.between(shelves, after, upto)

    @ray.method(concurrency_group="ctl")
    def newest(self, shelves: list[str]) -> dict[str, Publication]:
        """Of each of these shelves here, the newest publication, where there is one."""
        # a joiner is known to readers before it has begun
        return self._board.kept.newest(shelves) if self._worker is not None else {}

    @ray.method(concurrency_group="feed")
    def next(self, shelf: str, after: int) -> list[Publication]:
        """The same, as soon as there is one (at most publications.ASK_S later)."""
        return self._board.kept.next(shelf, after) if self._begun.wait(ASK_S) else []

    def answer(self, pair: str, question: list[Any]) -> Met | None:
        """What the pair's part says of samples, in a thread of its own, beside training; None: it
        has not been read here yet.
        """
        # here: few runs ask, and what a player imports each of its processes pays for
        from raygan.metrics.by_part import answer

        part = self._own.get(pair)
        return None if part is None else answer(pair, part, ray.get(question[0]))

    @ray.method(concurrency_group="ctl")
    def set_members(self, name: str, members: list[str]) -> None:
        """PMGAN's judge: whose slots count; also while it trains."""
        # only a player that counts on members is asked, and that one has it
        self._here.players[name].set_members(members)  # type: ignore[attr-defined]

    @ray.method(concurrency_group="ctl")
    def where(self, name: str) -> dict[str, Any]:
        """Node, process, device: for run.json and for tests."""
        # asked once a second, also of a spare and of one that is still being begun
        players = self._worker.players if self._worker is not None else {}
        return {
            "pid": os.getpid(),
            "node": ray.get_runtime_context().get_node_id(),
            "gpus": ray.get_gpu_ids(),
            "device": self._device,
            "notice": self._notice.is_set(),
            "step": players[name].step if name in players else 0,
            # of all that live here: who shares an actor waits for its turn, and does not hang
            "beats": sum(p.beats for p in [*players.values()]),
        }


def build(worker: Worker, names: list[str], states: Mapping[str, list[Any]]) -> None:
    """Players of a worker; states: name -> its packed state's reference, in a list so that it
    travels unresolved and is fetched here, by one actor only.
    """
    for name in names:
        worker.build(name, ray.get(states[name][0]) if name in states else None)


def player_class(readers: int = 1, cls: type[Process] = PlayerActor, sourced: bool = False) -> Any:
    """The Ray class, with its threads; `readers`: those that wait for what it publishes at once, a
    thread each; sourced: it reads parts, which are asked about samples. No more than that: one that
    does nothing takes .2 % of a core.
    """
    return actor_class(cls, feed=readers, **({SCORES: 1} if sourced else {}))
