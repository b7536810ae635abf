"""Which players a cut waits for, and what each of them puts into it."""

from raygan.controller.gathering import Cut, Gathering
from raygan.controller.orders import Save
from raygan.controller.saving import best_step


def give(gathering: Gathering, player: str, step: int) -> list[Cut]:
    return gathering.take(Save(player, step, at=step), player.encode())


def asked(gathering: Gathering, player: str, step: int, *players: str) -> None:
    gathering.asked(Save(player, step, at=step), players, {"losses": {p: float(i) for i, p in enumerate(players)}})


def test_a_cut_is_whole_when_every_member_has_given_its_part_and_keeps_what_is_each_ones() -> None:
    gathering = Gathering()
    asked(gathering, "b", 4, "a", "b")
    assert give(gathering, "b", 4) == []
    asked(gathering, "a", 4, "a", "b")
    (cut,) = give(gathering, "a", 4)
    assert (cut.parts, cut.extra) == ({"a": (4, b"a"), "b": (4, b"b")}, {"losses": {"a": 0.0, "b": 1.0}})
    assert give(gathering, "a", 4) == []


def test_who_is_on_the_way_back_belongs_to_the_cut_with_its_committed_part() -> None:
    gathering = Gathering({"a": 4, "b": 4})
    assert gathering.lose("b") == []
    asked(gathering, "a", 8, "a")
    (cut,) = give(gathering, "a", 8)
    assert (sorted(cut.members), cut.standing) == (["a", "b"], ["b"])


def test_who_has_nothing_committed_is_waited_for() -> None:
    gathering = Gathering({"a": 4})
    gathering.lose("b")
    asked(gathering, "a", 8, "a")
    assert give(gathering, "a", 8) == []
    assert gathering.join("b", 9) == [Save("b", 8, at=9)]
    (cut,) = gathering.take(Save("b", 8, at=9), b"b")
    assert cut.parts == {"a": (8, b"a"), "b": (9, b"b")}


def test_a_member_that_dies_takes_back_what_it_gave() -> None:
    gathering = Gathering()
    for player in ("a", "b"):
        asked(gathering, player, 4, "a", "b")
    give(gathering, "a", 4)
    assert gathering.lose("a") == []
    assert give(gathering, "b", 4) == [], "a is to give its part again"
    assert gathering.join("a", 3) == [], "which it does once it is there"
    (cut,) = give(gathering, "a", 4)
    assert sorted(cut.parts) == ["a", "b"]


def test_a_leaver_holds_nobody_up_and_a_joiner_is_part_of_what_is_under_way() -> None:
    gathering = Gathering()
    for player in ("a", "b"):
        asked(gathering, player, 4, "a", "b")
    give(gathering, "a", 4)
    assert gathering.join("c", 4) == [Save("c", 4, at=4)]
    assert gathering.leave("b") == []
    (cut,) = give(gathering, "c", 4)
    assert (sorted(cut.members), sorted(cut.parts), cut.extra) == (["a", "c"], ["a", "c"], {"losses": {"a": 0.0}})


def test_a_cut_that_everybody_has_passed_on_disk_is_dropped() -> None:
    gathering = Gathering()
    for step in (4, 8):
        for player in ("a", "b"):
            asked(gathering, player, step, "a", "b")
    give(gathering, "a", 4)
    gathering.committed(8, {"a": 8, "b": 8})
    assert give(gathering, "b", 4) == [], "it would be older than what is on disk"
    assert gathering.saved_step == 8
    assert gathering.holds({"a": 8, "b": 8})
    assert not gathering.holds({"a": 8, "b": 9})
    assert not gathering.holds({"a": 8})
    gathering.committed(6, {"a": 9, "b": 9})
    assert gathering.saved_step == 8


def test_the_last_cut_is_of_all_as_they_are_and_no_other_counts() -> None:
    gathering = Gathering({"a": 12})
    asked(gathering, "b", 8, "a", "b")
    orders = gathering.last(12, {"a": 12, "b": 10}, {"losses": {"b": 0.5}})
    assert orders == [Save("a", 12, at=12), Save("b", 12, at=10)]
    assert give(gathering, "b", 8) == []
    assert gathering.take(orders[1], b"b") == []
    (cut,) = gathering.take(orders[0], b"a")
    assert (cut.parts, cut.standing, cut.extra) == ({"a": (12, b"a"), "b": (10, b"b")}, [], {"losses": {"b": 0.5}})


def test_who_is_ahead_on_disk_stands_in_a_cut_behind_it() -> None:
    gathering = Gathering({"a": 10, "b": 4})
    asked(gathering, "b", 8, "a", "b")
    (cut,) = give(gathering, "b", 8)
    assert cut.standing == ["a"]


def test_of_equal_scores_the_later_step_is_the_best() -> None:
    scores = {4: ("high_quality", 0.9), 8: ("high_quality", 0.9), 12: ("high_quality", 0.1), 16: ("high_quality", 1.0)}
    assert best_step([4, 8, 12], scores) == 8
    assert best_step([20], scores) is None
