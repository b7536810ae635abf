"""What an attempt that is over still sends is refused by its receivers; plain objects, no Ray."""

import threading
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from raygan.actors.board import BoardActor
from raygan.actors.matchmaker import MatchmakerActor
from raygan.actors.publications import Exchange
from raygan.errors import StaleEpochError
from raygan.gan.weights import Publication
from raygan.strategies.orders import Swap


def publication(version: int) -> Publication:
    return Publication("pair-00", version, {"D": np.full(4, version, np.float32)})


def test_the_board_refuses_an_announcement_of_an_earlier_epoch() -> None:
    board = BoardActor()
    with pytest.raises(StaleEpochError):
        board.announce("pair-00", 7, 1)  # of no attempt that it knows
    board.begin(1)
    board.announce("pair-00", 0, 1)
    assert board.progress(["pair-00"]) == {"pair-00": 0}
    board.announce("pair-00", 7, 1)
    board.begin(2)
    assert board.progress(["pair-00"]) == {"pair-00": 0}, "nobody has published in this epoch"
    with pytest.raises(StaleEpochError, match="epoch 2, this one is 1"):
        board.announce("pair-00", 9, 1)
    assert board.progress(["pair-00"]) == {"pair-00": 0}
    board.announce("pair-00", 3, 2)
    assert board.progress(["pair-00"]) == {"pair-00": 3}


def test_a_player_of_an_earlier_epoch_ends_at_its_next_look_at_the_board() -> None:
    announced: list[Any] = []
    board = SimpleNamespace(announce=SimpleNamespace(remote=lambda *args: announced.append(args)))
    exchange = Exchange(board, keep_all=False, epoch=3)
    exchange.publish(publication(1))
    exchange.publish(Publication("pair-00/slot", 1, {}))
    assert announced == [("pair-00", 1, 3)], "slots are asked for, not counted"
    exchange.close(4)
    for call in (lambda: exchange.publish(publication(2)),
                 lambda: exchange.between(["pair-00"], 0, 1),
                 lambda: exchange.newest(["pair-00"]),
                 lambda: exchange.peek(["pair-00"], {})):  # fmt: skip
        with pytest.raises(StaleEpochError):
            call()
    assert len(announced) == 1
    exchange.close(2)  # late, and out of order
    with pytest.raises(StaleEpochError):
        exchange.check()


def test_a_question_stays_open_until_something_newer_is_published_or_the_attempt_ends(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("raygan.actors.publications.ASK_S", 60.0)
    exchange = Exchange(None, keep_all=True, epoch=3)
    exchange.publish(publication(1))
    assert [p.version for p in exchange.kept.next("pair-00", 0)] == [1]
    answers: list[list[int]] = []
    asked = threading.Thread(
        target=lambda: answers.append([p.version for p in exchange.kept.next("pair-00", 1)])
    )
    asked.start()
    exchange.publish(Publication("pair-01", 7, {}))
    assert not answers, "another shelf's"
    exchange.publish(publication(2))
    asked.join(timeout=30)
    assert answers == [[2]]
    asked = threading.Thread(
        target=lambda: answers.append([p.version for p in exchange.kept.next("pair-00", 2)])
    )
    asked.start()
    exchange.close(4)
    asked.join(timeout=30)
    assert answers == [[2], []]


def test_half_a_swap_of_another_epoch_is_refused() -> None:
    exchange = Exchange(SimpleNamespace(), keep_all=True, epoch=3)
    exchange.check(3)
    for other in (2, 4):
        with pytest.raises(StaleEpochError):
            exchange.check(other)


def test_the_matchmaker_forgets_swaps_that_were_under_way() -> None:
    matchmaker = MatchmakerActor("run")
    swap = Swap(5, (("a", "b"), ("b", "a")), "D", "all")
    matchmaker._parcels[swap] = {"a": object(), "b": object()}
    matchmaker.begin(2)
    assert matchmaker._parcels == {}, "the second half of that swap finds nothing to deliver"


def test_what_arrives_late_moves_nothing_back() -> None:
    board = BoardActor()
    board.begin(1)
    board.announce("pair-00", 7, 1)
    board.announce("pair-00", 5, 1)
    assert board.progress(["pair-00"]) == {"pair-00": 7}
    exchange = Exchange(SimpleNamespace(), keep_all=True, epoch=3)
    exchange.close(4)
    exchange.close(3)  # late: the attempt is over all the same
    with pytest.raises(StaleEpochError, match="epoch 4, this one is 3"):
        exchange.check()


def test_readers_find_those_who_publish_by_the_board() -> None:
    board, handles = BoardActor(), {"pair-00": object()}
    board.register(handles)
    assert board.players() == handles


@pytest.mark.parametrize(
    "make", [BoardActor, lambda: MatchmakerActor("run")], ids=["board", "matchmaker"]
)
def test_a_helper_can_be_made_to_tell_where_it_is(
    monkeypatch: pytest.MonkeyPatch, make: Any
) -> None:
    listening: list[bool] = []
    monkeypatch.setattr("raygan.actors.process.listen", lambda: listening.append(True))
    monkeypatch.setattr("raygan.actors.process.signal.signal", lambda *args: None)
    make()
    assert listening == [True]


def test_a_matchmaker_is_known_by_its_run() -> None:
    assert repr(MatchmakerActor("mine")) == "mine/matchmaker"
