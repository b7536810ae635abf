"""Everybody at the beginning of an attempt: survivors, the dead, those who do not answer, joiners;
without Ray.
"""

from types import SimpleNamespace
from typing import Any

import pytest

from raygan.actors import replies as answers
from raygan.actors import startup as module
from raygan.actors import worker_group
from raygan.actors.replies import Replies
from raygan.actors.startup import Startup
from raygan.actors.worker_group import BOARD, WorkerGroup
from raygan.controller.orders import Join
from raygan.errors import PlayerDied
from raygan.strategies.base import strategy_of
from tests.actors.fakes import Actor, Call, Ray
from tests.conftest import setup_of, tiny_config

WHERE = {"node": "n1", "pid": 7}
PAIRS = ["pair-00", "pair-01", "pair-02"]


class Cluster:
    """The startup of a group whose actors are made at once; `silent` ones never answer `begin`."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, **settings: Any) -> None:
        self.log: list[Call] = []
        self.made: list[Actor] = []
        self.silent: set[str] = set()
        self.ray = Ray()
        for place in (module, answers, worker_group):
            monkeypatch.setattr(place, "ray", self.ray)
        monkeypatch.setattr(answers, "dead_head", lambda: None)
        monkeypatch.setattr(module, "SETTLE_S", 0.0)
        monkeypatch.setattr(module, "START_TIMEOUT_S", 0.2)
        monkeypatch.setattr(worker_group, "end_process", lambda *place: None)
        config = tiny_config(num_pairs=3, failures={"lease_s": 0.1}, **settings)
        self.workers = workers = WorkerGroup("run", setup_of(config))
        workers.suit(strategy_of(config))
        self.reserved: list[int] = []
        monkeypatch.setattr(workers, "reserve", self.reserved.append)
        monkeypatch.setattr(workers, "keep_spares", lambda: None)
        monkeypatch.setattr(workers, "make_player", lambda home, joins=False: self.make(home[0]))
        monkeypatch.setattr(workers, "make_helper", self.make)
        self.starting: dict[str, float] = {}
        self.stacks: list[str] = []
        pulse: Any = SimpleNamespace(
            stack=self.stack, lease_s=0.1, beat=lambda actors, busy: None,
            starting=self.starting.__setitem__,
        )  # fmt: skip
        self.startup = Startup(workers, Replies(workers, pulse))

    def stack(self, name: str) -> str:
        self.stacks.append(name)
        return f"stack of {name}"

    def make(self, name: str) -> Actor:
        answers = {"register": None, "where": WHERE, "open": 0}
        if name not in self.silent:
            answers["begin"] = None
        self.made.append(Actor(f"{name} #{len(self.made)}", self.log, **answers))
        self.silent.discard(name)
        return self.made[-1]

    def names(self) -> list[str]:
        return [actor.name.partition(" ")[0] for actor in self.made]


def test_all_are_made_begun_registered_and_their_places_noted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    cluster = Cluster(monkeypatch)
    cluster.startup.all(PAIRS, {"pair-01": b"state"}, epoch=3)
    assert cluster.names() == [BOARD, *PAIRS]
    begins = {c.actor.partition(" ")[0]: c.args for c in cluster.log if c.method == "begin"}
    assert begins[BOARD] == (3,)
    assert {p: (begins[p][0], begins[p][1], begins[p][3]) for p in PAIRS} == {
        "pair-00": (3, ["pair-00"], {}), "pair-01": (3, ["pair-01"], {"pair-01": [b"state"]}),
        "pair-02": (3, ["pair-02"], {}),
    }  # fmt: skip
    order = [c.method for c in cluster.log]
    assert order.index("register") > max(i for i, m in enumerate(order) if m == "begin")
    assert cluster.workers.places == dict.fromkeys([*PAIRS, BOARD], ("n1", 7))
    assert cluster.startup.mishaps == []


def test_survivors_hear_of_the_new_epoch_before_anybody_begins_and_the_dead_are_made_anew(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    cluster = Cluster(monkeypatch)
    cluster.startup.all(PAIRS, {}, epoch=1)
    dead = cluster.workers.actors["pair-01"]
    cluster.workers.lost.add("pair-01")
    cluster.log.clear()
    cluster.startup.all(["pair-00", "pair-01"], {}, epoch=2)  # pair-02 is no member any more
    assert cluster.names() == [BOARD, *PAIRS, "pair-01"]
    assert cluster.ray.killed == [dead, cluster.made[3]]
    methods = [c.method for c in cluster.log]
    assert methods[:1] == ["fence"]
    assert "fence" not in methods[methods.index("begin") :]
    assert cluster.workers.lost == set()


def test_who_does_not_answer_is_replaced_once_and_told(monkeypatch: pytest.MonkeyPatch) -> None:
    cluster = Cluster(monkeypatch)
    cluster.silent.add("pair-02")
    cluster.startup.all(PAIRS, {}, epoch=1)
    assert cluster.names() == [BOARD, *PAIRS, "pair-02"]
    (mishap,) = cluster.startup.mishaps
    assert (mishap.player, mishap.kind) == ("pair-02", "hang")
    assert (mishap.stack, cluster.stacks) == ("stack of pair-02", ["pair-02"]), "asked once"
    cluster.workers.lost.add("pair-02")
    make = cluster.make
    cluster.make = lambda name: (  # type: ignore[method-assign]
        cluster.silent.add(name),
        make(name),
    )[1]
    monkeypatch.setattr(
        cluster.workers, "make_player", lambda home, joins=False: cluster.make(home[0])
    )
    assert cluster.workers.lost == {"pair-02"}, "its successor is not lost with it"
    with pytest.raises(PlayerDied, match="did not answer within"):
        cluster.startup.all(PAIRS, {}, epoch=2)


def test_a_joiner_begins_then_all_know_it_then_it_opens(monkeypatch: pytest.MonkeyPatch) -> None:
    cluster = Cluster(monkeypatch)
    cluster.startup.all(PAIRS, {}, epoch=4)
    cluster.log.clear()
    cluster.startup.join(Join("pair-03", 8))
    assert [c.method for c in cluster.log] == ["begin", "register", "open"]
    assert set(cluster.log[1].args[0]) == {*PAIRS, "pair-03"}
    assert cluster.log[2].args == ("pair-03", 8), "new: it counts from there"
    assert cluster.log[0].args[3] == {}
    assert cluster.starting == {"pair-03": module.START_TIMEOUT_S}, "it imports first"
    cluster.log.clear()
    home = ("pair-00", "pair-01")
    for player in home:
        cluster.workers.actors.pop(player)
    for player in home:
        cluster.startup.join(Join(player, 6, b"state", home))
    assert cluster.workers.actors["pair-00"] is cluster.workers.actors["pair-01"]
    assert [c.method for c in cluster.log if c.method in ("begin", "enter")] == ["begin", "enter"]
    (begun,) = [c.args for c in cluster.log if c.method == "begin"]
    assert begun[3] == {"pair-00": [b"state"]}
    opened = [c.args for c in cluster.log if c.method == "open"]
    assert {*cluster.starting} == {"pair-03", *home}
    assert opened == [("pair-00", None), ("pair-01", None)], "its state says where it is"


def test_a_deputy_that_has_yet_to_come_up_has_as_long_as_any_new_process(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Its caller waits for its imports: on a busy machine they take longer than a short lease."""

    def given(epoch: int) -> dict[str, float]:
        cluster.log.clear()
        cluster.startup.all(PAIRS, {}, epoch)
        begins = {c.actor.partition(" ")[0]: c.args for c in cluster.log if c.method == "begin"}
        return {name: seconds for name, (_, seconds) in begins["pair-00"][5].items()}

    cluster = Cluster(monkeypatch)
    cluster.workers.deputies, cluster.workers.deputised = ["deputy-1", "deputy-2"], "pair-00"
    start, lease = module.START_TIMEOUT_S, 0.1
    assert given(1) == {"deputy-1": start, "deputy-2": start}
    assert given(2) == dict.fromkeys(["deputy-1", "deputy-2"], pytest.approx(0.8 * lease))
    cluster.workers.lost.add("deputy-2")
    assert given(3) == {"deputy-1": pytest.approx(0.8 * lease), "deputy-2": start}


def test_places_are_asked_for_once(monkeypatch: pytest.MonkeyPatch) -> None:
    cluster = Cluster(monkeypatch)
    cluster.startup.all(PAIRS, {}, epoch=1)
    assert cluster.reserved == [3]
    monkeypatch.setattr(type(cluster.workers.room), "taken", True)
    cluster.startup.all(PAIRS, {}, epoch=2)
    assert cluster.reserved == [3], "they are held"


def test_a_helper_that_does_not_answer_is_replaced_too(monkeypatch: pytest.MonkeyPatch) -> None:
    cluster = Cluster(monkeypatch)
    cluster.silent.add(BOARD)
    cluster.startup.all(PAIRS, {}, epoch=1)
    assert cluster.names() == [BOARD, *PAIRS, BOARD]
    assert cluster.ray.killed == [cluster.made[0]]
    assert cluster.workers.helpers[BOARD] is cluster.made[-1]


def test_a_death_at_the_second_try_is_told_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    cluster = Cluster(monkeypatch)
    make = cluster.make

    def dies(name: str) -> Actor:
        actor = make(name)
        if name == "pair-01":
            actor.answers["begin"] = PlayerDied(name, "out of memory", "oom")
        return actor

    monkeypatch.setattr(cluster.workers, "make_player", lambda home, joins=False: dies(home[0]))
    with pytest.raises(PlayerDied, match="out of memory"):
        cluster.startup.all(PAIRS, {}, epoch=1)


def test_a_survivor_has_less_time_than_a_new_process_and_the_second_try_as_long(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    cluster = Cluster(monkeypatch)
    cluster.workers.deputies, cluster.workers.deputised = ["deputy-1"], "pair-00"
    given: dict[str, float] = {}

    def of(reference: Call, name: str, timeout_s: float) -> None:
        given[name] = timeout_s

    def patience(last: bool = False) -> dict[str, float]:
        given.clear()
        with monkeypatch.context() as patch:
            patch.setattr(cluster.startup.replies, "of", of)
            found = {name: [name] for name in PAIRS}
            cluster.startup._silent(cluster.startup._begin_all(found, {}), last)
        return {name: given[name] for name in PAIRS}

    monkeypatch.setattr(module, "START_TIMEOUT_S", 100.0)
    monkeypatch.setattr(module, "SETTLE_S", 5.0)
    new, settled = pytest.approx(100, abs=1), pytest.approx(5, abs=1)
    assert patience() == dict.fromkeys(PAIRS, new)
    cluster.startup._late.clear()
    assert patience() == dict.fromkeys(PAIRS, settled)
    assert patience(last=True) == dict.fromkeys(PAIRS, new)
    cluster.startup._late.add("deputy-1")
    assert patience() == {"pair-00": new, "pair-01": settled, "pair-02": settled}, (
        "it waits for its deputy"
    )


def test_an_attempt_s_first_epoch_is_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    assert Cluster(monkeypatch).startup.epoch == 0
