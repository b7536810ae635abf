"""SGAN's deputies on Ray: actors with a share of the messengers (`messenger_shards`), and the
global pair's end of the line.

global pair's actor  --begin, have, read, carry_out-->  MessengerWorkerActor    its one caller: Ray
                                                                                keeps their order
locals' actors       --publications-->                  MessengerWorkerActor    straight from the
                                                            locals, as to the global pair
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import ray
import torch

from raygan.actors.device import pick_device
from raygan.actors.process import Helper, answer, keep_freed_memory
from raygan.actors.publications import Exchange
from raygan.config import Config
from raygan.data.base import Samples
from raygan.errors import StaleEpochError
from raygan.gan.types import Board, State
from raygan.strategies.base import Setup, strategy_of
from raygan.strategies.sgan.deputies import Answer, Deputy, Shard, Task

FOR_ITS_CALLER = 0.8
"""Of the lease: a deputy that hangs is found before the global pair, which waits for it, is taken
for the one that does.
"""


def patience_s(config: Config) -> float:
    """Seconds that the global pair waits for one that is up."""
    return FOR_ITS_CALLER * config.failures.lease_s


class MessengerWorkerActor(Helper):
    """A process with a shard of the opponents."""

    def __init__(self, run: str, label: str, data: list[Any]) -> None:
        super().__init__()
        keep_freed_memory()
        self._label = f"{run}/{label}"
        self._samples: Samples = ray.get(data[0])
        self._epoch = 0

    def __repr__(self) -> str:
        return self._label

    def begin(self, epoch: int, config: Config, board: Any) -> None:
        """Another attempt, with nothing of the one before."""
        torch.set_num_threads(config.resources.num_threads)
        self._shard: Shard = strategy_of(config).deputy(
            Setup(config, self._samples, pick_device(config))
        )
        self._board = Exchange(board, config.pace == "lockstep", epoch)
        self._epoch = epoch

    def call(self, method: str, epoch: int, *args: Any) -> Any:
        """A method of the shard. Raises StaleEpochError for a caller of an earlier attempt."""
        # a global pair of an attempt that is over may still ask, until its next look at the board
        if epoch != self._epoch:
            raise StaleEpochError(epoch, self._epoch)
        if method in ("read", "carry_out"):
            args = (*args, self._board)
        return getattr(self._shard, method)(*args)


class RemoteDeputy(Deputy):
    """What the global pair holds of one. Raises PlayerDied where it does not answer in time."""

    def __init__(
        self, name: str, actor: Any, epoch: int, config: Config, board: Any, begins_s: float
    ) -> None:
        """begins_s: within which it has begun; a process that has yet to come up has longer."""
        self.name = name
        self.actor = actor
        self.epoch = epoch
        self.patience_s = patience_s(config)
        answer(name, actor.begin.remote(epoch, config, board), begins_s)

    def have(self, names: Sequence[str]) -> None:
        """Does not wait; what is asked next comes after it."""
        self._call("have", list(names))

    def read(self, after: int, upto: int, board: Board) -> Callable[[], dict[str, list[int]]]:
        """The deputy reads through a board of its own, at the other end; called again, it waits."""
        return self._call("read", after, upto)

    def carry_out(self, task: Task, board: Board) -> Callable[[], Answer]:
        """The deputy begins now; what is returned waits for its answer."""
        return self._call("carry_out", task)

    def state(self) -> State:
        """The deputy's state; waits until it has answered."""
        state: State = self._call("state")()
        return state

    def restore(self, state: State) -> None:
        """The deputy takes up a state; waits until it has."""
        self._call("restore", state)()

    def _call(self, method: str, *args: Any) -> Callable[[], Any]:
        reference = self.actor.call.remote(method, self.epoch, *args)
        return lambda: self._wait(reference)

    def _wait(self, reference: Any) -> Any:
        return answer(self.name, reference, self.patience_s)
