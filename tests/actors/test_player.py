"""A player's actor, its methods called at once: what belongs to an attempt that is over changes
nothing.
"""

import threading
from types import SimpleNamespace
from typing import Any

import pytest

from raygan.actors import player as module
from raygan.actors.player import PlayerActor
from raygan.actors.publications import Exchange
from raygan.controller import worker
from raygan.controller.worker import Shelves, Worker
from raygan.errors import StaleEpochError
from raygan.gan.bundle import pack
from raygan.gan.weights import Publication
from raygan.strategies.orders import Swap
from tests.conftest import setup_of, state_digest, tiny_config

SWAP = Swap(2, (("pair-00", "pair-01"), ("pair-01", "pair-00")), "D", "all")


def actor() -> PlayerActor:
    out = PlayerActor.__new__(PlayerActor)
    setup = setup_of(tiny_config())
    out._board = Exchange(SimpleNamespace(), keep_all=True, epoch=3)
    out._worker = Worker(setup, out._board)
    for name in SWAP.players:
        out._worker.build(name)
        out._worker.players[name].train(2, Shelves())
    out._own = {}
    return out


@pytest.mark.parametrize("epoch", [2, 4])
def test_half_a_swap_of_another_attempt_changes_nothing(epoch: int) -> None:
    ours, names = actor(), list(SWAP.moves)
    with pytest.raises(StaleEpochError):
        ours.offer(names, [], SWAP, epoch)
    assert ours._here.kept == {}
    ours.offer(names, [], SWAP, 3)
    before = [state_digest(p.state()) for p in ours._here.players.values()]
    with pytest.raises(StaleEpochError):
        ours.adopt(names, SWAP, epoch)
    assert [state_digest(p.state()) for p in ours._here.players.values()] == before
    ours.adopt(names, SWAP, 3)
    assert [state_digest(p.state()) for p in ours._here.players.values()] != before


def test_an_attempt_begins_with_its_players_at_their_states_and_nothing_of_an_earlier_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ours = actor()
    built: list[tuple[str, list[str]]] = []
    threads: list[int] = []

    class Built:
        def __init__(self, name: str) -> None:
            self.name = name
            self.restored: dict[str, Any] | None = None

        def restore(self, state: dict[str, Any]) -> None:
            self.restored = state

    def build(name: str, setup: Any) -> Built:
        built.append((name, list(setup.deputies)))
        return Built(name)

    strategy = SimpleNamespace(build=build, needs_data=lambda name: True)
    for made in (module, worker):
        monkeypatch.setattr(made, "strategy_of", lambda config: strategy)
    monkeypatch.setattr(
        module, "RemoteDeputy",
        lambda name, actor, epoch, config, board, begins_s: f"{name} of {epoch}, in {begins_s} s",
    )  # fmt: skip
    monkeypatch.setattr(module.ray, "get", lambda reference: reference)
    monkeypatch.setattr(module.torch, "set_num_threads", threads.append)
    monkeypatch.setattr(module, "pick_device", lambda config, players=1: module.torch.device("cpu"))
    config = tiny_config(resources={"num_threads": 3}, failures={"rollbacks": 5})
    ours._samples, ours._begun = setup_of(config).data, threading.Event()
    ours._here.kept[SWAP] = {}
    ours.begin(9, ["a", "b"], config, {"b": [pack({"step": 7})]}, None, {"helper": (object(), 5.0)})
    assert built == [("a", ["helper of 9, in 5.0 s"]), ("b", ["helper of 9, in 5.0 s"])]
    restored = {n: p.restored for n, p in ours._here.players.items()}  # type: ignore[attr-defined]
    assert restored == {"a": None, "b": {"step": 7}}
    assert (threads, ours._here.setup.config.failures.rollbacks) == ([3], 5)
    assert (ours._here.kept, ours._begun.is_set()) == ({}, True)
    assert ours._here.packs.batched is config.resources.batched
    ours._board.check(9)
    with pytest.raises(StaleEpochError):
        ours._board.check(3)
    ours.fence(10)
    with pytest.raises(StaleEpochError):
        ours._board.check()


@pytest.mark.parametrize(("tempo", "kept"), [("lockstep", [1, 2]), ("async", [2])])
def test_in_lockstep_all_versions_are_kept_and_else_the_newest(
    monkeypatch: pytest.MonkeyPatch, tempo: str, kept: list[int]
) -> None:
    monkeypatch.setattr(module, "pick_device", lambda config, players=1: module.torch.device("cpu"))
    config = tiny_config(tempo=tempo, resources={"num_threads": module.torch.get_num_threads()})
    ours = actor()
    ours._samples, ours._begun = setup_of(config).data, threading.Event()
    board = SimpleNamespace(announce=SimpleNamespace(remote=lambda *args: None))
    ours.begin(9, [], config, {}, board, {})
    for version in (1, 2):
        ours._board.publish(Publication("pair-00", version))
    assert [p.version for p in ours.publications(["pair-00"], 0, 9)["pair-00"]] == kept


def test_what_is_asked_before_an_attempt_has_begun_is_asked_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "ASK_S", 0.0)
    ours = actor()
    ours._begun = threading.Event()
    kept = SimpleNamespace(next=lambda shelf, after: [(shelf, after)])
    ours._board = SimpleNamespace(kept=kept)  # type: ignore[assignment]
    assert ours.next("pair-00", 3) == []
    ours._begun.set()
    assert ours.next("pair-00", 3) == [("pair-00", 3)]
    ours._worker = None
    ours.fence(4)  # nothing has begun here: there is nothing to end


def test_who_has_left_lives_here_no_more() -> None:
    ours = actor()
    ours.leave("pair-00")
    assert set(ours._here.players) == {"pair-01"}
    with pytest.raises(KeyError):
        ours.save("pair-00")


def test_the_newest_publication_is_given_once_there_are_players() -> None:
    ours = actor()
    ours._board._board = SimpleNamespace(announce=SimpleNamespace(remote=lambda *args: None))
    ours._board.publish(Publication("pair-00", 4))
    assert ours.newest(["pair-00", "none"])["pair-00"].version == 4
    ours._worker = None
    assert ours.newest(["pair-00"]) == {}
