"""Formats of run folders, and lives on other machines."""

import json
from pathlib import Path
from typing import Any

import pytest

from raygan.cli import VERBS, main
from raygan.config import resolve
from raygan.controller.run_folder import find_run
from raygan.controller.run_format import FORMAT, born, compare, differences, resumed
from raygan.errors import ConfigError
from raygan.service import training
from raygan.service.runs.run import Run
from tests.conftest import TINY

HERE: dict[str, Any] = {
    "versions": {"raygan": "1", "torch": "2.13.0", "numpy": "2.4", "python": "3.11.7",
                 "ray": "2.60"}, "git": "a" * 40,
    "machine": {"processor": "EPYC", "threads": 2, "gpu": None, "system": "Linux-6.1", "cpus": 2},
    "argv": ["raygan"],
}  # fmt: skip


@pytest.mark.parametrize(
    ("path", "value", "told"),
    [
        (("versions", "torch"), "2.6.0", ["torch 2.6.0 -> 2.13.0"]),
        (("versions", "raygan"), "0", ["raygan 0 -> 1"]),
        (("versions", "numpy"), "1.26", ["numpy 1.26 -> 2.4"]),
        (("versions", "python"), "3.12.1", ["python 3.12.1 -> 3.11.7"]),
        (("machine", "processor"), "Neoverse", ["CPU Neoverse -> EPYC"]),
        (("machine", "threads"), 8, ["threads 8 -> 2"]),
        (("git",), "b" * 40, ["commit bbbbbbb -> aaaaaaa"]),
        (("machine", "gpu"), "H100", []),
        (("machine", "threads"), None, []),
        (("git",), None, []),
        (("machine", "system"), "Linux-5", []),
        (("versions", "ray"), "2.50", []),
    ],
)
def test_what_may_change_the_bits_is_compared(
    path: tuple[str, ...], value: object, told: list[str]
) -> None:
    old = json.loads(json.dumps(HERE))
    inner = old
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = value
    assert differences(old, HERE) == told


def test_nothing_differs_from_nothing() -> None:
    assert not differences(HERE, HERE)
    assert not differences({}, HERE)
    assert not differences({"versions": None, "machine": [], "git": None}, HERE)


def test_every_life_is_kept_the_newest_on_top() -> None:
    other = {**HERE, "git": "b" * 40}
    info = born(HERE, 1.0)
    again = {**info, **resumed(info, other, 2.0, 40)}
    third = {**again, **resumed(again, HERE, 3.0, 60)}
    assert again["git"] == "b" * 40
    assert [(one["when"], one["git"][0]) for one in third["lives"]] == [
        (1.0, "a"),
        (2.0, "b"),
        (3.0, "a"),
    ]
    assert third["format"] == FORMAT
    old = {**HERE, "created": 0.5}
    assert [one["when"] for one in resumed(old, HERE, 2.0, 40)["lives"]] == [
        0.5,
        2.0,
    ], "of format 1"


def test_strict_refuses_with_what_differs(tmp_path: Path) -> None:
    other = {**HERE, "git": "b" * 40}
    assert compare(tmp_path, HERE, HERE, strict=True) == ""
    assert "commit aaaaaaa -> bbbbbbb: the bits may be another run's" in compare(
        tmp_path, HERE, other, strict=False
    )
    with pytest.raises(ConfigError, match=r"commit aaaaaaa -> bbbbbbb.*--strict refuses"):
        compare(tmp_path, HERE, other, strict=True)


@pytest.mark.parametrize("found", [FORMAT + 1, "two", None])
def test_a_folder_of_a_newer_format_is_refused(tmp_path: Path, found: object) -> None:
    (tmp_path / "run.json").write_text(json.dumps({"format": found}))
    with pytest.raises(
        ConfigError,
        match=rf"made by a newer raygan \(format {found}, this one reads up to {FORMAT}\)",
    ):
        find_run(tmp_path)


READERS = {
    "resume": [], "sample": [], "evaluate": [], "export": [], "report": [], "verify": [],
    "replay": [], "watch": [], "status": [], "stop": [], "scale": ["--pairs", "2"],
    "compare": ["RUN"], "serve": [], "distil": [], "push": ["hf://me/it", "--dry-run"],
}  # fmt: skip
WITHOUT_A_RUN = {
    "reproduce",
    "data",
    "new",
    "plan",
    "submit",
    "fetch",
    "sweep",
    "dashboards",
    "runs",
    "presets",
    "completion",
    "doctor",
    "train",
}


def test_no_verb_is_forgotten() -> None:
    assert set(VERBS) == set(READERS) | WITHOUT_A_RUN


@pytest.mark.parametrize(
    "verb", [*READERS, "train --resume", "train --resume auto", "train --start-from"]
)
def test_every_verb_refuses_a_newer_format_in_one_line(
    tmp_path: Path, verb: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "runs/new").mkdir(parents=True)
    (tmp_path / "runs/new/run.json").write_text(
        json.dumps({"format": FORMAT + 1, "status": "done"})
    )
    argv = {
        "train --resume": ["train", "--inline", "--resume", "runs/new"],
        "train --resume auto": ["train", "--inline", "--resume", "auto", "--name", "new"],
        "train --start-from": ["train", "--inline", "--start-from", "[runs/new:pair-00]"],
    }.get(verb) or [verb, "runs/new", *("runs/new" if a == "RUN" else a for a in READERS[verb])]
    with pytest.raises(SystemExit) as left:
        main(argv)
    err = capsys.readouterr().err
    assert left.value.code == 2, err
    assert "made by a newer raygan" in err
    assert err.count("\n") == 1
    assert [p.name for p in (tmp_path / "runs/new").iterdir()] == ["run.json"], (
        "nothing was written"
    )


def test_a_run_that_goes_on_elsewhere_says_so(tmp_path: Path) -> None:
    values = {
        **TINY,
        "strategy": {"name": "independent"},
        "steps": 4,
        "evaluation": {"every_steps": 8, "samples": 1600},
    }
    resolved = resolve(None, (), values)
    run = training.train(resolved, run_dir=tmp_path, name="r", inline=True)
    path, info = run.path, run.info
    assert info["format"] == FORMAT
    assert len(info["lives"]) == 1
    here = info["versions"]["torch"]
    info["versions"] = {**info["versions"], "torch": "2.6.0"}
    info["machine"] = {**info["machine"], "processor": "Neoverse-N1"}
    (path / "run.json").write_text(json.dumps(info))
    files = {p: p.read_bytes() for p in path.rglob("*") if p.is_file()}
    with pytest.raises(
        ConfigError, match=f"torch 2.6.0 -> {here.replace('+', '.')}; CPU Neoverse-N1"
    ):
        training.resume_run(path, extra_steps=2, strict=True)
    with pytest.raises(ConfigError, match="--strict refuses"):
        training.train(
            resolved, run_dir=tmp_path, name="r", inline=True, resume="auto", strict=True
        )
    assert {p: p.read_bytes() for p in path.rglob("*") if p.is_file()} == files, (
        "a refusal changes nothing"
    )
    training.resume_run(path, extra_steps=2)
    told = [e for e in Run.load(path).events if e["kind"] == "warning"]
    assert [e["name"] for e in told] == [
        "W206 other-machine",
        "W109 schedule-over",
    ]  # two steps past its decay
    assert "torch 2.6.0 -> " in told[0]["text"]
    info = Run.load(path).info
    assert info["versions"]["torch"] == here
    assert len(info["lives"]) == 2
    assert info["warnings"] == {"W206 other-machine": 1, "W109 schedule-over": 1}
