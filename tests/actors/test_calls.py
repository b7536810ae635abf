"""Orders on their way: which call carries which, without Ray."""

from types import SimpleNamespace
from typing import Any

import pytest

from raygan.actors import calls as module
from raygan.actors.calls import Calls, carrier
from raygan.actors.worker_group import MATCHMAKER
from raygan.controller.orders import Adopt, Done, Join, Order, Save
from raygan.errors import PlayerDied
from raygan.strategies.orders import Swap, Train
from tests.actors.fakes import Actor, Call, Ray

SWAP = Swap(4, (("a", "b"), ("b", "a")), "D", "all")


@pytest.fixture
def ray(monkeypatch: pytest.MonkeyPatch) -> Ray:
    fake = Ray()
    monkeypatch.setattr(module, "ray", fake)
    return fake


def group(ray: Ray, **homes: str) -> tuple[dict[str, Actor], Calls]:
    """player -> its actor, by the actor's name."""
    made = {name: Actor(name) for name in {*homes.values()}}
    actors = {player: made[name] for player, name in homes.items()}

    def along(player: str) -> list[str]:
        return [p for p, a in actors.items() if a is actors.get(player) and p != player]

    workers: Any = SimpleNamespace(actors=actors, along=along)
    replies: Any = SimpleNamespace(of=lambda reference, name: ray.get(reference))
    return actors, Calls(workers, replies)


def sent(actor: Actor) -> list[list[str]]:
    return [[o.player for o in call.args[0]] for call in actor.calls("train")]


def finish(calls: Calls, result: Any = None) -> None:
    for reference, (orders, _) in calls.pending.items():
        reference.result = result or [
            ({"steps": float(o.steps)}, None)  # type: ignore[union-attr]
            for o in orders
        ]
        reference.done = True


def test_who_lives_alone_trains_at_once_and_pairs_of_one_actor_together(ray: Ray) -> None:
    actors, calls = group(ray, a="one", b="two", c="two")
    for player in "abc":
        calls.train(Train(player, 5))
    assert (sent(actors["a"]), sent(actors["b"])) == ([["a"]], [])
    calls.send()
    assert sent(actors["b"]) == [["b", "c"]], "one call: they may be one batched model"
    calls.train(Train("b", 5))
    calls.send()
    assert sent(actors["b"]) == [["b", "c"]], "it is at that one still"
    finish(calls)
    done = [calls.result(reference) for reference in calls.ready([], 0.0)]
    assert [
        [d.order.player for d in of_one]  # type: ignore[union-attr]
        for of_one in done
    ] == [["a"], ["b", "c"]]
    calls.send()
    assert sent(actors["b"]) == [["b", "c"], ["b"]]


def test_a_part_is_taken_behind_the_round_that_was_ordered_before_it(ray: Ray) -> None:
    actors, calls = group(ray, b="two", c="two")
    calls.train(Train("b", 5))
    calls.send_of("c")
    assert [c.method for c in actors["b"].log] == ["train"]
    calls.send_of("c")
    assert len(actors["b"].log) == 1, "there is nothing else"


def test_what_is_held_for_one_that_left_is_not_sent_and_a_swap_goes_on(ray: Ray) -> None:
    actors, calls = group(ray, a="one", b="two", c="two")
    calls.train(Train("a", 5))
    for player in "bc":
        calls.train(Train(player, 5))
    for order in (SWAP, Adopt(SWAP)):
        calls.add(order, Call("matchmaker", "gather", ()))
    home = actors["b"]
    del calls.workers.actors["a"], calls.workers.actors["b"]
    calls.drop("a")
    calls.drop("b")
    assert [o for orders, _ in calls.pending.values() for o in orders] == [SWAP, Adopt(SWAP)]
    calls.send()
    assert sent(home) == [["c"]]


def test_of_a_call_only_those_count_that_are_still_there(ray: Ray) -> None:
    _, calls = group(ray, b="two", c="two")
    for player in "bc":
        calls.train(Train(player, 5))
    calls.send()
    del calls.workers.actors["b"]
    calls.drop("b")
    finish(calls)
    (done,) = calls.result(calls.ready([], 0.0)[0])
    assert done.order == Train("c", 5)
    assert calls.pending == {}


def test_a_call_that_fails_is_over(ray: Ray) -> None:
    _, calls = group(ray, a="one")
    calls.add(Save("a", 5, at=5), Call("one", "save", ()))
    finish(calls, PlayerDied("a", "killed"))
    with pytest.raises(PlayerDied):
        calls.result(calls.ready([], 0.0)[0])
    assert (calls.pending, calls.ready([], 0.0)) == ({}, [])


def test_all_that_have_come_are_one_turn_and_others_only_wake(ray: Ray) -> None:
    _, calls = group(ray, a="one", b="two")
    score = Call("evaluator", "evaluate", ())
    score.done = True
    assert calls.ready([score], 1.0) == []
    for player in "ab":
        calls.train(Train(player, 5))
    finish(calls)
    assert calls.training == {"a", "b"}
    assert len(calls.ready([score], 1.0)) == 2
    calls.clear()
    assert calls.ready([], 1.0) == []


def test_the_first_is_waited_for_as_long_as_was_said_and_the_others_are_looked_at(ray: Ray) -> None:
    _, calls = group(ray, a="one", b="two")
    for player in "ab":
        calls.train(Train(player, 5))
    calls.ready([], 0.5)
    assert ray.waits == [(1, 0.5)], "nothing has come"
    finish(calls)
    calls.ready([], 0.5)
    assert ray.waits[1:] == [(1, 0.5), (2, 0)]
    ray.waits.clear()
    calls.result(next(iter(calls.pending)))
    calls.ready([], 0.5)
    assert ray.waits == [(1, 0.5)], "of one alone that says all"


def test_a_call_is_its_player_s_or_the_matchmaker_s(ray: Ray) -> None:
    orders: list[Order] = [SWAP, Adopt(SWAP), Join("a", 3), Save("b", 4, at=4), Train("c", 5)]
    assert [carrier(o) for o in orders] == [MATCHMAKER, MATCHMAKER, "a", "b", "c"]


def test_what_is_no_round_is_one_order_and_its_seconds(
    ray: Ray, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = [10.0]
    monkeypatch.setattr(module.time, "perf_counter", lambda: clock[0])
    _, calls = group(ray, a="one")
    calls.add(Save("a", 5, at=5), Call("one", "save", ()))
    finish(calls, b"state")
    clock[0] = 12.5
    assert calls.result(calls.ready([], 0.0)[0]) == [Done(Save("a", 5, at=5), b"state", 2.5)]


def test_nothing_that_is_held_is_sent_after_a_clear(ray: Ray) -> None:
    actors, calls = group(ray, b="two", c="two")
    calls.train(Train("b", 5))
    calls.clear()
    calls.send()
    assert sent(actors["b"]) == []
