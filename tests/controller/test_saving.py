"""Which players a cut waits for, what each of them puts into it, and what becomes of it: a commit,
a warning, an error.
"""

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from raygan.controller import checkpoint_commit as module
from raygan.controller.checkpoint import newest_valid
from raygan.controller.checkpoint_assembly import Assembly, Cut
from raygan.controller.checkpoint_commit import best_step
from raygan.controller.journal import Journal
from raygan.controller.ledger import Ledger
from raygan.controller.orders import Save
from raygan.controller.saving import Saving, complete_at
from raygan.controller.storage import LocalStorage
from raygan.controller.totals import Totals
from raygan.errors import CheckpointError
from raygan.strategies.roles import Role

A, B = "pair-00", "pair-01"


def give(assembly: Assembly, player: str, step: int) -> list[Cut]:
    return assembly.take(Save(player, step, at=step), player.encode())


def asked(assembly: Assembly, player: str, step: int, *players: str) -> None:
    assembly.asked(
        Save(player, step, at=step),
        players,
        {"losses": {p: float(i) for i, p in enumerate(players)}},
    )


def test_a_cut_is_whole_when_every_member_has_given_its_part_and_keeps_what_is_each_ones() -> None:
    assembly = Assembly()
    asked(assembly, "b", 4, "a", "b")
    assert give(assembly, "b", 4) == []
    asked(assembly, "a", 4, "a", "b")
    (cut,) = give(assembly, "a", 4)
    assert (cut.parts, cut.extra) == (
        {"a": (4, b"a"), "b": (4, b"b")},
        {"losses": {"a": 0.0, "b": 1.0}},
    )
    assert give(assembly, "a", 4) == []


def test_who_is_on_the_way_back_belongs_to_the_cut_with_its_committed_part() -> None:
    assembly = Assembly({"a": 4, "b": 4})
    assert assembly.lose("b") == []
    asked(assembly, "a", 8, "a")
    (cut,) = give(assembly, "a", 8)
    assert (sorted(cut.members), cut.standing) == (["a", "b"], ["b"])


def test_who_has_nothing_committed_is_waited_for() -> None:
    assembly = Assembly({"a": 4})
    assembly.lose("b")
    asked(assembly, "a", 8, "a")
    assert give(assembly, "a", 8) == []
    assert assembly.join("b", 9) == [Save("b", 8, at=9)]
    (cut,) = assembly.take(Save("b", 8, at=9), b"b")
    assert cut.parts == {"a": (8, b"a"), "b": (9, b"b")}


def test_a_member_that_dies_takes_back_what_it_gave() -> None:
    assembly = Assembly()
    for player in ("a", "b"):
        asked(assembly, player, 4, "a", "b")
    give(assembly, "a", 4)
    assert assembly.lose("a") == []
    assert give(assembly, "b", 4) == [], "a is to give its part again"
    assert assembly.join("a", 3) == [], "which it does once it is there"
    (cut,) = give(assembly, "a", 4)
    assert sorted(cut.parts) == ["a", "b"]


def test_a_leaver_holds_nobody_up_and_a_joiner_is_part_of_what_is_under_way() -> None:
    assembly = Assembly()
    for player in ("a", "b"):
        asked(assembly, player, 4, "a", "b")
    give(assembly, "a", 4)
    assert assembly.join("c", 4) == [Save("c", 4, at=4)]
    assert assembly.leave("b") == []
    (cut,) = give(assembly, "c", 4)
    assert (sorted(cut.members), sorted(cut.parts), cut.extra) == (
        ["a", "c"],
        ["a", "c"],
        {"losses": {"a": 0.0}},
    )


def test_a_cut_that_everybody_has_passed_on_disk_is_dropped() -> None:
    assembly = Assembly()
    for step in (4, 8):
        for player in ("a", "b"):
            asked(assembly, player, step, "a", "b")
    give(assembly, "a", 4)
    assembly.committed(8, {"a": 8, "b": 8})
    assert give(assembly, "b", 4) == [], "it would be older than what is on disk"
    assert assembly.saved_step == 8
    assert assembly.holds({"a": 8, "b": 8})
    assert not assembly.holds({"a": 8, "b": 9})
    assert not assembly.holds({"a": 8})
    assembly.committed(6, {"a": 9, "b": 9})
    assert assembly.saved_step == 8


def test_the_last_cut_is_of_all_as_they_are_and_no_other_counts() -> None:
    assembly = Assembly({"a": 12})
    asked(assembly, "b", 8, "a", "b")
    orders = assembly.last(12, {"a": 12, "b": 10}, {"losses": {"b": 0.5}})
    assert orders == [Save("a", 12, at=12), Save("b", 12, at=10)]
    assert give(assembly, "b", 8) == []
    assert assembly.take(orders[1], b"b") == []
    (cut,) = assembly.take(orders[0], b"a")
    assert (cut.parts, cut.standing, cut.extra) == (
        {"a": (12, b"a"), "b": (10, b"b")},
        [],
        {"losses": {"b": 0.5}},
    )


def test_who_is_ahead_on_disk_stands_in_a_cut_behind_it() -> None:
    assembly = Assembly({"a": 10, "b": 4})
    asked(assembly, "b", 8, "a", "b")
    (cut,) = give(assembly, "b", 8)
    assert cut.standing == ["a"]


def test_of_equal_scores_the_later_step_is_the_best() -> None:
    scores = {
        4: ("high_quality", 0.9),
        8: ("high_quality", 0.9),
        12: ("high_quality", 0.1),
        16: ("high_quality", 1.0),
    }
    assert best_step([4, 8, 12], scores) == 8
    assert best_step([20], scores) is None


# --------------------------------------------------------------------------------------------------
# what is committed


class Run:
    """As much of a run's state and of its log as saving takes, with two pairs and a player that is
    none.
    """

    def __init__(self, path: Path, keep: int = 2) -> None:
        self.path = path
        self.journal = Journal.open(LocalStorage(path))
        self.config = SimpleNamespace(checkpoint=SimpleNamespace(keep=keep, keep_best=False))
        self.roles = {A: Role(pair=True), B: Role(pair=True), "judge": Role(pair=False)}
        self.done = {A: 0, B: 0}
        self.ledger = Ledger(self.done)
        self.totals = Totals(
            seen={7, 3},
            headlines={2: {A: ("fid", 1.0)}, 4: {A: ("fid", 2.0)}, 99: {B: ("fid", 3.0)}},
        )
        self.folder = self
        self.strategy = SimpleNamespace(swaps=False)
        self.plan = SimpleNamespace(
            checkpoint_every=4, saves_at=lambda step: step % 2 == 0, tempo="lockstep"
        )
        self.told: list[tuple[str, dict[str, Any]]] = []
        self.kept_totals = 0
        self.mirrored: list[int] = []

    def mirror(self) -> None:
        """What is told is sent first: how many checkpoints there were then."""
        self.mirrored.append(len(self.journal.index))

    @property
    def furthest(self) -> int:
        return max(self.done.values())

    def keep_totals(self) -> None:
        self.kept_totals += 1

    def warn(self, name: str, text: str) -> None:
        self.told.append((name, {"text": text}))

    def warn_checkpoints(self, problems: list[str]) -> None:
        self.told += [("problem", {"text": problem}) for problem in problems]

    def event(self, kind: str, step: int, **facts: Any) -> None:
        self.told.append((kind, {"step": step, **facts}))

    def begin(self, steps: dict[str, int] | None = None) -> Saving:
        return Saving(self, self, steps or {})  # type: ignore[arg-type]

    def committed(self) -> Any:
        found, problems = newest_valid(self.path)
        assert problems == []
        return found


def given(
    saving: Saving, step: int, extra: dict[str, dict[str, Any]] | None = None, **parts: int
) -> None:
    """All of these are asked for a part of a cut, and give it as they are."""
    players = [p.replace("_", "-") for p in parts]
    orders = [Save(p, step, at=at) for p, at in zip(players, parts.values(), strict=True)]
    for order in orders:
        saving.assembly.asked(order, players, extra or {})
    for order in orders:
        saving.taken(order, f"{order.player}@{order.at}".encode())


def test_a_whole_cut_is_committed_told_and_counted(tmp_path: Path) -> None:
    run = Run(tmp_path)
    saving = run.begin()
    given(saving, 4, {"swapped": {A: 1, B: 2}}, pair_00=4, pair_01=5, judge=4)
    found = run.committed()
    assert (found.step, found.steps) == (4, {A: 4, B: 5, "judge": 4})
    assert found.parts == {A: b"pair-00@4", B: b"pair-01@5", "judge": b"judge@4"}
    assert found.extra == {"swapped": {A: 1, B: 2}, "members": [0, 1], "seen": [3, 7]}
    size = sum(map(len, found.parts.values()))
    facts = {
        "step": 4,
        "players": ["judge", A, B],
        "name": "00000004",
        "bytes": size,
        "removed": [],
    }
    assert run.told == [("checkpoint", facts)]
    assert run.mirrored == [0]
    assert (saving.assembly.saved_step, saving.assembly.steps, run.kept_totals) == (
        4,
        found.steps,
        1,
    )
    assert saving.assembly.steps.keys() == {A, B, "judge"}, "whom it is committed for"
    assert sorted(run.totals.best) == [4, 99], "scores whose checkpoints are gone are of no use"


def test_who_is_due_gives_its_part_and_in_async_no_more_often_than_it_was_asked_for(
    tmp_path: Path,
) -> None:
    run = Run(tmp_path)
    saving = run.begin()
    saving.assembly.asked(Save(A, 4, at=4), [A, B], {})
    assert [saving.due(A, step) for step in (5, 6, 7, 8)] == [False, True, False, True]
    run.plan.tempo = "async"  # at any step, so that asked two steps ago is enough
    assert [saving.due(A, step) for step in (5, 6, 7, 8)] == [False, False, False, True]
    assert [saving.due(B, step) for step in (5, 6)] == [False, True], "it was never asked"


def test_what_others_wait_for_is_given_where_one_is_in_async_only(tmp_path: Path) -> None:
    run = Run(tmp_path)
    saving = run.begin()
    saving.assembly.asked(Save(A, 4, at=4), [A, B], {})
    assert saving.awaited(B, 6) == []
    run.plan.tempo = "async"
    assert saving.awaited(B, 6) == [Save(B, 4, at=6)]


def test_the_best_checkpoint_is_kept_where_that_is_asked_for(tmp_path: Path) -> None:
    run = Run(tmp_path)
    saving = run.begin()
    assert saving.committer.best_steps([2, 4]) == []
    run.config.checkpoint.keep_best = True
    assert saving.committer.best_steps([2, 4]) == [2], "the lower FID"
    assert saving.committer.best_steps([6]) == [], "none of these was scored"


def test_a_checkpoint_is_as_good_as_those_that_are_in_it(tmp_path: Path) -> None:
    run = Run(tmp_path)
    run.config.checkpoint.keep_best = True
    saving = run.begin()
    run.totals.scored("pair-02", 4, ("fid", 0.1))
    given(saving, 4, pair_00=4, pair_01=4)
    assert run.totals.best[4] == ("fid", 2.0), "pair-02 has left before it gave its part"


def test_what_is_superseded_goes_and_that_is_told(tmp_path: Path) -> None:
    run = Run(tmp_path, keep=1)
    saving = run.begin()
    given(saving, 4, pair_00=4, pair_01=4)
    given(saving, 8, pair_00=8, pair_01=8)
    assert [facts["removed"] for _, facts in run.told] == [[], [4]]
    assert [p.name for p in (tmp_path / "checkpoints").iterdir()] == ["00000008"]


def test_what_cannot_be_removed_is_told_and_the_checkpoint_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = Run(tmp_path)
    saving = run.begin()
    monkeypatch.setattr(module, "retain", full)
    given(saving, 4, pair_00=4, pair_01=4)
    assert [kind for kind, _ in run.told] == ["W203 checkpoint-not-written", "checkpoint"]
    assert "could not be removed: No space left" in run.told[0][1]["text"]
    assert run.told[1][1]["removed"] == []
    assert saving.assembly.saved_step == 4


def full(*args: object) -> Any:
    raise OSError(28, "No space left on device")


def test_one_that_cannot_be_written_is_told_and_the_one_before_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = Run(tmp_path)
    saving = run.begin()
    given(saving, 4, pair_00=4, pair_01=4)
    with monkeypatch.context() as patch:
        patch.setattr(module, "write_checkpoint", full)
        given(saving, 8, pair_00=8, pair_01=8)
    text = "step 8: No space left on device; the one before is kept"
    assert run.told[1:] == [("W203 checkpoint-not-written", {"text": text})]
    assert (saving.assembly.saved_step, run.committed().step) == (4, 4)
    given(saving, 12, pair_00=12, pair_01=12)
    assert run.committed().step == 12


def test_a_run_does_not_end_without_its_last_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = Run(tmp_path)
    saving = run.begin()
    run.done |= {A: 8, B: 6}
    run.ledger.losses = {A: 0.5}
    orders = saving.last()
    assert orders == [Save(A, 8, at=8), Save(B, 8, at=6)]
    saving.taken(orders[0], b"a")
    with monkeypatch.context() as patch:
        patch.setattr(module, "write_checkpoint", full)
        with pytest.raises(
            CheckpointError, match=r"the last checkpoint could not be written \(No space left"
        ) as raised:
            saving.taken(orders[1], b"b")
    assert str(raised.value).endswith(f"then: raygan resume {tmp_path}")
    again = run.begin()
    for order in again.last():
        again.taken(order, b"x")
    assert (run.committed().steps, run.committed().extra["losses"]) == ({A: 8, B: 6}, {A: 0.5})
    assert again.last() == [], "it is just what the players are"


def test_who_comes_back_stands_by_its_committed_part_with_all_that_belongs_to_it(
    tmp_path: Path,
) -> None:
    run = Run(tmp_path)
    saving = run.begin()
    given(saving, 4, {"swapped": {A: 1, B: 2}}, pair_00=4, pair_01=4)
    order = Save(A, 8, at=8)
    saving.assembly.asked(order, [A, B], {"swapped": {A: 5, B: 6}, "losses": {A: 0.5, B: 0.7}})
    saving.taken(order, b"new")
    assert run.committed().step == 4, "the other owes its part"
    saving.lost({B: 4})
    found = run.committed()
    assert (found.step, found.steps, found.parts) == (8, {A: 8, B: 4}, {A: b"new", B: b"pair-01@4"})
    assert found.extra == {
        "swapped": {A: 5, B: 2},
        "losses": {A: 0.5},
        "members": [0, 1],
        "seen": [3, 7],
    }


def test_who_comes_back_from_an_earlier_part_than_the_newest_is_known_by_that(
    tmp_path: Path,
) -> None:
    run = Run(tmp_path)
    saving = run.begin({A: 8, B: 8})
    saving.lost({B: 4})
    assert saving.assembly.steps == {A: 8, B: 4}


def test_who_begins_anew_is_waited_for(tmp_path: Path) -> None:
    run = Run(tmp_path)
    saving = run.begin({A: 4, B: 4})
    saving.assembly.asked(Save(A, 8, at=8), [A, B], {})
    saving.taken(Save(A, 8, at=8), b"a")
    saving.lost({B: None})
    assert saving.assembly.steps == {A: 4}
    assert run.committed() is None
    orders = saving.joined(B, 8)
    assert orders == [Save(B, 8, at=8)]
    saving.taken(orders[0], b"b")
    assert run.committed().steps == {A: 8, B: 8}


def test_who_leaves_holds_no_checkpoint_up(tmp_path: Path) -> None:
    run = Run(tmp_path)
    saving = run.begin()
    saving.assembly.asked(Save(A, 4, at=4), [A, B], {})
    saving.taken(Save(A, 4, at=4), b"a")
    saving.left(B)
    assert (run.committed().steps, run.committed().extra["members"]) == ({A: 4}, [0])


@pytest.mark.parametrize("damage", ["all gone", "newest damaged", "not in it"])
def test_a_cut_whose_standing_parts_cannot_be_read_is_given_up(tmp_path: Path, damage: str) -> None:
    run = Run(tmp_path)
    saving = run.begin({A: 4, B: 4})
    if damage == "newest damaged":
        given(saving, 4, pair_00=4, pair_01=4)
        given(saving, 6, pair_00=6, pair_01=6)
        (tmp_path / "checkpoints/00000006/pair-01.safetensors").write_bytes(b"other")
    elif damage == "not in it":
        given(saving, 4, pair_00=4)
        saving.assembly.steps[B] = 4
    run.told.clear()
    saving.assembly.asked(Save(A, 8, at=8), [A, B], {})
    saving.taken(Save(A, 8, at=8), b"a")
    saving.lost({B: 4})
    kinds = [kind for kind, _ in run.told]
    assert kinds == (["problem", "abandoned"] if damage == "newest damaged" else ["abandoned"])
    assert run.told[-1][1] == {"step": 8, "why": "the parts of pair-01 cannot be read"}
    found, _ = newest_valid(tmp_path)
    assert found is None or found.step == 4


def test_of_several_that_stand_all_have_to_be_there(tmp_path: Path) -> None:
    """Of three members two are on their way back, and one of these is in no checkpoint."""
    run = Run(tmp_path)
    saving = run.begin({A: 4, B: 4, "pair-02": 4})
    given(saving, 4, pair_00=4, pair_01=4)
    saving.assembly.steps |= {"pair-02": 4}
    saving.assembly.asked(Save(A, 8, at=8), [A, B, "pair-02"], {})
    saving.taken(Save(A, 8, at=8), b"a")
    run.told.clear()
    saving.lost({B: 4, "pair-02": 4})
    assert [kind for kind, _ in run.told] == ["abandoned"]
    assert run.committed().step == 4


def test_all_of_the_newest_checkpoint_may_stand_beside_one_that_came(tmp_path: Path) -> None:
    run = Run(tmp_path)
    run.roles["pair-02"] = Role(pair=True)
    saving = run.begin({A: 4, B: 4})
    given(saving, 4, pair_00=4, pair_01=4)
    saving.assembly.asked(Save("pair-02", 8, at=8), [A, B, "pair-02"], {})
    saving.taken(Save("pair-02", 8, at=8), b"c")
    saving.lost({A: 4, B: 4})
    assert run.committed().steps == {A: 4, B: 4, "pair-02": 8}


def test_whether_it_was_written_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = Run(tmp_path)
    saving = run.begin()
    given(saving, 4, pair_00=4, pair_01=4)
    checkpoint = run.committed()
    assert saving.committer.commit(replace(checkpoint, step=6, entry=None), last=False) is True
    monkeypatch.setattr(module, "write_checkpoint", full)
    assert saving.committer.commit(replace(checkpoint, step=8, entry=None), last=False) is False


@pytest.mark.parametrize(
    ("together", "done", "complete"),
    [
        ([], {A: 4, B: 2}, [A]),
        ([[A, B]], {A: 4, B: 2}, []),
        ([[A, B]], {A: 4, B: 5}, [A, B]),
        ([[B], [A]], {A: 4, B: 2}, [A]),
    ],
)
def test_pairs_that_share_weights_are_complete_together(
    together: list[list[str]], done: dict[str, int], complete: list[str]
) -> None:
    strategy = SimpleNamespace(together=lambda config: together)
    state: Any = SimpleNamespace(strategy=strategy, config=None, done=done)
    assert complete_at(state, A, 4) == complete
