"""The Ray shell of the evaluator."""

from __future__ import annotations

from typing import Any

import ray
import torch

from raygan.actors.pair_sources import answers_of
from raygan.actors.process import Helper, keep_freed_memory
from raygan.config import Config
from raygan.controller.evaluator import Evaluator
from raygan.controller.orders import Scored
from raygan.controller.scores import tried
from raygan.strategies.base import Setup


class EvaluatorActor(Helper):
    """Scores generators in a process of its own, so that no pair waits."""

    def __init__(self, run: str, config: Config, data: list[Any]) -> None:
        super().__init__()
        keep_freed_memory()
        self._label = f"{run}/evaluator"
        # it has a share of a CPU, and a score must not take those of the players
        torch.set_num_threads(1)
        setup = Setup(config, ray.get(data[0]), torch.device("cpu"))
        self._holders: dict[str, Any] = {}
        ask = None if setup.data.whole else lambda q: answers_of(setup, q, self._holders)
        self._evaluator = Evaluator(setup, ask)

    def __repr__(self) -> str:
        return self._label

    def begin(self, epoch: int) -> None:
        """Another attempt: what was gathered for mixtures will come again."""
        self._evaluator.waiting.clear()

    def evaluate(
        self, player: str, step: int, generator: list[Any], members: tuple[str, ...],
        holders: dict[str, Any]
    ) -> Scored:  # fmt: skip
        """Score the generator behind the reference, or say why that cannot be done; holders: the
        actors of parts, where nobody has the whole. Raises the RayError of a dead player.
        """
        # outside of `tried`: a dead player is no failed score
        vector = ray.get(generator[0])
        self._holders = holders
        if holders:
            self._evaluator.attend(list(holders))
        return tried(lambda: self._evaluator.evaluate(player, step, vector, members))
