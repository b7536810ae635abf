"""A turn of the executor, without Ray."""

from typing import Any

import pytest
from ray.exceptions import ObjectLostError, RayTaskError

from raygan.actors import calls, executor, replies, scoring
from raygan.actors.executor import RayExecutor
from raygan.controller.orders import Evaluate, Join
from raygan.errors import PlayerDied
from raygan.strategies.orders import Train
from tests.actors.fakes import Actor, Ray
from tests.conftest import setup_of, tiny_config


@pytest.fixture
def ours(monkeypatch: pytest.MonkeyPatch) -> RayExecutor:
    """On no Ray, with nobody dead or hung."""
    ray = Ray()
    for module in (calls, executor, replies, scoring):
        monkeypatch.setattr(module, "ray", ray)
    monkeypatch.setattr(replies, "dead_head", lambda: None)
    made = RayExecutor("run", setup_of(tiny_config()))
    monkeypatch.setattr(made.replies, "look", lambda busy: None)
    return made


def test_a_generator_that_is_lost_with_its_node_is_its_player_s(
    ours: RayExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ray names an object there, and no actor."""
    monkeypatch.setattr(ours.scoring.evaluator, "ask", lambda order, generator: generator[0])
    lost = ObjectLostError("0" * 56, "", "")
    score = RayTaskError("evaluate", "", lost)
    ours.workers.actors |= {"pair-00": Actor("one"), "pair-01": Actor("two", generator=score)}
    ours.submit(Evaluate("pair-01", 5))
    with pytest.raises(PlayerDied) as death:
        ours.wait(0.0)
    assert death.value.player == "pair-01"
    assert ours.workers.lost == {"pair-01"}


def test_a_joiner_that_dies_as_it_comes_takes_nothing_of_what_others_have_done(
    ours: RayExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ours.scoring, "look", list)
    actor = Actor("one", train=[({"steps": 5.0}, None)], open=7)
    ours.workers.actors |= {"pair-00": actor, "pair-01": Actor("two")}
    ours.submit(Train("pair-00", 5))
    ours.calls.add(Join("pair-01", 7), actor.open.remote("pair-01", 7))

    def gone(player: str) -> Any:
        raise PlayerDied(player, "killed")

    monkeypatch.setattr(ours.startup, "joined", gone)
    assert [item.order for item in ours.wait(0.0)] == [Train("pair-00", 5)]
    with pytest.raises(PlayerDied, match="pair-01"):
        ours.wait(0.0)
