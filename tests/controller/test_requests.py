"""What is asked of a run, as files: none is lost, the oldest is first."""

import json
from pathlib import Path
from typing import Any

from raygan.controller.requests import BEFORE, STOP, Requests, file_of


def ask(folder: Path, **request: Any) -> str:
    name = file_of(request)
    (folder / name).write_text(json.dumps(request))
    return name


def test_two_requests_within_one_tick_of_the_clock_are_two_files(
    tmp_path: Path, monkeypatch: Any
) -> None:
    monkeypatch.setattr("raygan.controller.requests.time.time_ns", lambda: 7)
    names = {ask(tmp_path, verb="scale", id=str(i), pairs=i) for i in range(20)}
    assert len(names) == 20
    ours = Requests(tmp_path)
    assert {*ours.waiting()} == names
    assert {ours.read(name)["pairs"] for name in names} == {*range(20)}


def test_the_oldest_is_first_and_one_of_before_keeps_its_turn(tmp_path: Path) -> None:
    first = ask(tmp_path, verb="scale", id="a", pairs=3)
    (tmp_path / BEFORE).write_text(json.dumps({"verb": "scale", "id": "b", "pairs": 4}))
    ours = Requests(tmp_path)
    assert [ours.read(name)["id"] for name in ours.waiting()] == ["a", "b"]
    assert not (tmp_path / BEFORE).exists(), "the next of that name is another file"
    last = ask(tmp_path, verb="scale", id="c", pairs=5)
    ours.keep(first, {"id": "a", "members": [0]})
    assert [ours.read(name)["id"] for name in ours.waiting()] == ["a", "b", "c"], (
        "decided: no later"
    )
    assert ours.read(first) == {"id": "a", "members": [0]}
    for name in ours.waiting()[:2]:
        ours.drop(name)
    assert ours.waiting() == [last]


def test_a_stop_is_heard_once_and_is_no_request_to_scale(tmp_path: Path) -> None:
    assert ask(tmp_path, verb="stop") == STOP
    ours = Requests(tmp_path)
    assert ours.waiting() == []
    assert [ours.stops(), ours.stops()] == [True, False]


def test_other_files_are_nobodys_requests_and_a_folder_that_is_away_has_none(
    tmp_path: Path,
) -> None:
    for name in ("scale-1.json", "scale-x.json", "run.json", f"scale-{1:020d}-00000000.json.tmp"):
        (tmp_path / name).write_text("{}")
    assert Requests(tmp_path).waiting() == []
    assert Requests(tmp_path / "none").waiting() == []
