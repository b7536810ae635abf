"""The assembly of checkpoints: by cases, and every order of steps, parts, members that leave, join,
die and come back.
"""

from __future__ import annotations

import copy
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest

from raygan.controller.checkpoint_assembly import Assembly, Cut
from raygan.controller.orders import Save

EVERY, STEPS = 2, 4


def ask(assembly: Assembly, player: str, step: int, players: list[str]) -> Save:
    order = Save(player, step, at=step)
    assembly.asked(order, players, {"swapped": dict.fromkeys(players, step)})
    return order


def test_a_cut_is_whole_once_each_member_has_given_its_part() -> None:
    assembly = Assembly()
    first, second = (ask(assembly, p, 2, ["a", "b"]) for p in ("a", "b"))
    assert assembly.take(first, b"A") == []
    (cut,) = assembly.take(second, b"B")
    assert (cut.step, cut.parts, cut.standing) == (2, {"a": (2, b"A"), "b": (2, b"B")}, [])
    assert cut.extra == {"swapped": {"a": 2, "b": 2}}, "each as it was when it was asked"


def test_who_leaves_owes_nothing_and_is_no_member() -> None:
    assembly = Assembly()
    assert assembly.take(ask(assembly, "a", 2, ["a", "b"]), b"A") == []
    (cut,) = assembly.leave("b")
    assert (cut.members, set(cut.parts)) == ({"a"}, {"a"})


def test_a_checkpoint_that_still_has_a_leaver_is_not_the_last_one() -> None:
    assembly = Assembly({"a": 4, "b": 4})
    assembly.leave("b")
    assert not assembly.holds({"a": 4})


def test_who_joins_belongs_to_the_cuts_under_way() -> None:
    assembly = Assembly()
    assert assembly.take(ask(assembly, "a", 4, ["a", "b"]), b"A") == []
    (order,) = assembly.join("c", at=4)  # at the cut's step already: it gives what it is
    assert order == Save("c", 4, at=4)
    assert assembly.take(ask(assembly, "b", 4, ["a", "b", "c"]), b"B") == []
    (cut,) = assembly.take(order, b"C")
    assert cut.members == {"a", "b", "c"}


def test_who_died_stands_by_its_committed_part_until_it_has_come_as_far() -> None:
    assembly = Assembly({"a": 2, "b": 2})
    assert assembly.take(ask(assembly, "a", 4, ["a", "b"]), b"A") == []
    (cut,) = assembly.lose("b")
    assert cut.standing == ["b"]
    assembly.committed(4, {"a": 4, "b": 2})
    assembly.join("b", at=2)
    (again,) = assembly.take(ask(assembly, "b", 4, ["a", "b"]), b"B")
    assert (again.parts, again.standing) == ({"b": (4, b"B")}, ["a"])


def test_who_died_without_a_committed_part_is_waited_for() -> None:
    assembly = Assembly()
    order = ask(assembly, "a", 2, ["a", "b"])
    assert assembly.lose("b") == []
    assert assembly.take(order, b"A") == []
    assembly.join("b", at=0)
    (cut,) = assembly.take(ask(assembly, "b", 2, ["a", "b"]), b"B")
    assert cut.standing == []


def test_a_part_of_before_a_death_does_not_count() -> None:
    assembly = Assembly()
    assembly.take(ask(assembly, "a", 2, ["a", "b"]), b"old")
    assembly.lose("a")
    assert assembly.take(ask(assembly, "b", 2, ["b"]), b"B") == []
    assembly.join("a", at=0)
    (cut,) = assembly.take(ask(assembly, "a", 2, ["a", "b"]), b"new")
    assert cut.parts["a"] == (2, b"new")


def test_who_is_back_is_waited_for_again() -> None:
    assembly = Assembly({"a": 2, "b": 2})
    assembly.lose("b")
    assembly.join("b", at=2)
    assert assembly.take(ask(assembly, "a", 4, ["a", "b"]), b"A") == [], "b owes its part"
    (cut,) = assembly.take(ask(assembly, "b", 4, ["a", "b"]), b"B")
    assert cut.standing == []


def test_who_gave_its_part_and_died_stands_by_the_committed_one() -> None:
    """Its part was of a life that is undone: it goes on from the one before."""
    assembly = Assembly({"a": 2, "b": 2})
    assert assembly.take(ask(assembly, "a", 4, ["a", "b"]), b"undone") == []
    assert assembly.lose("a") == []
    (cut,) = assembly.take(ask(assembly, "b", 4, ["b"]), b"B")
    assert (cut.parts, cut.standing) == ({"b": (4, b"B")}, ["a"])


def test_who_was_asked_and_died_is_asked_again() -> None:
    assembly = Assembly()
    ask(assembly, "a", 2, ["a", "b"])
    ask(assembly, "b", 2, ["a", "b"])
    assembly.lose("b")
    assembly.join("b", at=0)
    assert assembly.awaiting("b") == [2]


def test_a_cut_for_what_is_on_disk_by_now_is_overtaken() -> None:
    assembly = Assembly({"a": 2, "b": 2})
    assert assembly.take(ask(assembly, "a", 4, ["a", "b"]), b"A") == []
    assembly.committed(4, {"a": 2, "b": 4})
    assert assembly.awaiting("b") == [], "b has nothing to give that is newer"


def test_a_run_that_goes_on_with_some_ahead_saves_the_progress_of_the_others() -> None:
    """Stopped with the pair at 1,500 and the global pair at 600: what that does next makes
    checkpoints, and one at the end.
    """
    assembly = Assembly({"pair-00": 1500, "global": 600})
    (cut,) = assembly.take(ask(assembly, "global", 650, ["pair-00", "global"]), b"G")
    assert (cut.step, cut.standing) == (650, ["pair-00"])
    assembly.committed(650, {"pair-00": 1500, "global": 650})
    assert not assembly.holds({"pair-00": 1500, "global": 700})
    orders = assembly.last(1500, {"pair-00": 1500, "global": 700}, {})
    assert orders == [Save("pair-00", 1500, at=1500), Save("global", 1500, at=700)]
    assert assembly.take(orders[0], b"P") == []
    (cut,) = assembly.take(orders[1], b"G")
    assert {p: at for p, (at, _) in cut.parts.items()} == {"pair-00": 1500, "global": 700}


def test_the_last_cut_takes_the_place_of_all_others() -> None:
    assembly = Assembly()
    early = ask(assembly, "a", 2, ["a", "b"])
    orders = assembly.last(3, {"a": 3, "b": 1}, {})
    assert assembly.take(early, b"A") == [], "of a cut that is no more"
    assert [len(assembly.take(order, b"x")) for order in orders] == [0, 1]


def test_who_left_while_away_is_in_no_later_cut() -> None:
    assembly = Assembly({"a": 2, "b": 2})
    assembly.lose("b")
    assembly.leave("b")
    (cut,) = assembly.take(ask(assembly, "a", 4, ["a"]), b"A")
    assert cut.members == {"a"}


def test_a_part_that_is_older_than_what_is_on_disk_is_not_taken_back() -> None:
    """The cut waits for one that was away; meanwhile a later one was committed."""
    assembly = Assembly()
    assembly.lose("b")
    assert assembly.take(ask(assembly, "a", 2, ["a"]), b"old") == []
    assembly.committed(6, {"a": 6})
    (order,) = assembly.join("b", at=2)
    (cut,) = assembly.take(order, b"B")
    assert (cut.parts, cut.standing) == ({"b": (2, b"B")}, ["a"])


def test_each_is_asked_once_for_each_cut_that_waits_for_it() -> None:
    assembly = Assembly()
    first = ask(assembly, "a", 2, ["a", "b"])
    ask(assembly, "a", 4, ["a", "b"])
    assert assembly.awaiting("a") == []
    assert assembly.awaiting("b") == [2, 4]
    ask(assembly, "b", 2, ["a", "b"])
    assert assembly.awaiting("b") == [4]
    assembly.take(first, b"A")
    assert assembly.awaiting("a") == []
    assert assembly.awaiting("stranger") == []


def test_who_was_asked_a_while_ago_or_never_or_is_away_is_due() -> None:
    assembly = Assembly({"a": 10})
    assert [assembly.fresh("a", step, every=4) for step in (10, 13, 14, 20)] == [
        True,
        True,
        False,
        False,
    ]
    assert not assembly.fresh("b", 0, every=4)
    ask(assembly, "a", 20, ["a"])
    assert assembly.fresh("a", 23, every=4)
    assembly.lose("a")
    assert not assembly.fresh("a", 23, every=4)


# ---------------------------------------------------------------------------------------------
# every order of events


@dataclass
class World:
    """Players that take steps, orders to save that are on their way, and what is on the disk."""

    assembly: Assembly = field(default_factory=Assembly)
    done: dict[str, int] = field(default_factory=lambda: {"a": 0, "b": 0})
    owed: list[Save] = field(default_factory=list)
    away: dict[str, int] = field(default_factory=dict)
    disk: dict[str, int] = field(default_factory=dict)
    left: tuple[str, ...] = ("leave", "join", "die")
    ended: bool = False

    def key(self) -> object:
        cuts = sorted(
            (
                s,
                sorted(c.members),
                sorted(c.missing),
                sorted((p, at) for p, (at, _) in c.parts.items()),
            )
            for s, c in self.assembly._cuts.items()
        )
        return repr(
            (
                self.done,
                self.owed,
                self.away,
                self.disk,
                self.left,
                self.ended,
                cuts,
                self.assembly.steps,
            )
        )

    def commit(self, cuts: list[Cut]) -> None:
        for cut in cuts:
            steps = {p: at for p, (at, _) in cut.parts.items()}
            assert set(cut.standing) <= set(self.disk), f"{cut.standing} stand without a part"
            steps |= {p: self.disk[p] for p in cut.standing}
            assert set(steps) == set(self.done) | set(self.away), (
                "a member is missing, or one too many"
            )
            assert all(step >= self.disk.get(p, 0) for p, step in steps.items()), (
                f"{self.disk} -> {steps} goes back"
            )
            for player, (at, raw) in cut.parts.items():
                assert raw == f"{player}@{at}".encode()
            self.disk = steps
            self.assembly.committed(cut.step, steps)

    def asks(self, orders: list[Save]) -> None:
        for order in orders:
            self.assembly.asked(order, list(self.done), {})
            self.owed.append(order)

    def moves(self) -> Iterator[str]:
        for player, step in self.done.items():
            if step < STEPS:
                yield f"step {player}"
            mine = [o for o in self.owed if o.player == player]
            if mine:
                yield f"give {player}"
            if "leave" in self.left and len(self.done) > 1 and not mine:
                yield f"leave {player}"
            if "die" in self.left and len(self.done) > 1:
                yield f"die {player}"
        if "join" in self.left and min(self.done.values()) < STEPS:
            yield "join c"
        for player in self.away:
            yield f"back {player}"

    def carry_out(self, move: str) -> None:
        verb, player = move.split()
        self.left = tuple(kind for kind in self.left if kind != verb)
        if verb == "step":
            self.done[player] += 1
            if self.done[player] % EVERY == 0:
                self.asks([Save(player, self.done[player], at=self.done[player])])
        elif verb == "give":
            order = next(o for o in self.owed if o.player == player)
            self.owed.remove(order)
            self.commit(self.assembly.take(order, f"{player}@{order.at}".encode()))
        elif verb == "leave":
            del self.done[player]
            self.commit(self.assembly.leave(player))
        elif verb == "die":
            del self.done[player]
            self.owed = [o for o in self.owed if o.player != player]
            self.away[player] = self.disk.get(player, 0)
            self.commit(self.assembly.lose(player))
        elif verb == "join":
            self.done[player] = min(self.done.values())
            self.asks(self.assembly.join(player, self.done[player]))
        else:
            self.done[player] = self.away.pop(player)
            self.asks(self.assembly.join(player, self.done[player]))


def explore(faults: tuple[str, ...]) -> tuple[int, int]:
    """(states, ends)."""
    begin = World(left=faults)
    seen, queue, ends = {begin.key()}, deque([begin]), 0
    while queue:
        world = queue.popleft()
        moves = list(world.moves())
        if not moves and not world.assembly.holds(world.done):
            assert not world.ended, f"the last cut has left {world.disk} of {world.done}"
            world.ended = True
            world.asks(world.assembly.last(max(world.done.values()), world.done, {}))
            moves = list(world.moves())
        ends += not moves
        for move in moves:
            after = copy.deepcopy(world)
            try:
                after.carry_out(move)
            except AssertionError as error:
                raise AssertionError(f"{error} after {move} in {world.key()}") from None
            if after.key() not in seen:
                seen.add(after.key())
                queue.append(after)
    return len(seen), ends


@pytest.mark.parametrize("faults", [(), ("leave", "join"), ("leave", "die"), ("join", "die")])
def test_no_order_of_events_loses_a_part_or_ends_without_the_last_checkpoint(
    faults: tuple[str, ...],
) -> None:
    states, ends = explore(faults)
    assert ends > 0
    assert states >= (100 if not faults else 500)
