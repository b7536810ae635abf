"""A swap between actors, their methods called at once: who gets what, what stays at home, what goes
through the object store.
"""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from raygan.actors import matchmaker
from raygan.actors.matchmaker import MatchmakerActor
from raygan.actors.player import PlayerActor
from raygan.controller.worker import Shelves, Worker
from raygan.gan.pair import Pair
from raygan.gan.parcels import Parcel
from raygan.strategies.base import pair_name
from raygan.strategies.orders import Swap
from tests.conftest import setup_of, tiny_config

PAIRS = 5


class Method:
    """`actor.method.options(num_returns=...).remote(...)`, carried out at once; what it returns are
    "references".
    """

    def __init__(self, function: Any, num_returns: int = 1) -> None:
        self.function, self.num_returns = function, num_returns

    def options(self, num_returns: int) -> Method:
        return Method(self.function, num_returns)

    def remote(self, *args: Any) -> Any:
        out = self.function(*args)
        if self.num_returns > 1:
            assert len(out) == self.num_returns
            return list(out)
        return out


class Actor:
    """A player's actor, without Ray and without its start."""

    def __init__(self, players: dict[str, Pair]) -> None:
        self.actor = PlayerActor.__new__(PlayerActor)
        setup = setup_of(tiny_config())
        self.actor._worker = Worker(setup, Shelves())
        self.actor._worker.players |= players
        self.actor._board = SimpleNamespace(check=lambda epoch: None)  # type: ignore[assignment]
        self.came: list[dict[str, Parcel]] = []
        self.offer, self.adopt = Method(self.actor.offer), Method(self._adopt)

    def _adopt(self, names: list[str], swap: Swap, epoch: int, *came: dict[str, Parcel]) -> None:
        self.came += came
        self.actor.adopt(names, swap, epoch, *came)


@pytest.mark.parametrize(
    "homes",
    [[[0, 1, 2, 3, 4]], [[0, 1], [2, 3], [4]], [[0, 3, 4], [1, 2]], [[i] for i in range(PAIRS)]],
)
@pytest.mark.parametrize(
    "takes",
    [
        {0: 1, 1: 0, 2: 3, 3: 2, 4: 4},
        {0: 4, 1: 2, 2: 1, 3: 3, 4: 0},
        {0: 2, 1: 2, 2: 0, 3: 2, 4: 4},
    ],
    ids=["neighbours", "across", "one D overwrites others"],
)
def test_everybody_gets_its_network_and_only_what_crosses_is_sent(
    homes: list[list[int]], takes: dict[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(matchmaker, "answers", lambda references, _: dict(references))
    config = tiny_config(strategy={"name": "gap", "swap_every": 2}, num_pairs=PAIRS)
    setup = setup_of(config)
    pairs = {n: Pair(n, setup.parts(n)) for n in map(pair_name, range(PAIRS))}
    for pair in pairs.values():
        pair.train(2, Shelves())
    actors = [Actor({pair_name(i): pairs[pair_name(i)] for i in home}) for home in homes]
    at = {pair_name(i): actor for home, actor in zip(homes, actors, strict=True) for i in home}
    before = {n: p.offer("D", "all").fingerprint for n, p in pairs.items()}
    swap = Swap(2, tuple((pair_name(a), pair_name(b)) for a, b in takes.items()), "D", "all")
    broker = MatchmakerActor("run")
    broker.register(at)

    cards = broker.gather(swap)
    assert {n: c.fingerprint for n, c in cards.items()} == {
        n: before[n] for n in swap.moves.values()
    }
    assert {n: p.offer("D", "all").fingerprint for n, p in pairs.items()} == before, (
        "nobody has changed yet"
    )
    broker.deliver(swap)
    expected = {pair_name(a): before[pair_name(b)] for a, b in takes.items()}
    assert {n: p.offer("D", "all").fingerprint for n, p in pairs.items()} == expected
    for actor in actors:
        crossing = {
            source
            for taker, source in swap.moves.items()
            if at[taker] is actor and at[source] is not actor
        }
        assert sorted(n for sent in actor.came for n in sent) == sorted(crossing)
        assert len(actor.came) == len({id(at[source]) for source in crossing}), (
            "one object from each actor"
        )
        assert actor.actor._here.kept == {}
    for actor in actors:  # a call that comes twice
        actor.actor.adopt([n for n in swap.moves if at[n] is actor], swap, 0, *actor.came)
    assert {n: p.offer("D", "all").fingerprint for n, p in pairs.items()} == expected


def test_a_half_carries_the_attempts_epoch_and_is_over_when_all_have_answered(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Of an earlier attempt the actors know it by its epoch; a swap is not over while somebody has
    not taken its network.
    """
    asked: list[dict[str, Any]] = []
    monkeypatch.setattr(
        matchmaker,
        "answers",
        lambda references, _: asked.append(dict(references)) or dict(references),
    )
    epochs: list[int] = []

    class Witness:
        offer = Method(lambda stay, go, swap, epoch: epochs.append(epoch) or {n: n for n in stay})
        adopt = Method(lambda names, swap, epoch, *came: epochs.append(epoch) or "taken")

    witness, swap = Witness(), Swap(2, (("a", "b"), ("b", "a")), "D", "all")
    broker = MatchmakerActor("run")
    broker.register({"a": witness, "b": witness})
    broker.gather(swap)
    assert epochs == [0], "no attempt has this one"
    asked.clear()
    epochs.clear()
    broker.begin(7)
    broker.gather(swap)
    broker.deliver(swap)
    assert epochs == [7, 7]
    assert [list(a.values()) for a in asked][1:] == [["taken"]], "it has waited for them"
