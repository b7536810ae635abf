"""How publications are asked for, without Ray."""

from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import pytest
from ray.exceptions import RayActorError

from raygan.actors.publications import GONE_S, Exchange
from raygan.gan.weights import Publication


class Owner:
    """An actor that answers at once; keeps what it was asked."""

    def __init__(self, dead: bool = False) -> None:
        self.calls: list[list[str]] = []
        self.dead = dead
        self.publications = SimpleNamespace(
            remote=lambda shelves, after, upto: self._all(shelves, range(after, upto))
        )
        self.newest = SimpleNamespace(remote=self._newest)

    def _all(self, shelves: Sequence[str], versions: range) -> dict[str, list[Publication]]:
        self.calls.append(list(shelves))
        return {s: [Publication(s, v + 1) for v in versions] for s in shelves}

    def _newest(self, shelves: Sequence[str]) -> Any:
        self.calls.append(list(shelves))
        return RayActorError() if self.dead else {s: Publication(s, 7) for s in shelves}


@pytest.fixture
def ask(monkeypatch: pytest.MonkeyPatch) -> None:
    def got(reference: Any) -> Any:
        if isinstance(reference, Exception):
            raise reference
        return reference

    monkeypatch.setattr(
        "raygan.actors.publications.answers", lambda asked: {n: got(r) for n, r in asked.items()}
    )
    monkeypatch.setattr("raygan.actors.publications.answer", lambda name, reference: got(reference))


def reader(**owners: Owner) -> Exchange:
    board = SimpleNamespace(players=SimpleNamespace(remote=dict))
    exchange = Exchange(board, keep_all=True)
    exchange._players = {name.replace("_", "-"): owner for name, owner in owners.items()}
    return exchange


@pytest.mark.usefixtures("ask")
def test_what_lives_together_is_read_with_one_call() -> None:
    here, there = Owner(), Owner()
    exchange = reader(pair_00=here, pair_01=there, pair_02=here)
    found = exchange.between(["pair-00", "pair-01", "pair-02"], after=3, upto=5)
    assert {shelf: [p.version for p in versions] for shelf, versions in found.items()} == {
        "pair-00": [4, 5], "pair-01": [4, 5], "pair-02": [4, 5],
    }  # fmt: skip
    assert set(exchange.newest(["pair-00", "pair-01", "pair-02"])) == {
        "pair-00",
        "pair-01",
        "pair-02",
    }
    assert here.calls == [["pair-00", "pair-02"]] * 2
    assert there.calls == [["pair-01"]] * 2


@pytest.mark.usefixtures("ask")
def test_of_a_dead_actor_nobody_is_asked_again_until_the_board_knows_another() -> None:
    here, there = Owner(), Owner(dead=True)
    exchange = reader(pair_00=here, pair_01=there, pair_02=there)
    assert set(exchange.newest(["pair-00", "pair-01", "pair-02"])) == {"pair-00"}
    exchange.newest(["pair-01", "pair-02"])
    assert there.calls == [["pair-01", "pair-02"]]


class Question:
    """One that is open at an owner until it is answered."""

    def __init__(self, shelf: str, after: int) -> None:
        self.shelf, self.after = shelf, after
        self.answered: list[Publication] | Exception | None = None


class Listener:
    """An owner that keeps the questions that it was asked."""

    def __init__(self) -> None:
        self.asked: list[Question] = []
        self.next = SimpleNamespace(remote=self._next)

    def _next(self, shelf: str, after: int) -> Question:
        self.asked.append(Question(shelf, after))
        return self.asked[-1]

    def answer(self, *versions: int, error: Exception | None = None) -> None:
        question = self.asked[-1]
        question.answered = error or [Publication(question.shelf, v) for v in versions]


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, float]]:
    """(how many are waited for, how long) of each wait."""
    out: list[tuple[int, float]] = []

    def wait(references: list[Question], num_returns: int, timeout: float) -> Any:
        out.append((num_returns, timeout))
        here = [r for r in references if r.answered is not None][:num_returns]
        return here, [r for r in references if r not in here]

    def got(name: str, reference: Any) -> Any:
        found = reference.answered if isinstance(reference, Question) else reference
        if isinstance(found, Exception):
            raise found
        return found

    monkeypatch.setattr("raygan.actors.publications.ray.wait", wait)
    monkeypatch.setattr("raygan.actors.publications.answer", got)
    monkeypatch.setattr(
        "raygan.actors.publications.time.sleep", lambda seconds: out.append((0, seconds))
    )
    return out


def peeked(exchange: Exchange, have: dict[str, int], wait_s: float = 0.5) -> dict[str, int]:
    return {
        name: p.version for name, p in exchange.peek(["pair-00", "pair-01"], have, wait_s).items()
    }


def test_one_question_to_each_owner_is_open_and_asked_again_once_it_is_answered(
    waits: list[tuple[int, float]],
) -> None:
    a, b = Listener(), Listener()
    exchange = reader(pair_00=a, pair_01=b)  # type: ignore[arg-type]
    assert peeked(exchange, {"pair-01": 4}) == {}
    assert peeked(exchange, {"pair-01": 4}) == {}
    assert ([q.after for q in a.asked], [q.after for q in b.asked]) == ([-1], [4]), "asked once"
    assert waits == [(1, 0.5)] * 2
    a.answer(2, 3)
    b.answer(5)
    assert peeked(exchange, {"pair-01": 4}) == {"pair-00": 3, "pair-01": 5}, (
        "all that is there, not only the first"
    )
    assert waits[2:] == [(1, 0.5), (2, 0)]
    assert ([q.after for q in a.asked], [q.after for q in b.asked]) == ([-1, 3], [4, 5])
    a.answer(3)  # no newer than what the reader has by now
    assert peeked(exchange, {"pair-00": 3, "pair-01": 5}) == {}
    assert [q.after for q in a.asked] == [-1, 3, 3]
    a.answer()
    assert peeked(exchange, {"pair-00": 6, "pair-01": 5}) == {}
    assert [q.after for q in a.asked] == [-1, 3, 3, 6]


def test_an_owner_that_died_is_asked_for_at_the_board_until_it_is_back(
    waits: list[tuple[int, float]],
) -> None:
    gone, back = Listener(), Listener()
    known: dict[str, Any] = {}
    exchange = Exchange(
        SimpleNamespace(players=SimpleNamespace(remote=lambda: dict(known))), keep_all=True
    )
    exchange._players = {"pair-00": gone}
    assert exchange.peek(["pair-00"], {}, 0.5) == {}
    gone.answer(error=RayActorError())
    assert exchange.peek(["pair-00"], {}, 0.5) == {}
    assert exchange.peek(["pair-00"], {}, 0.5) == {}, "nobody to ask"
    assert waits == [(1, 0.5), (1, 0.5), (0, GONE_S), (0, GONE_S)], (
        "and no waiting for what cannot come"
    )
    known["pair-00"] = back
    exchange.peek(["pair-00"], {}, 0.5)
    back.answer(1)
    assert exchange.peek(["pair-00"], {}, 0.5)["pair-00"].version == 1


def test_what_no_reader_will_ask_for_is_dropped() -> None:
    exchange = reader()
    for version in (1, 2, 3):
        exchange.publish(Publication("pair-00", version))
    exchange.forget("pair-00", 3)
    assert [p.version for p in exchange.kept.between(["pair-00"], 0, 9)["pair-00"]] == [3]
