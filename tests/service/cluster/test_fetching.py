"""Which of a cluster's folders `raygan fetch` brings, and that a copy of a run that goes on has all
that its journal promises.
"""

import contextlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from raygan.controller.checkpoint import Checkpoint, newest_valid, write_checkpoint
from raygan.controller.journal import Journal
from raygan.controller.storage import LocalStorage
from raygan.errors import CheckpointError, ConfigError
from raygan.service.cluster import fetching
from raygan.service.cluster.fetching import OnNode, fetch


@pytest.fixture(autouse=True)
def node(monkeypatch: pytest.MonkeyPatch) -> None:
    """A cluster whose nodes see this disk."""
    monkeypatch.setattr(fetching, "_joined", lambda address: contextlib.nullcontext())
    monkeypatch.setattr(fetching, "node_of", lambda folder: "n")
    monkeypatch.setattr(
        OnNode, "_asked", lambda self, what, timeout_s, *more: what(self.folder, *more)
    )


def job(folder: Path, number: int, status: str = "SUCCEEDED", node: str | None = "n") -> Any:
    return {
        "id": f"{folder.name}-{number:06x}", "run": folder.name, "run_dir": str(folder.parent),
        "status": status, "exit_code": 0, "started": float(number), "node": node,
    }  # fmt: skip


def sent(*found: dict[str, Any]) -> Any:
    return SimpleNamespace(list=lambda: sorted(found, key=lambda j: -j["started"]))


def made(folder: Path, key: str) -> Path:
    folder.mkdir(parents=True)
    (folder / "run.json").write_text(json.dumps({"id": key}))
    return folder


def test_two_folders_of_one_name_are_told_apart_by_folder_or_job(tmp_path: Path) -> None:
    one, other = made(tmp_path / "a/mine", "1"), made(tmp_path / "b/mine", "2")
    jobs = sent(job(one, 1, "RUNNING"), job(other, 2, "FAILED"))
    with pytest.raises(ConfigError) as told:
        fetch("mine", tmp_path / "to", jobs)
    for part in (f"{one} (RUNNING, job mine-000001)", f"{other} (FAILED", "raygan fetch RUN_DIR/N"):
        assert part in str(told.value)
    assert not (tmp_path / "to").exists()
    for named, key in ((str(one), "1"), (str(other), "2"), ("mine-000001", "1")):
        there = fetch(named, tmp_path / f"to{key}{len(named)}", jobs)
        assert there.name == "mine"
        assert json.loads((there / "run.json").read_text())["id"] == key


def test_a_job_that_has_made_no_folder_is_passed_over(tmp_path: Path) -> None:
    one = made(tmp_path / "a/mine", "1")
    jobs = sent(
        job(one, 1),
        job(tmp_path / "b/mine", 2, "FAILED"),
        job(tmp_path / "c/mine", 3, "FAILED", node=None),
    )
    assert fetch("mine", tmp_path / "to", jobs) == tmp_path / "to/mine"
    with pytest.raises(
        CheckpointError, match=r"no run folder of it .*b/mine \(FAILED, job mine-000002"
    ):
        fetch(str(tmp_path / "b/mine"), tmp_path / "elsewhere", jobs)
    with pytest.raises(ConfigError, match=r"no job of that run on the cluster\. Runs there: mine"):
        fetch("theirs", tmp_path / "elsewhere", jobs)


def test_another_job_s_run_of_that_name_is_not_brought(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The job's node is gone, and the one that was asked in its place has a run of its own."""
    theirs = made(tmp_path / "a/mine", "1")
    (theirs / "run.json").write_text(json.dumps({"id": "1", "job": "mine-0000ff"}))
    jobs = sent(job(theirs, 1), job(theirs, 2))
    assert fetch("mine", tmp_path / "own", jobs).is_dir(), (
        "on its own node: of a job long forgotten"
    )
    monkeypatch.setattr(fetching, "node_of", lambda folder: "another")
    with pytest.raises(CheckpointError, match="no run folder of it"):
        fetch("mine", tmp_path / "to", jobs)
    (theirs / "run.json").write_text(json.dumps({"id": "1", "job": "mine-000002"}))
    for asked in ("mine", "mine-000001", "mine-000002"):  # the second has resumed the first's
        assert fetch(asked, tmp_path / asked, jobs) == tmp_path / asked / "mine"


def test_jobs_of_one_run_are_one_run(tmp_path: Path) -> None:
    """It was resumed, or its storage is seen by several nodes."""
    one = made(tmp_path / "a/mine", "1")
    jobs = sent(job(one, 1, "STOPPED"), job(one, 2, node="m"), job(one, 3, "FAILED"))
    assert fetch("mine", tmp_path / "to", jobs).name == "mine"


def test_a_shells_own_home_is_the_folder_that_the_list_shows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    made(tmp_path / "raygan-runs/mine", "1")
    jobs = sent(job(Path("~/raygan-runs/mine"), 1))
    for number, named in enumerate(("~/raygan-runs/mine", f"{tmp_path}/raygan-runs/mine")):
        assert fetch(named, tmp_path / f"to{number}", jobs).name == "mine"


def test_a_sweep_comes_with_its_runs(tmp_path: Path) -> None:
    made(tmp_path / "a/sizes/runs/one", "1")
    assert (
        fetch("sizes", tmp_path / "to", sent(job(tmp_path / "a/sizes", 1))) / "runs/one"
    ).is_dir()


def training(folder: Path) -> Callable[[], None]:
    """A run with two checkpoints; what is returned commits the next one, and prunes."""
    made(folder, "1")
    journal = Journal.open(LocalStorage(folder))
    steps = iter(range(1, 100))

    def commit() -> None:
        step = next(steps)
        write_checkpoint(journal, Checkpoint(step, {"pair-00": b"x" * step}, {"pair-00": step}), 1)
        for old in journal.index:
            if not old.promised:
                shutil.rmtree(folder / "checkpoints" / old.folder, ignore_errors=True)

    commit()
    commit()
    return commit


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[Callable[[str], None]]:
    """What happens on the node before each answer."""
    happens: list[Callable[[str], None]] = []

    def content(self: OnNode, name: str) -> bytes | None:
        for one in happens:
            one(name)
        return fetching.content_of(self.folder, name)

    monkeypatch.setattr(OnNode, "content", content)
    return happens


@pytest.mark.parametrize("at", ["journal/00000001.jsonl", "manifest.json", "pair-00.safetensors"])
@pytest.mark.parametrize("times", [1, 3])
def test_a_checkpoint_that_is_pruned_meanwhile_is_not_missed(
    at: str, times: int, tmp_path: Path, asked: list[Callable[[str], None]]
) -> None:
    commit = training(folder := tmp_path / "a/mine")
    left = iter(range(times))
    asked.append(
        lambda name: commit() if name.endswith(at) and next(left, None) is not None else None
    )
    there = fetch("mine", tmp_path / "to", sent(job(folder, 1, "RUNNING")))
    checkpoint, problems = newest_valid(there)
    assert checkpoint is not None
    assert problems == []


def test_what_is_lost_on_the_node_is_no_reason_not_to_bring_the_rest(tmp_path: Path) -> None:
    training(folder := tmp_path / "a/mine")
    shutil.rmtree(folder / "checkpoints/00000002")
    assert fetch("mine", tmp_path / "to", sent(job(folder, 1))).is_dir()


def test_a_run_that_is_always_faster_leaves_nothing_behind(
    tmp_path: Path, asked: list[Callable[[str], None]]
) -> None:
    commit = training(folder := tmp_path / "a/mine")
    asked.append(lambda name: commit() if name.startswith("checkpoints/") else None)
    with pytest.raises(CheckpointError, match="faster than they are copied"):
        fetch("mine", tmp_path / "to", sent(job(folder, 1, "RUNNING")))
    assert list((tmp_path / "to").iterdir()) == []
