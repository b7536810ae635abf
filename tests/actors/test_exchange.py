"""How publications are asked for, without Ray."""

from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import pytest
from ray.exceptions import RayActorError

from raygan.actors.exchange import Exchange
from raygan.gan.weights import Publication


class Owner:
    """An actor that answers at once; keeps what it was asked."""

    def __init__(self, dead: bool = False) -> None:
        self.calls: list[list[str]] = []
        self.dead = dead
        self.publications = SimpleNamespace(remote=lambda shelves, after, upto: self._all(shelves, range(after, upto)))
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

    monkeypatch.setattr("raygan.actors.exchange.answers", lambda asked: {n: got(r) for n, r in asked.items()})
    monkeypatch.setattr("raygan.actors.exchange.answer", lambda name, reference: got(reference))


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
    assert set(exchange.newest(["pair-00", "pair-01", "pair-02"])) == {"pair-00", "pair-01", "pair-02"}
    assert here.calls == [["pair-00", "pair-02"]] * 2
    assert there.calls == [["pair-01"]] * 2


@pytest.mark.usefixtures("ask")
def test_of_a_dead_actor_nobody_is_asked_again_until_the_board_knows_another() -> None:
    here, there = Owner(), Owner(dead=True)
    exchange = reader(pair_00=here, pair_01=there, pair_02=there)
    assert set(exchange.newest(["pair-00", "pair-01", "pair-02"])) == {"pair-00"}
    exchange.newest(["pair-01", "pair-02"])
    assert there.calls == [["pair-01", "pair-02"]]
