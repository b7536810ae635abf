"""Who holds which discriminator, after swaps that were undone, and done again."""

import json
from pathlib import Path
from typing import Any

import pytest

from raygan.service.runs import digest as module
from raygan.service.runs.digest import Digest
from raygan.service.runs.summary import INDEX, Keeper, Summary

A, B, C = "pair-00", "pair-01", "pair-02"


def swap(step: int, **moves: tuple[str, str]) -> dict[str, Any]:
    """moves: a=(from, birth name of what it gives)."""
    names = {"a": A, "b": B, "c": C}
    taken = [
        {"player": names[p], "from": source, "identity": born, "at": step}
        for p, (source, born) in moves.items()
    ]
    return {"kind": "swap", "step": step, "time": float(step), "moves": taken}


def back(kind: str, step: int, **swapped: int) -> dict[str, Any]:
    names = {"a": A, "b": B, "c": C}
    kept = {names[p]: at for p, at in swapped.items()}
    return {"kind": kind, "step": step, "time": 0.0, "swapped": kept}


AT_4 = swap(4, a=(B, B), b=(A, A))
AT_8 = swap(8, a=(C, C), c=(A, B))


def write(path: Path, *events: dict[str, Any]) -> None:
    with (path / "events.jsonl").open("a") as file:
        file.writelines(json.dumps(event) + "\n" for event in events)


@pytest.mark.parametrize("kind", ["restart", "resume"])
@pytest.mark.parametrize("most", [1, 2000])
def test_a_swap_that_is_done_again_after_going_back_is_one(
    tmp_path: Path, kind: str, most: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MOST", most)
    write(tmp_path, AT_4, back(kind, 0), AT_4, AT_8, back(kind, 6, a=4, b=4), AT_8)
    digest = Digest(tmp_path).refresh()
    assert digest.holds == {A: C, B: A, C: B}
    assert digest.seats.columns == [(4, {A: B, B: A}), (8, {A: C, B: A, C: B})]
    if most > 1:
        assert digest.seats.moves == [(4, AT_4["moves"]), (8, AT_8["moves"])]
        assert digest.seats.count == 2


def test_nobody_holds_what_was_undone(tmp_path: Path) -> None:
    write(tmp_path, AT_4, AT_8, back("restart", 6, a=4, b=4))
    summary, digest = Summary(tmp_path).refresh(), Digest(tmp_path).refresh()
    assert summary.holds == digest.holds == {A: B, B: A}
    write(tmp_path, back("resume", 0))
    assert summary.refresh().holds == digest.refresh().holds == {}
    assert (digest.seats.count, digest.seats.columns) == (0, [])


def test_an_index_knows_what_a_return_would_undo(tmp_path: Path) -> None:
    saved = [{"kind": "checkpoint", "step": s, "time": 0.0, "bytes": 1} for s in range(0, 8, 2)]
    write(tmp_path, AT_4, *saved, AT_8)
    Keeper(tmp_path).write()
    assert (tmp_path / INDEX).exists()
    write(tmp_path, back("restart", 6, a=4, b=4))
    assert Summary(tmp_path).refresh().holds == {A: B, B: A}


def test_what_nobody_can_go_back_to_is_forgotten(tmp_path: Path) -> None:
    for step in range(4, 4000, 4):
        saved = {"kind": "checkpoint", "step": step, "time": 0.0, "bytes": 1}
        write(tmp_path, swap(step, a=(B, B if step % 8 else A)), saved)
    summary = Summary(tmp_path).refresh()
    assert summary.holds == {A: B}
    assert len(json.dumps(summary.dump()["holds"])) < 500


@pytest.mark.parametrize("odd", [None, [1], {A: "x"}, {A: None}])
def test_what_no_run_tells_is_taken_as_of_an_older_release(tmp_path: Path, odd: Any) -> None:
    """A folder may be somebody else's: none of its lines ends a look at it."""
    moves = [{"player": A, "from": B, "identity": B, "at": odd}]
    write(tmp_path, AT_4 | {"moves": moves}, back("restart", 2) | {"swapped": odd})
    assert Digest(tmp_path).refresh().holds == {}
