"""The executor's end of the evaluator, without Ray: deaths, retries, mixtures, the budget."""

from types import SimpleNamespace
from typing import Any

import pytest
from ray.exceptions import ActorDiedError, RayTaskError

from raygan.actors import evaluator_process, scoring
from raygan.actors.scoring import Scoring
from raygan.actors.worker_group import EVALUATOR
from raygan.controller.orders import Done, Evaluate, Scored
from tests.conftest import tiny_config

MEMBERS = ("pair-00", "pair-01")


class Reference:
    """Of one score, until the evaluator has done it or died."""

    def __init__(self, player: str) -> None:
        self.player = player
        self.result: Any = None


class Evaluators:
    """Stands for the worker group: each evaluator scores when told to,
    and knows which samples it has seen.
    """

    def __init__(self, budget: int) -> None:
        self.config = tiny_config(failures={"evaluator": budget, "lease_s": 5.0})
        self.helpers: dict[str, Any] = {}
        self.places = {EVALUATOR: ("here", 7)}
        self.holders: dict[str, Any] = {}
        self.made = 0
        self.queue: list[Reference] = []
        self.able = 0
        """Scores that it will give before it is told more."""
        self.seen: set[str] = set()
        gives = SimpleNamespace(remote=lambda player: f"generator of {player}")
        self.actors = dict.fromkeys((*MEMBERS, "global"), SimpleNamespace(generator=gives))

    def make_helper(self, name: str) -> Any:
        assert name == EVALUATOR
        self.made += 1
        self.queue, self.seen, self.able = [], set(), 0
        begin, where = (
            SimpleNamespace(remote=lambda epoch: None),
            SimpleNamespace(remote=lambda name: "where"),
        )
        return SimpleNamespace(
            begin=begin, where=where, evaluate=SimpleNamespace(remote=self.evaluate)
        )

    def end_helper(self, name: str) -> None:
        del self.helpers[name]

    def evaluate(
        self, player: str, step: int, generator: Any, members: Any, holders: Any
    ) -> Reference:
        assert (generator, holders) == ([f"generator of {player}"], {})
        assert not self.queue, "it is at one already"
        reference = Reference(player)
        self.queue.append(reference)
        self._work()
        return reference

    def score(self, count: int = 1) -> None:
        self.able += count
        self._work()

    def _work(self) -> None:
        while self.able and self.queue:
            self.able -= 1
            reference = self.queue.pop(0)
            self.seen.add(reference.player)
            rows = [{"player": reference.player}]
            whole = reference.player in MEMBERS and self.seen >= set(MEMBERS)
            reference.result = Scored([*rows, {"player": "mixture"}] if whole else rows)

    def die(self) -> None:
        for reference in self.queue:
            reference.result = ActorDiedError()


@pytest.fixture
def fakes(monkeypatch: pytest.MonkeyPatch) -> None:
    def get(reference: Any) -> Any:
        if isinstance(reference.result, Exception):
            raise reference.result
        return reference.result

    monkeypatch.setattr(
        scoring.ray, "wait", lambda refs, timeout: ([r for r in refs if r.result is not None], [])
    )
    monkeypatch.setattr(scoring.ray, "get", get)
    monkeypatch.setattr(evaluator_process.Pulse, "beat", lambda self, actors, busy: None)
    monkeypatch.setattr(
        evaluator_process.Pulse, "stack", lambda self, name: f"stack of {self._places[name]}"
    )


def begun(budget: int = 3) -> tuple[Evaluators, Scoring]:
    house = Evaluators(budget)
    out = Scoring(house)  # type: ignore[arg-type]
    out.begin(1)
    return house, out


def ask(scores: Scoring, *players: str, step: int = 6) -> None:
    for player in players:
        scores.submit(Evaluate(player, step, MEMBERS))


def waiting(scores: Scoring) -> list[str]:
    return [score.order.player for score in scores.scores]


def rows(done: list[Done]) -> list[str]:
    return [row["player"] for item in done for row in item.result.rows]


@pytest.mark.usefixtures("fakes")
def test_the_score_that_killed_it_is_tried_once_more_and_the_others_are_not_blamed() -> None:
    house, scores = begun()
    ask(scores, "pair-00", "pair-01", "global")
    house.die()
    assert scores.look() == []
    assert waiting(scores) == ["pair-00", "pair-01", "global"], "all again, in their order"
    house.die()
    (lost,) = scores.look()
    assert lost.order.player == "pair-00"  # type: ignore[union-attr]
    assert lost.result.missing.startswith("evaluator died")
    house.score(2)
    assert rows(scores.look()) == ["pair-01", "global"]
    assert (house.made, len(scores.mishaps), scores.evaluator.deaths) == (3, 2, 0), (
        "in a row: a score that came begins anew"
    )
    assert not scores.pending


@pytest.mark.usefixtures("fakes")
def test_another_evaluator_sees_what_a_mixture_needs_and_nobody_is_told_twice() -> None:
    house, scores = begun()
    ask(scores, "pair-00", "pair-01")
    house.score()
    assert rows(scores.look()) == ["pair-00"]
    house.die()
    assert scores.look() == []
    assert waiting(scores) == ["pair-00", "pair-01"]
    house.score(2)
    assert rows(scores.look()) == ["pair-01", "mixture"]
    assert scores.mixed == {}


@pytest.mark.usefixtures("fakes")
def test_a_score_that_is_there_already_takes_no_try_of_the_one_that_kills() -> None:
    house, scores = begun()
    ask(scores, *MEMBERS)
    done = list[Done]()
    for _ in range(2):  # pair-00 is scored (the second time for the mixture's sake), pair-01 kills
        house.score()
        done += scores.look()
        assert [r.player for r in house.queue] == ["pair-01"]
        house.die()
        done += scores.look()
    assert [(d.order.player, bool(d.result.missing)) for d in done] == [  # type: ignore[union-attr]
        ("pair-00", False), ("pair-01", True),
    ]  # fmt: skip
    assert (house.made, len(scores.mishaps)) == (3, 2)


@pytest.mark.usefixtures("fakes")
def test_a_score_that_was_told_is_never_given_up_and_told_again() -> None:
    house, scores = begun(budget=9)
    ask(scores, *MEMBERS)
    house.score()
    assert rows(scores.look()) == ["pair-00"]
    for _ in range(3):  # of pair-01; then of pair-00, scored once more for the mixture's sake
        house.die()
        done = scores.look()
    assert done == []
    assert waiting(scores) == ["pair-01"]


@pytest.mark.usefixtures("fakes")
def test_the_next_one_is_begun_when_the_one_before_it_has_left() -> None:
    house, scores = begun()
    ask(scores, *MEMBERS)
    house.queue.clear()
    scores.drop("pair-00")
    assert [r.player for r in house.queue] == ["pair-01"]


@pytest.mark.usefixtures("fakes")
def test_past_its_budget_there_are_no_more_scores() -> None:
    house, scores = begun(budget=1)
    ask(scores, "pair-00", "pair-01")
    for _ in range(2):
        house.die()
        done = scores.look()
    assert [(d.order.player, bool(d.result.missing)) for d in done] == [
        ("pair-00", True),
        ("pair-01", True),
    ]  # type: ignore[union-attr]
    ask(scores, "global")
    (later,) = scores.look()
    assert "2 times in a row (failures.evaluator is 1)" in later.result.missing
    assert EVALUATOR not in house.helpers
    scores.begin(2)
    assert EVALUATOR not in house.helpers, "nor in the next attempt"


@pytest.mark.usefixtures("fakes")
def test_one_that_hangs_or_takes_for_ever_is_ended_with_its_stack(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    house, scores = begun()
    ask(scores, "pair-00")
    with monkeypatch.context() as m:
        m.setattr(evaluator_process.Pulse, "beat", lambda self, actors, busy: EVALUATOR)
        assert scores.look() == []
    with monkeypatch.context() as m:
        m.setattr(evaluator_process, "SCORE_S", -1.0)
        (lost,) = scores.look()
    assert "no score within" in lost.result.missing
    assert [(m.kind, m.stack) for m in scores.mishaps] == [("hang", "stack of ('here', 7)")] * 2
    assert house.made == 3


@pytest.mark.usefixtures("fakes")
def test_a_dead_players_generator_is_the_players_death() -> None:
    house, scores = begun()
    ask(scores, "pair-00")
    house.queue[0].result = RayTaskError("evaluate", "traceback", ActorDiedError())
    with pytest.raises(ActorDiedError):
        scores.look()
    scores.drop("pair-00")
    assert not scores.pending
    assert house.made == 1
