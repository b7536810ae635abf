"""What Ray's errors mean: who died, of what, who is lost along; without Ray."""

from types import SimpleNamespace
from typing import Any

import pytest
from ray.exceptions import ActorDiedError, RayTaskError

from raygan.actors import replies as module
from raygan.actors.replies import Replies
from raygan.errors import NonFiniteError, PlayerDied
from tests.actors.fakes import Actor, Call, Ray


@pytest.fixture
def replies(monkeypatch: pytest.MonkeyPatch) -> Replies:
    """pair-00 and pair-01 live in one actor on n1, pair-02 on n2, the board on n1."""
    monkeypatch.setattr(module, "ray", Ray())
    monkeypatch.setattr(module, "dead_head", lambda: None)
    shared = Actor("shared")
    actors = {"pair-00": shared, "pair-01": shared, "pair-02": Actor("own")}
    workers: Any = SimpleNamespace(
        actors=actors, helpers={"board": Actor("board"), "evaluator": Actor("evaluator")},
        places={"pair-00": ("n1", 1), "pair-01": ("n1", 1), "pair-02": ("n2", 2),
                "board": ("n1", 3)},
        lost=set(), along=lambda p: [q for q, a in actors.items() if a is actors.get(p) and q != p],
    )  # fmt: skip
    pulse: Any = SimpleNamespace(stack=lambda name: f"stack of {name}", lease_s=7.0)
    return Replies(workers, pulse)


def failed(error: Exception) -> Call:
    call = Call("pair-02", "train", ())
    call.result, call.done = error, True
    return call


def died(actor: str) -> ActorDiedError:
    error = ActorDiedError()
    error.actor_id = f"id of {actor}"
    return error


def test_a_death_is_that_of_the_actor_that_ray_names(replies: Replies) -> None:
    with pytest.raises(PlayerDied) as death:
        replies.of(failed(died("shared")), "pair-02")
    assert (death.value.player, death.value.home) == ("pair-00", ("pair-00", "pair-01"))
    assert replies.workers.lost == {"pair-00"}
    assert replies.died(died("nobody's"), "pair-02").player == "pair-02", "of whom it was asked"


def test_a_lost_node_takes_along_all_that_lived_there(
    replies: Replies, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "lost_node", lambda error: "n1")
    assert replies.died(died("own"), "pair-02").player == "pair-00", "the first of them"
    assert replies.workers.lost == {"pair-00", "pair-01", "board"} | {
        replies.died(died("own"), "pair-02").player
    }


def test_the_users_error_is_the_users_and_a_neighbours_death_the_neighbours(
    replies: Replies,
) -> None:
    ours = NonFiniteError("pair-02", "loss_d is NaN")
    with pytest.raises(NonFiniteError):
        replies.of(failed(RayTaskError("train", "", ours)), "pair-02")
    assert replies.workers.lost == set()
    with pytest.raises(PlayerDied) as death:
        replies.of(failed(RayTaskError("train", "", died("shared"))), "pair-02")
    assert death.value.player == "pair-00", "it was only reading from that one"


def test_who_does_not_answer_in_time_hangs_also_while_nobody_trains(replies: Replies) -> None:
    silent = Call("own", "set_members", ())
    with pytest.raises(PlayerDied, match="did not answer within 0 s") as death:
        replies.of(silent, "pair-02", 0.0)
    assert (death.value.player, death.value.kind) == ("pair-02", "hang")
    assert replies.workers.lost == {"pair-02"}


def test_while_somebody_is_waited_for_all_have_their_lease(replies: Replies) -> None:
    asked: list[tuple[set[str], tuple[str, ...]]] = []

    def beat(actors: Any, busy: tuple[str, ...]) -> str:
        asked.append(({*actors}, busy))
        return "pair-00"

    replies.pulse.beat = beat  # type: ignore[method-assign, assignment]
    with pytest.raises(PlayerDied, match="no progress within 7 s") as death:
        replies.soon(Call("own", "where", ()), "pair-02")
    assert (death.value.player, death.value.kind) == ("pair-00", "hang")
    assert asked == [({"pair-00", "pair-01", "pair-02", "board"}, ())]


def test_a_deputy_that_does_not_answer_hangs_and_is_lost(replies: Replies) -> None:
    late = PlayerDied("deputy-1", "no answer within 5 s", "hang")
    with pytest.raises(PlayerDied) as death:
        replies.of(failed(RayTaskError("train", "", late)), "pair-02")
    assert (death.value.player, death.value.kind) == ("deputy-1", "hang")
    assert death.value.stack == "stack of deputy-1"
    assert replies.workers.lost == {"deputy-1"}


def test_a_dead_ray_is_told_while_an_answer_is_waited_for(
    replies: Replies, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "dead_head", lambda: "GCS")
    with pytest.raises(PlayerDied, match="its GCS process is gone"):
        replies.of(Call("pair-02", "train", ()), "pair-02", timeout_s=60.0)


def test_who_gets_nowhere_is_hung_and_nobody_asks_the_evaluator(replies: Replies) -> None:
    asked: list[set[str]] = []

    def beat(actors: Any, busy: Any) -> str:
        asked.append(set(actors))
        return "pair-02"

    replies.pulse.beat = beat  # type: ignore[method-assign]
    with pytest.raises(PlayerDied, match="no progress within 7 s") as death:
        replies.look({"pair-02"})
    assert asked == [{"pair-00", "pair-01", "pair-02", "board"}]
    assert (death.value.kind, replies.workers.lost) == ("hang", {"pair-02"})


def test_a_device_that_is_lost_is_the_death_of_all_in_its_process(
    replies: Replies, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "death_of", lambda cause: ("oom", "asked for 2 GiB"))
    with pytest.raises(PlayerDied, match="asked for 2 GiB") as death:
        replies.of(failed(RayTaskError("train", "", RuntimeError())), "pair-00")
    assert (death.value.kind, death.value.home) == ("oom", ("pair-00", "pair-01"))
    assert replies.workers.lost == {"pair-00"}


def test_after_a_death_ray_s_own_processes_are_looked_at_first(
    replies: Replies, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "dead_head", lambda: "GCS")
    with pytest.raises(PlayerDied, match="its GCS process is gone"):
        replies.died(died("own"), "pair-02")


def test_an_answer_is_waited_for_in_short_looks_until_its_time_is_up(
    replies: Replies, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock, ray = [0.0], module.ray

    def get(call: Call, timeout: float) -> Any:
        clock[0] += timeout
        return Ray.get(ray, call, timeout)  # type: ignore[arg-type]

    monkeypatch.setattr(ray, "get", get)
    monkeypatch.setattr(module.time, "monotonic", lambda: clock[0])
    with pytest.raises(PlayerDied):
        replies.of(Call("pair-02", "train", ()), "pair-02", timeout_s=1.2)
    assert ray.patience == [pytest.approx(s) for s in (0.5, 0.5, 0.2)]


def test_who_is_found_dead_by_its_heartbeat_is_told(replies: Replies) -> None:
    def beat(actors: Any, busy: Any) -> None:
        raise died("own")

    replies.pulse.beat = beat  # type: ignore[method-assign]
    with pytest.raises(PlayerDied) as death:
        replies.look(set())
    assert death.value.player == "pair-02"
    replies.pulse.beat = lambda actors, busy: None  # type: ignore[method-assign]
    replies.look(set())


def test_each_is_asked_where_it_is(replies: Replies) -> None:
    actors = {name: Actor(name, where={"node": name}) for name in ("a", "b")}
    assert replies.where(actors) == {"a": {"node": "a"}, "b": {"node": "b"}}
