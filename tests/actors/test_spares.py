"""Spares and the room of a run, without Ray."""

from types import SimpleNamespace
from typing import Any

import pytest
from ray.exceptions import ActorDiedError, GetTimeoutError

from raygan.actors import reservation, spares, worker_group
from raygan.actors.placement import Placement
from raygan.actors.reservation import Reservation
from raygan.actors.spares import Spares
from raygan.actors.worker_group import WorkerGroup
from raygan.errors import InfeasibleError
from tests.actors.fakes import Actor, Ray
from tests.conftest import setup_of, tiny_config


def test_a_spare_is_taken_unless_it_is_dead_or_about_to_go(monkeypatch: pytest.MonkeyPatch) -> None:
    ray = Ray()
    monkeypatch.setattr(spares, "ray", ray)
    monkeypatch.setattr(spares, "draining", lambda: {"n2"})
    dead, leaves = Actor("dead", where=ActorDiedError()), Actor("leaves", where={"node": "n2"})
    starts, good = Actor("starts"), Actor("good", where={"node": "n1"})
    ours = Spares("run")
    ours.there = [dead, leaves, starts, good]
    assert [ours.take(), ours.take(), ours.take()] == [starts, good, None]
    assert ray.killed == [dead, leaves]
    with pytest.raises(GetTimeoutError):
        ray.get(starts.where.remote(""))


@pytest.mark.parametrize(("room", "beside"), [(4.0, True), (0.0, False)])
def test_spares_are_made_beside_the_controller_where_it_has_room_for_players(
    monkeypatch: pytest.MonkeyPatch, room: float, beside: bool
) -> None:
    made: list[tuple[str, Any, float]] = []

    def put(cls: Any, run: str, name: str, where: Any, cpus: float, scrubs: bool) -> Any:
        made.append((name, where, cpus))
        return SimpleNamespace(remote=lambda *args: Actor(name))

    monkeypatch.setattr(spares, "put", put)
    monkeypatch.setattr(spares, "player_class", lambda sourced: None)
    monkeypatch.setattr(spares, "beside", lambda: "here")
    monkeypatch.setattr(spares, "room_here", lambda: room)
    ours = Spares("run")
    ours.keep(2, 1.0, tiny_config(), [])
    ours.there.pop(0)
    ours.keep(2, 1.0, tiny_config(), [])
    where = "here" if beside else None
    assert made == [(f"spare-{i}", where, 0) for i in range(3)], "no number is given twice"
    assert [a.calls("rehearse") != [] for a in ours.there] == [True, True]


class Group:
    """A placement group that has its place once it was waited for `after` times."""

    def __init__(self, after: int) -> None:
        self.after = after

    def wait(self, timeout_s: float) -> bool:
        self.after -= 1
        return self.after < 0


def taken(monkeypatch: pytest.MonkeyPatch, after: int = 0, given: Any = None) -> Reservation:
    placement = SimpleNamespace(bundles=[{}], strategy="PACK", players=3, cpus=1.0, gpus=0.0)
    monkeypatch.setattr(reservation, "outlook", lambda scale: SimpleNamespace(grows=False))
    monkeypatch.setattr(reservation, "place_in", lambda *args: placement)
    monkeypatch.setattr(reservation, "get_current_placement_group", lambda: given)
    monkeypatch.setattr(reservation, "placement_group", lambda bundles, strategy: Group(after))
    monkeypatch.setattr(reservation, "room_text", lambda *args: "nothing came")
    monkeypatch.setattr(reservation, "draining", set)
    ours = Reservation()
    ours.take(3, 0, tiny_config(resources={"wait_s": 0.01 if after > 3 else 60.0}))
    return ours


def test_a_run_waits_for_its_room_and_not_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    assert taken(monkeypatch, after=2).taken
    with pytest.raises(InfeasibleError, match=r"no room for 3 actors.*nothing came"):
        taken(monkeypatch, after=10**6)


def test_a_trial_lives_in_the_room_that_it_was_given_and_leaves_it_there(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    removed: list[Any] = []
    monkeypatch.setattr(reservation, "remove_placement_group", removed.append)
    given = taken(monkeypatch, given="tune's")
    where, _ = given.at(0, 1.0)
    assert where is not None
    assert where.placement_group_bundle_index == 1, "its first bundle is the driver's"
    given.give_back()
    own = taken(monkeypatch)
    own.give_back()
    assert [type(group) for group in removed] == [Group]
    assert not own.taken
    assert not given.taken


def test_nobody_is_put_where_a_node_is_about_to_go(monkeypatch: pytest.MonkeyPatch) -> None:
    ours = taken(monkeypatch)
    assert ours.free({0, None}) == [1, 2]
    assert ours.free({0, 1, 2}) == []
    nodes = {"bundles_to_node_id": {0: "n1", 1: "n2", 2: "n1"}}
    monkeypatch.setattr(reservation, "draining", lambda: {"n1"})
    monkeypatch.setattr(reservation, "placement_group_table", lambda group: nodes)
    for free, cpus in ((2.0, 1.0), (0.5, 0.0)):  # a full cluster is shared more thinly
        monkeypatch.setattr(reservation, "room", lambda free=free: free)
        assert ours.free(set()) == [1]
        assert ours.at(0, 1.0) == (None, cpus)
        assert ours.at(None, 1.0) == (None, cpus)


@pytest.mark.parametrize(
    ("gpus", "joins", "taken_by", "bundle"),
    [
        (0.5, False, {}, 0),
        (0.5, True, {"a": 0, "b": 2}, 1),  # of who has died: the group holds its GPU
        (0.5, True, {"a": 0, "b": 1, "c": 2}, None),
        (0.0, True, {"a": 0}, None),  # CPUs are shared more thinly outside
    ],
)
def test_who_comes_back_gets_the_gpu_that_the_group_holds(
    monkeypatch: pytest.MonkeyPatch, gpus: float, joins: bool, taken_by: dict[str, int],
    bundle: int | None
) -> None:  # fmt: skip
    workers = WorkerGroup("run", setup_of(tiny_config()))
    workers.room = taken(monkeypatch)
    workers.room.placement = Placement(3, 1.0, gpus, "PACK")
    monkeypatch.setattr(reservation, "room", lambda: 0.0)
    workers.bundles |= taken_by
    made = SimpleNamespace(remote=lambda *args: "actor")
    monkeypatch.setattr(worker_group, "put", lambda *args, scrubs: made)
    assert workers.make_player(["pair-00"], joins) == "actor"
    assert workers.bundles["actor"] == bundle


@pytest.mark.parametrize(
    ("gpus", "free", "grows", "fits"),
    [
        (0.0, [0.0], False, True),
        (0.5, [0.0, 0.4], False, False),
        (0.5, [0.5, 0.5], False, True),
        (0.5, [0.9, 0.0], False, False),  # of two that are to come, and one bundle is free
        (1.0, [0.0], True, True),  # its wait is what the autoscaler sees
    ],
)
def test_more_players_are_refused_where_no_gpu_is_left_for_them(
    monkeypatch: pytest.MonkeyPatch, gpus: float, free: list[float], grows: bool, fits: bool
) -> None:
    workers = WorkerGroup("run", setup_of(tiny_config()))
    workers.room = taken(monkeypatch)
    workers.room.placement = Placement(3, 1.0, gpus, "PACK")
    workers.bundles |= {"a": 0, "b": 2}
    monkeypatch.setattr(reservation, "outlook", lambda scale: SimpleNamespace(grows=grows))
    monkeypatch.setattr(reservation, "gpus_free", lambda: free)
    assert workers.room.lacks(1, workers.bundles.values()) is None, "a bundle is free"
    why = workers.room.lacks(3, workers.bundles.values())
    assert (why is None) == fits
    assert fits or f"room for {1 + sum(f >= gpus for f in free)} of 3 newcomers" in str(why)
