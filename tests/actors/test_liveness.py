"""The pulse of a run, without Ray: what it makes of answers, and of those that never come."""

from collections.abc import Callable
from typing import Any

import pytest
from ray.exceptions import ActorDiedError

from raygan.actors import liveness as deaths
from raygan.actors.liveness import Pulse, lost_node


class Actor:
    """Its `where` is answered, or fails, when it is read."""

    def __init__(self, answer: Callable[[], dict[str, Any]]) -> None:
        self.where = self
        self.answer = answer

    def remote(self, name: str) -> Callable[[], dict[str, Any]]:
        return self.answer


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [100.0]
    monkeypatch.setattr(deaths.time, "monotonic", lambda: now[0])
    monkeypatch.setattr(deaths.ray, "wait", lambda refs, num_returns, timeout: (refs, []))
    monkeypatch.setattr(deaths.ray, "get", lambda reference: reference())
    return now


def answers() -> dict[str, Any]:
    return {"node": "n", "pid": 1, "beats": 1}


def dies() -> dict[str, Any]:
    raise ActorDiedError


def test_what_a_dead_actor_was_asked_is_not_held_against_its_successor(clock: list[float]) -> None:
    """Else the error of the old one, a member no more, is taken for somebody else's death."""
    pulse = Pulse(3.0, {})
    assert (
        pulse.beat({"pair-00": Actor(answers), "pair-01": Actor(dies)}, []) is None
    )  # asked, not read yet
    clock[0] += 1.0
    assert pulse.beat({"pair-00": Actor(answers), "pair-01": Actor(answers)}, []) is None


def test_a_dead_actor_is_told_and_a_silent_one_found_by_the_lease(
    clock: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    pulse, dead = Pulse(3.0, {}), {"pair-00": Actor(dies)}
    pulse.beat(dead, [])
    clock[0] += 1.0
    with pytest.raises(ActorDiedError):
        pulse.beat(dead, [])
    pulse, silent = Pulse(3.0, {}), {"pair-00": Actor(answers)}
    monkeypatch.setattr(deaths.ray, "wait", lambda refs, num_returns, timeout: ([], refs))
    found = []
    for _ in range(5):
        clock[0] += 1.0
        found.append(pulse.beat(silent, []))
    assert found == [None, None, None, None, "pair-00"]


def test_a_death_is_told_as_soon_as_it_is_heard_of(clock: list[float]) -> None:
    """Not at the next question, a second later."""
    pulse, dead = Pulse(3.0, {}), {"board": Actor(dies)}
    pulse.beat(dead, [])
    clock[0] += deaths.LOOK_S / 2
    assert pulse.beat(dead, []) is None, "nor all the time"
    clock[0] += deaths.LOOK_S
    with pytest.raises(ActorDiedError):
        pulse.beat(dead, [])


def test_who_was_told_to_end_is_noted(clock: list[float]) -> None:
    pulse, actor = Pulse(3.0, {}), Actor(lambda: {**answers(), "notice": True})
    pulse.beat({"pair-00": actor, "pair-01": Actor(answers)}, [])
    clock[0] += 1.0
    pulse.beat({"pair-00": actor, "pair-01": Actor(answers)}, [])
    assert pulse.noticed == {"pair-00": actor}


def test_one_that_starts_again_has_the_time_that_a_start_takes(
    clock: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    pulse = Pulse(3.0, {})
    pulse.beat({"evaluator": Actor(answers)}, [])
    pulse.starting("evaluator", 10.0)
    monkeypatch.setattr(deaths.ray, "wait", lambda refs, num_returns, timeout: ([], refs))
    successor, found = {"evaluator": Actor(answers)}, []
    for _ in range(11):
        clock[0] += 1.0
        found.append(pulse.beat(successor, ["evaluator"]))
    assert found == [None] * 10 + ["evaluator"]


def test_a_lost_node_is_read_from_the_error() -> None:
    text = (
        "The actor died because its node has died. Node Id: 0a1b2c the actor's node was terminated"
        " unexpectedly"
    )
    assert lost_node(RuntimeError(text)) == "0a1b2c"
    assert lost_node(RuntimeError("Worker exit type: SYSTEM_ERROR. Node ID: 0a1b2c")) is None


def test_an_envoy_for_a_stack_is_sent_before_the_lease_is_over_and_once(
    clock: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its process takes a while to start; where somebody gets on meanwhile it is called back."""
    sent: list[tuple[str, int]] = []
    monkeypatch.setattr(deaths, "envoy", lambda place: sent.append(place) or len(sent))
    monkeypatch.setattr(deaths, "stack_there", lambda place, envoy=None: f"{place} {envoy}")
    pulse = Pulse(6.0, {"pair-00": ("there", 7)})
    actors = {"pair-00": Actor(lambda: {"node": "there", "pid": 7, "beats": 1})}

    def pass_by(seconds: int, answered: bool) -> None:
        monkeypatch.setattr(
            deaths.ray, "wait", lambda refs, **_: (refs, []) if answered else ([], refs)
        )
        for _ in range(seconds):
            clock[0] += 1.0
            assert pulse.beat(actors, []) is None

    pass_by(4, answered=False)
    assert (sent, pulse.stack("pair-00")) == ([], "('there', 7) None")
    pass_by(3, answered=False)
    assert (sent, pulse.stack("pair-00")) == ([("there", 7)], "('there', 7) 1")
    pass_by(2, answered=True)
    pass_by(4, answered=False)
    assert (sent, pulse.stack("pair-00")) == ([("there", 7)] * 2, "('there', 7) 2")
    assert pulse.stack("nobody").startswith("None")
