"""Uneven machines: training is real, time is not. Each player has a speed of its own; the order
that would be done first is done first.
"""

from __future__ import annotations

import random
from typing import Any

import pytest

from raygan.config import Config
from raygan.controller.inline import InlineExecutor
from raygan.controller.ledger import Ledger
from raygan.controller.max_ahead import paced
from raygan.controller.orders import Done, Order
from raygan.controller.turns import turns
from raygan.errors import ConfigError
from raygan.gan.weights import digest
from raygan.strategies.base import Plan, Progress, strategy_of
from raygan.strategies.orders import Swap, Train
from raygan.strategies.pmgan import answers, judge
from tests.conftest import setup_of, tiny_config

KINDS: dict[str, dict[str, Any]] = {
    "sgan": {"strategy": {"name": "sgan", "messenger_lifetime": 2}, "num_pairs": 3},
    "gap": {"strategy": {"name": "gap", "swap_every": 4, "max_wait": 2.0}, "num_pairs": 4},
    "pmgan": {"strategy": {"name": "pmgan"}, "loss": "reverse_kl", "num_pairs": 3},
    "pmgan, any fresh": {
        "strategy": {"name": "pmgan", "judge_update": "any_fresh"},
        "loss": "reverse_kl",
        "num_pairs": 3,
    },
    "sgan over pmgan": {"strategy": {"name": "sgan", "over": {"name": "pmgan"}}, "num_pairs": 3},
    "sgan over gap": {
        "strategy": {"name": "sgan", "over": {"name": "gap", "swap_every": 4}},
        "num_pairs": 3,
    },
}
SLOW = ("global", "judge", "pair-01", "gen-01", "")


class Uneven(InlineExecutor):
    """In virtual time: a step of a player takes `cost(player, now)` seconds."""

    def __init__(self, config: Config, slow: str, stalls: bool = False) -> None:
        super().__init__(setup_of(config))
        self.slow, self.stalls = slow, stalls
        self.now = 0.0
        self.due: dict[int, float] = {}
        """Order (by identity) -> when it is done."""

    def cost(self, player: str) -> float:
        """Ten times as much for the slow one; or it stands still for 5 s of each 20."""
        if player != self.slow:
            return 0.01
        return 5.0 if self.stalls and self.now % 20 < 5 else 0.1

    def submit(self, order: Order) -> None:
        takes = order.steps * self.cost(order.player) if isinstance(order, Train) else 0.0
        self.due[id(order)] = self.now + takes
        super().submit(order)

    def wait(self, timeout_s: float) -> list[Done]:
        if not self.queue:
            self.now += timeout_s
            return []
        first = min(self.queue, key=lambda o: self.due[id(o)])
        self.now = max(self.now, self.due.pop(id(first)))
        self.queue.remove(first)
        self.queue.appendleft(first)
        return super().wait(0)


def train(
    config: Config, executor: InlineExecutor, check: Any = None, playing: list[str] | None = None
) -> Ledger:
    """To the end. check: called with the ledger after each order; `playing` may grow meanwhile."""
    strategy = strategy_of(config)
    players = strategy.players(config) if playing is None else playing
    executor.start(players, {})
    ledger = Ledger(dict.fromkeys(players, 0), clock=lambda: getattr(executor, "now", 0.0))
    ledger.idle = dict.fromkeys(players, 0.0)
    plan = Plan.of(config, 400)
    for _ in turns(strategy, plan, ledger, executor, players):
        if check is not None:
            check(ledger)
    return ledger


def small(kind: str, **more: Any) -> Config:
    """40 steps of it; one at a time where a round waits for another player."""
    each = 1 if "pmgan" in kind else 5
    return tiny_config(**{**KINDS[kind], "steps": 40, "round_steps": each, "batch_size": 8, **more})


@pytest.fixture(autouse=True)
def _nobody_publishes_while_somebody_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (answers, judge):
        monkeypatch.setattr(module, "PATIENCE_S", 1e-4)
        monkeypatch.setattr(module, "LOOK_S", 1e-4)


@pytest.mark.parametrize(
    "stalls",
    [False, pytest.param(True, marks=pytest.mark.exhaustive)],
    ids=["ten times slower", "standing still"],
)
@pytest.mark.parametrize(
    ("kind", "slow"),
    [
        (kind, slow)
        for kind in KINDS
        for slow in SLOW
        if not slow or slow in strategy_of(small(kind)).players(small(kind))
    ],
)
def test_nobody_is_ever_further_ahead_than_the_bound(kind: str, slow: str, stalls: bool) -> None:
    config = small(kind, tempo="async", max_ahead=7)
    players = [p for p in strategy_of(config).players(config) if p != "judge"]

    def check(ledger: Ledger) -> None:
        steps = [ledger.done[p] for p in players]
        assert max(steps) - min(steps) <= (14 if kind == "sgan over pmgan" else 7)

    ledger = train(config, Uneven(config, slow, stalls), check)
    assert set(ledger.done.values()) == {40}


@pytest.mark.parametrize("most", [1, 2, 7])
@pytest.mark.parametrize("feedback", ["weights", "gradients", "weights, below a global pair"])
@pytest.mark.parametrize("update", ["all_fresh", "any_fresh"])
@pytest.mark.parametrize(
    "counted_late", [0, *(pytest.param(steps, marks=pytest.mark.exhaustive) for steps in (5, 30))]
)
def test_a_joiner_and_those_before_it_never_wait_for_each_other(
    update: str, feedback: str, most: int, counted_late: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """counted_late: steps that the others had done as it came, and had not told of yet: by so many
    the ledger has it behind more than it is.
    """
    # Whoever waits for ever ends by it, and a busy machine does not.
    monkeypatch.setattr(answers, "DEADLINE_S", 20.0)
    strategy = {
        "name": "pmgan",
        "classes": 3,
        "judge_update": update,
        "feedback": feedback.partition(",")[0],
    }
    if "below" in feedback:
        strategy = {"name": "sgan", "over": strategy}
    config = tiny_config(
        tempo="async", loss="reverse_kl", strategy=strategy, num_pairs=2, steps=60, round_steps=5,
        max_ahead=most, batch_size=8,
    )  # fmt: skip
    executor = Uneven(config, "")

    def join(ledger: Ledger) -> None:
        at = min(ledger.done["gen-00"], ledger.done["gen-01"])
        if at < 40 or "gen-02" in ledger.done:
            return
        grown = config.model_copy(update={"num_pairs": 3, "members": (0, 1, 2)})
        executor.configure(grown)
        executor.worker.build("gen-02")
        executor.worker.open("gen-02", 20)
        executor.configure(grown, strategy_of(config).audience(config))
        ledger.joined("gen-02", 20)
        ledger.credit["gen-02"] = max(0, ledger.credit["gen-02"] - counted_late)
        playing.append("gen-02")

    playing = strategy_of(config).players(config)
    ledger = train(config, executor, join, playing)
    assert ledger.done == dict.fromkeys(playing, 60)


@pytest.mark.parametrize("kind", KINDS)
def test_waiting_for_a_slow_player_is_counted_with_those_that_waited(kind: str) -> None:
    config = small(kind, tempo="async", max_ahead=5, round_steps=5)
    slow = strategy_of(config).locals(config)[1]
    ledger = train(config, Uneven(config, slow))
    waited = {p: ledger.held_s.get(p, 0.0) for p in ledger.done if p != "judge"}
    if "pmgan" not in kind:  # there they wait within their rounds, for the judge
        assert all(seconds > 1.0 for p, seconds in waited.items() if p != slow)
    assert waited[slow] < 0.2 * max(1.0, *waited.values())


PARTS = {"partition": "shards"}
EVERY: dict[str, dict[str, Any]] = KINDS | {
    "independent": {"strategy": {"name": "independent"}, "num_pairs": 3},
    "shared weights": {"strategy": {"name": "independent", "share_weights": True}, "num_pairs": 2},
    "winners replace": {"strategy": {"name": "gap", "swap_every": 4, "winner_replace": 1},
                        "num_pairs": 4},
    "gradients": {"strategy": {"name": "pmgan", "feedback": "gradients"}, "loss": "reverse_kl",
                  "num_pairs": 3},
    "population": {"strategy": {"name": "population", "exploit_every": 4, "rank_samples": 20},
                   "num_pairs": 4},
    "federated": {"data": PARTS, "strategy": {"name": "federated"}, "num_pairs": 3},
    "mdgan": {"data": PARTS, "strategy": {"name": "mdgan", "swap_every": 4}, "num_pairs": 3},
    "fedavg": {"data": PARTS, "strategy": {"name": "fedavg", "every": 4}, "num_pairs": 3},
}  # fmt: skip


def bits(config: Config) -> dict[str, str]:
    """Of each player at the end, on uneven machines."""
    executor = Uneven(config, strategy_of(config).locals(config)[1])
    train(config, executor)
    return {p: digest(player.state()) for p, player in executor.players.items()}


@pytest.mark.parametrize("kind", EVERY)
def test_no_step_of_freedom_is_lockstep_bit_for_bit(kind: str) -> None:
    def end(**settings: Any) -> dict[str, str]:
        return bits(tiny_config(**{**EVERY[kind], "steps": 12, "round_steps": 5, "batch_size": 8,
                                   **settings}))  # fmt: skip

    assert end(tempo="async", max_ahead=0) == end(tempo="lockstep")


@pytest.mark.parametrize(
    ("strategy", "instead"),
    [
        ({"name": "sgan", "max_lag": 0}, "--max-ahead 0"),
        ({"name": "pmgan", "max_lag": 0}, "--max-ahead 0"),
        ({"name": "population"}, "--tempo lockstep"),
        ({"name": "federated"}, "--tempo lockstep"),
        ({"name": "fedavg"}, "--tempo lockstep"),
    ],
)  # fmt: skip
def test_what_async_cannot_do_is_refused_with_what_can(
    strategy: dict[str, Any], instead: str
) -> None:
    loss = "reverse_kl" if strategy["name"] == "pmgan" else "non_saturating"
    with pytest.raises(ConfigError, match=instead):
        strategy_of(tiny_config(tempo="async", strategy=strategy, loss=loss, num_pairs=3))


def test_who_comes_back_far_behind_is_not_waited_for() -> None:
    config = tiny_config(tempo="async", max_ahead=10, num_pairs=3, steps=1000)
    strategy, plan = strategy_of(config), Plan.of(config, 400)
    ledger = Ledger({"pair-00": 300, "pair-02": 305, "global": 310})
    ledger.joined("pair-01", 100)
    orders = [Train("pair-02", 10)]
    assert paced(strategy, orders, ledger.progress, plan) == ([Train("pair-02", 5)], [])
    ledger.done["pair-01"] = 50  # but it may fall no further behind
    assert paced(strategy, orders, ledger.progress, plan) == ([], ["pair-02"])
    again = Ledger.begin(["pair-00", "pair-01"], {}, ledger.extra())
    assert again.credit == {"pair-01": 200}, "a resumed run knows it too"


def test_pairs_that_never_hear_of_each_other_never_wait() -> None:
    config = tiny_config(tempo="async", strategy={"name": "independent"}, max_ahead=1, num_pairs=2)
    order, at = Train("pair-00", 50), Progress({"pair-00": 50, "pair-01": 0})
    assert paced(strategy_of(config), [order], at, Plan.of(config, 400)) == ([order], [])


def test_the_slowest_is_never_held_and_swaps_are_let_through() -> None:
    config = tiny_config(**KINDS["gap"], tempo="async", max_ahead=3, steps=1000)
    strategy, plan, rng = strategy_of(config), Plan.of(config, 400), random.Random(0)
    swap = Swap(4, (("pair-00", "pair-01"), ("pair-01", "pair-00")))
    for _ in range(200):
        done = {p: rng.randrange(1001) for p in strategy.players(config)}
        orders = [swap, *(Train(p, min(50, 1000 - s)) for p, s in done.items() if s < 1000)]
        kept, waiting = paced(strategy, orders, Progress(done), plan)
        going = [p for p, s in done.items() if s < 1000]
        assert kept[0] == swap
        assert not going or min(going, key=lambda p: done[p]) not in waiting
        for order in kept[1:]:
            assert isinstance(order, Train)
            assert done[order.player] + order.steps <= min(done[p] for p in going) + 3
