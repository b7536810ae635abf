"""The collaborators of SGAN's global pair: who has whom, and how much each opponent counts."""

from __future__ import annotations

import math

import pytest

from raygan.controller.worker import Shelves
from raygan.strategies.base import strategy_of
from raygan.strategies.roles import GLOBAL
from raygan.strategies.sgan.deputies import DeputyHere
from raygan.strategies.sgan.global_pair import GlobalPair
from raygan.strategies.sgan.opposition import Opposition
from raygan.strategies.sgan.payoffs import Payoffs
from raygan.strategies.sgan.strategy import Sgan
from tests.conftest import setup_of, tiny_config


def opposition(shards: int = 1, pairs: int = 4) -> Opposition:
    config = tiny_config(num_pairs=pairs, strategy={"name": "sgan", "messenger_shards": shards})
    supervisor = strategy_of(config).build(GLOBAL, setup_of(config))
    assert isinstance(supervisor, GlobalPair)
    return supervisor.opposition


def with_whom(found: Opposition) -> list[list[str]]:
    shards = [d.shard for d in found.deputies if isinstance(d, DeputyHere)]
    return [list(o.by_name) for o in (found.here, *(s.opponents for s in shards))]


def test_who_has_whom_goes_by_number_whoever_comes_and_goes() -> None:
    found = opposition(shards=2)
    assert with_whom(found) == [["pair-00", "pair-02"], ["pair-01", "pair-03"]]
    kept = found.here.by_name["pair-02"]
    found.set_members(["pair-02", "pair-03", "pair-05"])
    assert found.meet()
    assert with_whom(found) == [["pair-02"], ["pair-03", "pair-05"]]
    assert found.here.by_name["pair-02"] is kept, "its messenger goes on with what it has learned"
    assert not found.meet(), "nobody has come or gone since"


def test_nobody_is_met_before_a_first_version_is_there() -> None:
    found = opposition()
    assert found.met == []
    assert found.lag(0) == 0.0
    fresh, elsewhere = found.due(0, Shelves())
    assert (fresh, elsewhere) == ({}, [])


def test_a_state_of_more_opponents_is_taken_up_by_those_who_are_there() -> None:
    found = opposition(shards=2)
    for opponent in found.here.by_name.values():
        opponent.version = 3
    state = found.state()
    other = opposition(shards=2, pairs=2)
    other.restore(state)
    assert {n: other.version(n) for n in other.locals} == {"pair-00": 3, "pair-01": 0}


def payoffs(opponents: str = "payoff") -> Payoffs:
    made = Payoffs(Sgan(opponents=opponents))  # type: ignore[arg-type]
    made.set_members(["a", "b"])
    return made


def test_an_opponent_that_is_lost_against_counts_more_in_that_network_alone() -> None:
    found = payoffs()
    mean = found.note("g", {"a": 2.0, "b": 0.0}, {"a": 0.5, "b": 0.5})
    shares = found.shares(["a", "b"])
    assert mean == 1.0
    assert shares["g"]["a"] > shares["g"]["b"]
    assert shares["d"] == {"a": 0.5, "b": 0.5}
    assert sum(shares["g"].values()) == pytest.approx(1.0)


def test_a_loss_that_is_not_finite_is_told_and_not_followed() -> None:
    found = payoffs()
    assert math.isnan(found.note("d", {"a": math.nan, "b": 1.0}, {"a": 0.5, "b": 0.5}))
    assert found.of["d"] == {"a": 0.0, "b": pytest.approx(0.1)}


def test_payoffs_go_on_after_a_restore_and_new_members_begin_at_0() -> None:
    found, other = payoffs(), payoffs()
    found.note("g", {"a": 2.0, "b": 1.0}, {"a": 0.5, "b": 0.5})
    other.restore(found.state())
    assert other.of == found.of
    other.set_members(["b", "c"])
    assert other.of["g"] == {"b": found.of["g"]["b"], "c": 0.0}


def test_uniform_opponents_are_not_followed() -> None:
    found = payoffs("uniform")
    found.note("g", {"a": 2.0, "b": 0.0}, {"a": 0.5, "b": 0.5})
    assert found.shares(["a"]) == {"g": {"a": 1.0}, "d": {"a": 1.0}}
    assert found.of["g"] == {"a": 0.0, "b": 0.0}
