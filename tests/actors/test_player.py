"""A player's actor, its methods called at once: what belongs to an attempt that is over changes nothing."""

from types import SimpleNamespace

import pytest

from raygan.actors.exchange import Exchange
from raygan.actors.player import PlayerActor
from raygan.controller.hosting import Shelves
from raygan.errors import StaleEpochError
from raygan.gan.pair import Pair
from raygan.strategies.orders import Swap
from tests.conftest import setup_of, state_digest, tiny_config

SWAP = Swap(2, (("pair-00", "pair-01"), ("pair-01", "pair-00")), "D", "all")


def actor() -> PlayerActor:
    out = PlayerActor.__new__(PlayerActor)
    setup = setup_of(tiny_config())
    out._players = {n: Pair(n, setup.parts(n)) for n in SWAP.players}
    for player in out._players.values():
        player.train(2, Shelves())
    out._kept, out._adopted = {}, {}
    out._board = Exchange(SimpleNamespace(), keep_all=True, epoch=3)
    return out


@pytest.mark.parametrize("epoch", [2, 4])
def test_half_a_swap_of_another_attempt_changes_nothing(epoch: int) -> None:
    ours, names = actor(), list(SWAP.moves)
    with pytest.raises(StaleEpochError):
        ours.offer(names, [], SWAP, epoch)
    assert ours._kept == {}
    ours.offer(names, [], SWAP, 3)
    before = [state_digest(p.state()) for p in ours._players.values()]
    with pytest.raises(StaleEpochError):
        ours.adopt(names, SWAP, epoch)
    assert [state_digest(p.state()) for p in ours._players.values()] == before
    ours.adopt(names, SWAP, 3)
    assert [state_digest(p.state()) for p in ours._players.values()] != before
