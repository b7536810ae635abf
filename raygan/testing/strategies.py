"""Checks of a strategy, by whole runs in small."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, cast

import torch

from raygan.config import Config, resolve
from raygan.controller.inline import InlineExecutor
from raygan.controller.ledger import Ledger
from raygan.controller.orders import Save
from raygan.controller.turns import turns
from raygan.data.base import DataComponent, Samples
from raygan.data.given import spec_of
from raygan.errors import ConfigError, RayganError
from raygan.gan.bundle import unpack
from raygan.gan.weights import digest
from raygan.own.calling import calling
from raygan.own.objects import named
from raygan.strategies.base import Plan, Setup, StrategyComponent, strategy_of
from raygan.strategies.orders import Train
from raygan.testing.needs import need


def check_strategy(
    strategy: StrategyComponent, num_pairs: int = 3, steps: int = 6, **settings: Any
) -> None:
    """Trained to the end in both tempos; orders name players that exist; decide is pure; stopped
    and resumed gives the same bits.

    settings: of the config, as for raygan.train, for a strategy that needs other ones.
    """
    given = {
        "data": {"name": "ring", "modes": 8, "train": 256, "held_out": 64},
        "network": {"name": "mlp", "hidden": 8, "layers": 2},
        "num_pairs": num_pairs, "steps": steps, "round_steps": 2, "batch_size": 8, "pairs": [],
        "start_from": [], "evaluation": {"samples": 1500}, "resources": {"num_threads": 1},
        "strategy": strategy,
    }  # fmt: skip
    config = resolve(None, (), named(given | settings, spec_of)).config
    setup = Setup(config, _samples(config), torch.device("cpu"))
    whole = _Drive(strategy, setup).run({}, steps)
    memory: dict[str, Any] = {}
    # Stopped in the middle, restored, and compared with never stopped: what `verify` does for a
    # run (decision 11).
    half = _Drive(strategy, setup, memory).run({}, steps // 2)
    resumed = _Drive(strategy, setup, memory).run(half, steps)
    for player, raw in whole.items():
        need(digest(unpack(raw)) == digest(unpack(resumed[player])), strategy,
              f"{player} stopped at step {steps // 2} and resumed ends with other weights",
              "Keep all state in state().")  # fmt: skip
    loose = config.model_copy(update={"tempo": "async"})
    try:
        strategy.check(loose)
    except ConfigError:  # it says that it is for lockstep only
        return
    _Drive(strategy, replace(setup, config=loose)).run({}, steps)


def _samples(config: Config) -> Samples:
    component = config.component("data")
    assert isinstance(component, DataComponent)
    with calling("data", component.name, "load"):
        return component.load(config.seed)


class _Asked:
    """A strategy that is asked twice each time: it has to say the same."""

    def __init__(self, strategy: StrategyComponent, shown: StrategyComponent) -> None:
        self._strategy, self._shown = strategy, shown

    def __getattr__(self, name: str) -> Any:
        return getattr(self._strategy, name)

    def decide(self, ready: Sequence[str], progress: Any, plan: Plan) -> list[Any]:
        """What the strategy orders, asked twice: both must be the same."""
        orders, again = (list(self._strategy.decide(ready, progress, plan)) for _ in range(2))
        need(orders == again, self._shown, "decide gives other orders when asked again",
              "Draw by plan.seed and the step only.")  # fmt: skip
        for order in orders:
            fine = not isinstance(order, Train) or order.steps > 0
            need(fine, self._shown, f"orders {order}", "Order at least one step.")
        return orders


class _Drive:
    """A run in small: the turns that all drivers step, in this process; saved at the end."""

    def __init__(
        self, strategy: StrategyComponent, setup: Setup, memory: dict[str, Any] | None = None
    ) -> None:
        self.setup, self.memory = setup, {} if memory is None else memory
        asked = _Asked(strategy_of(setup.config), strategy)
        self.strategy = cast(StrategyComponent, asked)

    def run(self, states: Mapping[str, bytes], steps: int) -> dict[str, bytes]:
        """Each player's packed state at `steps`."""
        config, executor = self.setup.config, InlineExecutor(self.setup)
        plan = replace(Plan.of(config, self.setup.num_samples), steps=steps)
        players = self.strategy.players(config)
        out: dict[str, bytes] = {}
        try:
            executor.start(players, states)
            begun = {p: int(str(unpack(raw)["step"])) for p, raw in states.items()}
            ledger = Ledger.begin(players, begun, self.memory)
            for _ in turns(self.strategy, plan, ledger, executor, players):
                pass
            while executor.wait(0):
                pass  # a swap's second half
            for player in players:
                executor.submit(Save(player, steps, steps))
                out[player] = executor.wait(0)[0].result
        except RayganError as error:
            raise AssertionError(str(error)) from None
        finally:
            executor.close()
        self.memory.update(ledger.extra())
        return out
